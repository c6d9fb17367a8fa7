#include "daemon/mptcp_peers.h"

#include "common/log.h"
#include "daemon/secret.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define VERSION_SILENCE (60 * NS_PER_SEC)

static int
init_responder(struct peers *ps, const uint8_t priv[CRYPTO_KEY_LEN])
{
	uint8_t seed[CRYPTO_KEY_LEN];
	int err;

	if (getrandom(seed, sizeof(seed), 0) != sizeof(seed))
		return -errno;
	err = responder_init(&ps->responder, HANDSHAKE_MPTCP, priv, seed, 0);
	crypto_wipe(seed, sizeof(seed));
	if (err == 0)
		err = prng_bytes(&ps->responder.rng, ps->boot_id, sizeof(ps->boot_id));
	return err;
}

int
peers_init(struct peers *ps, const struct config *c, struct errmsg *why)
{
	uint8_t priv[CRYPTO_KEY_LEN];
	int err;

	memset(ps, 0, sizeof(*ps));
	ps->config = c;
	err = secret_load_key(c->private_key_file, priv, why);
	if (err < 0)
		return err;
	err = init_responder(ps, priv);
	crypto_wipe(priv, sizeof(priv));
	ps->all = calloc(c->n_peers + 1, sizeof(*ps->all));
	if (err < 0 || ps->all == NULL)
		return errmsg_set(why, err < 0 ? err : -ENOMEM, "no memory");
	for (size_t i = 0; i < c->n_peers; i++) {
		struct peer *p = &ps->all[i];

		p->config = &c->peers[i];
		responder_peer_init(&p->handshakes);
		list_init(&p->sessions);
		list_init(&p->beats);
		ps->n++;
		if (p->config->preshared_key_file[0] == '\0')
			continue;
		err = secret_load_key(p->config->preshared_key_file, p->psk, why);
		if (err < 0)
			return err;
	}
	return 0;
}

static void
session_end(struct server_session *s)
{
	list_remove(&s->node);
	crypto_wipe(s, sizeof(*s));
	free(s);
}

void
peers_done(struct peers *ps)
{
	for (size_t i = 0; i < ps->n; i++) {
		list_for_each_safe (it, &ps->all[i].sessions)
			session_end(list_entry(it, struct server_session, node));
		responder_peer_done(&ps->responder, &ps->all[i].handshakes);
		crypto_wipe(&ps->all[i], sizeof(ps->all[i]));
	}
	free(ps->all);
	responder_done(&ps->responder);
	crypto_wipe(ps, sizeof(*ps));
}

static struct peer *
find_peer(struct peers *ps, const uint8_t pub[CRYPTO_KEY_LEN])
{
	struct peer *found = NULL;

	for (size_t i = 0; i < ps->n; i++) {
		if (crypto_equal(ps->all[i].config->public_key, pub, CRYPTO_KEY_LEN))
			found = &ps->all[i];
	}
	return found;
}

static struct server_session *
find_session(struct peers *ps, uint32_t index)
{
	for (size_t i = 0; i < ps->n; i++) {
		list_for_each (it, &ps->all[i].sessions) {
			struct server_session *s =
				list_entry(it, struct server_session, node);

			if (s->index == index)
				return s;
		}
	}
	return NULL;
}

/* An index that neither a session nor a pending one has. */
static int
draw_index(struct peers *ps, uint32_t *ret_index)
{
	int err;

	do {
		err = responder_draw_index(&ps->responder, ret_index);
	} while (err == 0 && find_session(ps, *ret_index) != NULL);
	return err;
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

static int
answer_new(struct peers *ps, struct responder_question *q, ns_t now)
{
	struct peer *p = find_peer(ps, q->handshake.peer_public);
	struct handshake_answer a = {0};
	int err;

	err = p == NULL ? -EBADMSG : draw_index(ps, &a.session_index);
	if (err < 0) {
		responder_refuse(q);
		return err;
	}
	a.aead = (uint8_t)aead_choose(q->offer.aead_mask, aead_fast_mask());
	a.max_streams = p->config->max_streams;
	a.allow_auth_only = p->config->allow_auth_only;
	memcpy(a.boot_id, ps->boot_id, sizeof(a.boot_id));
	err = responder_answer(&ps->responder, q, &p->handshakes, p->psk, &a, now);
	if (err == -EPROTONOSUPPORT)
		tell_version(p, q->offer.version, now);
	return err;
}

int
peers_answer(struct peers *ps, const struct addr *source, const uint8_t *msg,
	     size_t len, ns_t now, uint8_t ret_answer[HANDSHAKE_LEN])
{
	struct responder_question q;
	int err = 0;

	switch (responder_input(&ps->responder, source, msg, len, now, &q)) {
	case RESPONDER_SILENT: return -EBADMSG;
	case RESPONDER_SEND: break;
	case RESPONDER_ASK: err = answer_new(ps, &q, now);
	}
	if (err == 0 || err == -EPROTONOSUPPORT)
		memcpy(ret_answer, q.reply, HANDSHAKE_LEN);
	return err;
}

int
peers_find_keys(struct peers *ps, uint32_t index, uint64_t number,
		struct peers_keys *ret_keys)
{
	static const struct numbers unused;
	struct server_session *s = find_session(ps, index);
	struct pending *p = responder_find(&ps->responder, index);

	if ((s == NULL && p == NULL) ||
	    !numbers_is_free(s != NULL ? &s->numbers : &unused, number))
		return -EBADMSG;
	*ret_keys = (struct peers_keys){.session = s, .pending = p};
	ret_keys->alg = s != NULL ? s->alg : (enum aead_alg)p->answer.aead;
	ret_keys->stream_secret = s != NULL ? s->stream_secret : p->keys.stream_secret;
	return 0;
}

static void
demote_others(const struct server_session *current)
{
	list_for_each_safe (it, &current->peer->sessions) {
		struct server_session *s = list_entry(it, struct server_session, node);

		if (s->state == SESSION_PREVIOUS)
			session_end(s);
		else if (s != current)
			s->state = SESSION_PREVIOUS;
	}
}

/* A record that was long on its way: a later session is in use already. */
static bool
is_overtaken(const struct peer *p, const struct server_session *s)
{
	list_for_each (it, &p->sessions) {
		if (list_entry(it, struct server_session, node)->serial > s->serial)
			return true;
	}
	return false;
}

int
peers_confirm(struct peers *ps, struct pending *pending, const uint8_t boot_id[8],
	      struct server_session **ret_session)
{
	struct peer *p = container_of(pending->peer, struct peer, handshakes);
	bool restarted = p->seen && memcmp(p->boot_id, boot_id, 8) != 0;
	struct server_session *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return -ENOMEM;
	s->peer = p;
	s->index = pending->answer.session_index;
	s->serial = pending->serial;
	s->alg = (enum aead_alg)pending->answer.aead;
	memcpy(s->stream_secret, pending->keys.stream_secret, sizeof(s->stream_secret));
	responder_confirm(&ps->responder, pending);
	*ret_session = s;
	list_append(&p->sessions, &s->node);
	if (is_overtaken(p, s)) {
		s->state = SESSION_PREVIOUS;
		return 0;
	}
	s->state = SESSION_CURRENT;
	demote_others(s);
	memcpy(p->boot_id, boot_id, 8);
	p->seen = true;
	return restarted;
}
