#include "daemon/peers.h"

#include "common/log.h"
#include "daemon/secret.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define VERSION_SILENCE (60 * NS_PER_SEC)

static int
init_peer(struct peers *ps, const struct config_peer *config, struct errmsg *why)
{
	struct peer *p = &ps->all[ps->n++];

	p->peers = ps;
	p->config = config;
	for (size_t i = 0; i < ARRAY_LEN(p->handshakes); i++)
		responder_peer_init(&p->handshakes[i]);
	if (config->preshared_key_file[0] == '\0')
		return 0;
	return secret_load_key(config->preshared_key_file, p->psk, why);
}

int
peers_init(struct peers *ps, const struct identity *me, struct errmsg *why)
{
	const struct config *c = me->config;
	int err = 0;

	memset(ps, 0, sizeof(*ps));
	ps->me = me;
	ps->all = calloc(c->n_peers + 1, sizeof(*ps->all));
	if (ps->all == NULL)
		return errmsg_set(why, -ENOMEM, "no memory");
	for (size_t i = 0; err == 0 && i < c->n_peers; i++)
		err = init_peer(ps, &c->peers[i], why);
	return err;
}

void
peers_done(struct peers *ps)
{
	if (ps->all != NULL)
		crypto_wipe(ps->all, ps->n * sizeof(*ps->all));
	free(ps->all);
	memset(ps, 0, sizeof(*ps));
}

int
peers_init_responder(const struct peers *ps, enum handshake_transport transport,
		     struct responder *ret_responder, ns_t now)
{
	uint8_t seed[CRYPTO_KEY_LEN];
	int err;

	if (getrandom(seed, sizeof(seed), 0) != sizeof(seed))
		return -EIO;
	err = responder_init(ret_responder, transport, ps->me->private_key, seed, now);
	crypto_wipe(seed, sizeof(seed));
	return err;
}

void
peers_done_responder(struct peers *ps, enum handshake_transport transport,
		     struct responder *r)
{
	for (size_t i = 0; i < ps->n; i++) {
		responder_peer_done(r, &ps->all[i].handshakes[transport]);
		responder_peer_init(&ps->all[i].handshakes[transport]);
	}
	responder_done(r);
}

static struct peer *
find(struct peers *ps, const uint8_t pub[CRYPTO_KEY_LEN])
{
	struct peer *found = NULL;

	for (size_t i = 0; i < ps->n; i++) {
		if (crypto_equal(ps->all[i].config->public_key, pub, CRYPTO_KEY_LEN))
			found = &ps->all[i];
	}
	return found;
}

/* Not for each: an old initiation may be replayed by anybody. */
static void
tell_version(struct peer *p, uint8_t version, ns_t now)
{
	if (p->version_told_at != 0 && now - p->version_told_at < VERSION_SILENCE)
		return;
	p->version_told_at = now;
	log_warn("peer refused: name=%s reason=\"it speaks protocol version %u, this "
		 "server %u\"",
		 p->config->name, version, HANDSHAKE_VERSION);
}

int
peers_answer(struct peers *ps, struct responder *r, struct responder_question *q,
	     uint32_t index, ns_t now)
{
	struct peer *p = find(ps, q->handshake.peer_public);
	struct handshake_answer a = {
		.session_index = index,
		.aead = (uint8_t)aead_choose(q->offer.aead_mask, aead_fast_mask()),
	};
	int err;

	if (p == NULL) {
		responder_refuse(q);
		return -EBADMSG;
	}
	a.max_streams = p->config->max_streams;
	a.allow_auth_only = p->config->allow_auth_only;
	memcpy(a.boot_id, ps->me->boot_id, sizeof(a.boot_id));
	err = responder_answer(r, q, &p->handshakes[r->transport], p->psk, &a, now);
	if (err == -EPROTONOSUPPORT)
		tell_version(p, q->offer.version, now);
	return err;
}

struct peer *
peers_of_pending(const struct responder *r, const struct pending *p)
{
	return container_of(p->peer - r->transport, struct peer, handshakes[0]);
}

struct handshake_secrets
peers_secrets(const struct peer *p)
{
	return (struct handshake_secrets){p->peers->me->private_key,
					  p->config->public_key, p->psk};
}

bool
peers_stream_begins(struct peer *p)
{
	if (p->n_streams >= p->config->max_streams ||
	    p->peers->n_streams >= p->peers->me->config->max_streams)
		return false;
	p->n_streams++;
	p->peers->n_streams++;
	return true;
}

void
peers_stream_ends(struct peer *p)
{
	assert(p->n_streams > 0 && p->peers->n_streams > 0);
	p->n_streams--;
	p->peers->n_streams--;
}
