#include "daemon/mptcp_peers.h"

#include "common/log.h"
#include "daemon/secret.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define VERSION_SILENCE (60 * NS_PER_SEC)

static int
seed_prng(struct peers *ps)
{
	uint8_t seed[CRYPTO_KEY_LEN];
	int err;

	if (getrandom(seed, sizeof(seed), 0) != sizeof(seed))
		return -errno;
	err = prng_init(&ps->prng, seed);
	crypto_wipe(seed, sizeof(seed));
	return err < 0 ? err : prng_bytes(&ps->prng, ps->boot_id, sizeof(ps->boot_id));
}

int
peers_init(struct peers *ps, const struct config *c, struct errmsg *why)
{
	int err;

	memset(ps, 0, sizeof(*ps));
	ps->config = c;
	err = secret_load_key(c->private_key_file, ps->private_key, why);
	if (err < 0)
		return err;
	err = crypto_x25519_public(ps->public_key, ps->private_key);
	if (err == 0)
		err = seed_prng(ps);
	ps->all = calloc(c->n_peers + 1, sizeof(*ps->all));
	if (err < 0 || ps->all == NULL)
		return errmsg_set(why, err < 0 ? err : -ENOMEM, "no memory");
	for (size_t i = 0; i < c->n_peers; i++) {
		struct peer *p = &ps->all[i];

		p->config = &c->peers[i];
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
session_end(struct peers *ps, struct server_session *s)
{
	if (s->state == SESSION_PENDING)
		ps->n_pending--;
	list_remove(&s->node);
	crypto_wipe(s, sizeof(*s));
	free(s);
}

void
peers_done(struct peers *ps)
{
	for (size_t i = 0; i < ps->n; i++) {
		list_for_each_safe (it, &ps->all[i].sessions)
			session_end(ps, list_entry(it, struct server_session, node));
		crypto_wipe(&ps->all[i], sizeof(ps->all[i]));
	}
	free(ps->all);
	prng_done(&ps->prng);
	crypto_wipe(ps, sizeof(*ps));
}

bool
peers_mac1_ok(const struct peers *ps, const uint8_t msg[HANDSHAKE_LEN])
{
	return handshake_mac1_ok(msg, ps->public_key);
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

struct server_session *
peers_session(struct peers *ps, uint32_t index)
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

static struct server_session *
find_pending(struct peers *ps, const uint8_t hash[CRYPTO_HASH_LEN])
{
	for (size_t i = 0; i < ps->n; i++) {
		list_for_each (it, &ps->all[i].sessions) {
			struct server_session *s =
				list_entry(it, struct server_session, node);

			if (s->state == SESSION_PENDING &&
			    memcmp(s->hash, hash, sizeof(s->hash)) == 0)
				return s;
		}
	}
	return NULL;
}

static bool
is_refused(const struct peer *p, const uint8_t hash[CRYPTO_HASH_LEN])
{
	for (unsigned i = 0; i < HANDSHAKES_REFUSED && i < p->n_refused; i++) {
		if (memcmp(p->refused[i], hash, CRYPTO_HASH_LEN) == 0)
			return true;
	}
	return false;
}

static unsigned
count_pending(const struct peer *p)
{
	unsigned n = 0;

	list_for_each (it, &p->sessions)
		n += list_entry(it, struct server_session, node)->state ==
		     SESSION_PENDING;
	return n;
}

static void
drop_oldest_pending(struct peers *ps, struct peer *p)
{
	list_for_each (it, &p->sessions) {
		struct server_session *s = list_entry(it, struct server_session, node);

		if (s->state == SESSION_PENDING) {
			session_end(ps, s);
			return;
		}
	}
}

/* A session whose index no other one has; linked in as pending. */
static struct server_session *
session_new(struct peers *ps, struct peer *p, ns_t now)
{
	struct server_session *s;
	uint32_t index;

	if (count_pending(p) >= SESSIONS_PENDING_MAX)
		drop_oldest_pending(ps, p);
	if (ps->n_pending >= SESSIONS_PENDING_ALL)
		return NULL;
	do {
		if (prng_bytes(&ps->prng, &index, sizeof(index)) < 0)
			return NULL;
		index &= 0xffffff;
	} while (peers_session(ps, index) != NULL);
	s = calloc(1, sizeof(*s));
	if (s == NULL)
		return NULL;
	s->peer = p;
	s->index = index;
	s->made_at = now;
	s->state = SESSION_PENDING;
	list_append(&p->sessions, &s->node);
	ps->n_pending++;
	return s;
}

static int
respond(struct peers *ps, struct handshake *h, struct peer *p,
	const struct handshake_offer *offer, struct server_session *s, ns_t now)
{
	struct handshake_answer a = {.version = HANDSHAKE_VERSION};
	struct handshake_keys keys;
	int err;

	a.aead = (uint8_t)aead_choose(offer->aead_mask, aead_fast_mask());
	a.session_index = s->index;
	a.max_streams = p->config->max_streams;
	a.allow_auth_only = p->config->allow_auth_only;
	memcpy(a.boot_id, ps->boot_id, sizeof(a.boot_id));
	if (offer->version != HANDSHAKE_VERSION)
		a.aead = 0;
	err = handshake_respond(h, &ps->prng, p->psk, &a, s->answer, &keys);
	if (err < 0)
		return err;
	if (a.aead == 0)
		return -EPROTONOSUPPORT;
	s->alg = (enum aead_alg)a.aead;
	s->made_at = now;
	memcpy(s->stream_secret, keys.stream_secret, sizeof(s->stream_secret));
	crypto_wipe(&keys, sizeof(keys));
	return 0;
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
answer_new(struct peers *ps, const uint8_t msg[HANDSHAKE_LEN],
	   const uint8_t hash[CRYPTO_HASH_LEN], ns_t now,
	   uint8_t ret_answer[HANDSHAKE_LEN])
{
	struct server_session *s;
	struct handshake_offer offer;
	struct handshake h;
	struct peer *p;
	int err;

	err = handshake_receive(&h, HANDSHAKE_MPTCP, ps->private_key, msg, &offer);
	if (err < 0)
		return err;
	p = find_peer(ps, h.peer_public);
	s = p == NULL || is_refused(p, hash) ? NULL : session_new(ps, p, now);
	if (s == NULL) {
		handshake_done(&h);
		return -EBADMSG;
	}
	memcpy(s->hash, hash, sizeof(s->hash));
	err = respond(ps, &h, p, &offer, s, now);
	handshake_done(&h);
	if (err == 0 || err == -EPROTONOSUPPORT)
		memcpy(ret_answer, s->answer, HANDSHAKE_LEN);
	if (err < 0)
		session_end(ps, s);
	if (err == -EPROTONOSUPPORT)
		tell_version(p, offer.version, now);
	return err;
}

int
peers_answer(struct peers *ps, const uint8_t msg[HANDSHAKE_LEN], ns_t now,
	     uint8_t ret_answer[HANDSHAKE_LEN])
{
	/* Without the MACs, which differ per source. */
	const size_t hashed = HANDSHAKE_LEN - 2 * HANDSHAKE_MAC_LEN;
	uint8_t hash[CRYPTO_HASH_LEN];
	struct server_session *s;
	int err;

	peers_expire(ps, now);
	err = crypto_sha256(hash, msg, hashed);
	if (err < 0)
		return err;
	s = find_pending(ps, hash);
	if (s == NULL)
		return answer_new(ps, msg, hash, now, ret_answer);
	memcpy(ret_answer, s->answer, HANDSHAKE_LEN);
	return 0;
}

/* Pending ones may still win a race; whatever else is older goes. */
static void
demote_others(struct peers *ps, const struct server_session *current)
{
	list_for_each_safe (it, &current->peer->sessions) {
		struct server_session *s = list_entry(it, struct server_session, node);

		if (s->state == SESSION_PREVIOUS)
			session_end(ps, s);
		else if (s->state == SESSION_CURRENT && s != current)
			s->state = SESSION_PREVIOUS;
	}
}

/* A record that was long on its way: a later session is in use already. */
static bool
is_overtaken(const struct server_session *s)
{
	const struct list *head = &s->peer->sessions;

	for (const struct list *it = s->node.next; it != head; it = it->next) {
		if (list_entry(it, struct server_session, node)->state ==
		    SESSION_CURRENT)
			return true;
	}
	return false;
}

bool
peers_confirm(struct peers *ps, struct server_session *s, const uint8_t boot_id[8])
{
	struct peer *p = s->peer;
	bool restarted = p->seen && memcmp(p->boot_id, boot_id, 8) != 0;

	if (s->state != SESSION_PENDING)
		return false;
	ps->n_pending--;
	memcpy(p->refused[p->n_refused++ % HANDSHAKES_REFUSED], s->hash,
	       sizeof(s->hash));
	if (is_overtaken(s)) {
		s->state = SESSION_PREVIOUS;
		return false;
	}
	s->state = SESSION_CURRENT;
	demote_others(ps, s);
	memcpy(p->boot_id, boot_id, 8);
	p->seen = true;
	return restarted;
}

void
peers_expire(struct peers *ps, ns_t now)
{
	for (size_t i = 0; i < ps->n; i++) {
		list_for_each_safe (it, &ps->all[i].sessions) {
			struct server_session *s =
				list_entry(it, struct server_session, node);

			if (s->state == SESSION_PENDING &&
			    now - s->made_at > SESSION_PENDING_LIFE)
				session_end(ps, s);
		}
	}
}
