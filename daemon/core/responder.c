#include "daemon/core/responder.h"

#include "common/bytes.h"
#include "daemon/core/wire.h"

#include <stdlib.h>
#include <string.h>

enum { INDEX_MASK = 0xffffff, PACKET_MAX = 2048 };

int
responder_init(struct responder *r, enum handshake_transport transport,
	       const uint8_t priv[CRYPTO_KEY_LEN], const uint8_t seed[CRYPTO_KEY_LEN],
	       ns_t now)
{
	uint8_t pub[CRYPTO_KEY_LEN];
	struct cookie_maker cookies;
	struct prng rng;
	int err;

	err = crypto_x25519_public(pub, priv);
	if (err == 0)
		err = prng_init(&rng, seed);
	if (err == 0)
		err = cookie_maker_init(&cookies, pub, &rng, now);
	if (err < 0)
		return err;

	memset(r, 0, sizeof(*r));
	r->transport = transport;
	memcpy(r->priv, priv, CRYPTO_KEY_LEN);
	memcpy(r->pub, pub, CRYPTO_KEY_LEN);
	r->rng = rng;
	r->cookies = cookies;
	list_init(&r->pending);
	for (size_t i = 0; i < RESPONDER_BUCKETS; i++) {
		list_init(&r->by_hash[i]);
		list_init(&r->by_index[i]);
	}
	prng_done(&rng);
	cookie_maker_done(&cookies);
	return 0;
}

static void
pending_end(struct responder *r, struct pending *p)
{
	list_remove(&p->node);
	list_remove(&p->of_peer);
	list_remove(&p->by_hash);
	list_remove(&p->by_index);
	p->peer->n_pending--;
	r->n_pending--;
	crypto_wipe(p, sizeof(*p));
	free(p);
}

void
responder_done(struct responder *r)
{
	assert(r->n_pending == 0);

	crypto_wipe(r, sizeof(*r));
}

void
responder_peer_init(struct responder_peer *peer)
{
	*peer = (struct responder_peer){0};
	list_init(&peer->pending);
}

void
responder_peer_done(struct responder *r, struct responder_peer *peer)
{
	list_for_each_safe (it, &peer->pending)
		pending_end(r, list_entry(it, struct pending, of_peer));
	crypto_wipe(peer, sizeof(*peer));
}

static struct list *
hash_bucket(struct responder *r, const uint8_t hash[CRYPTO_HASH_LEN])
{
	return &r->by_hash[get_be32(hash) % RESPONDER_BUCKETS];
}

static struct pending *
find_copy(struct responder *r, const uint8_t hash[CRYPTO_HASH_LEN])
{
	list_for_each (it, hash_bucket(r, hash)) {
		struct pending *p = list_entry(it, struct pending, by_hash);

		if (memcmp(p->hash, hash, CRYPTO_HASH_LEN) == 0)
			return p;
	}
	return NULL;
}

/* One whose MAC1 is good: whether it may cost more. Else there may be a reply. */
static bool
passes_load(struct responder *r, const struct addr *source, const uint8_t *msg,
	    ns_t now, struct responder_question *q)
{
	if (!ratelimit_is_load(&r->limit, now))
		return true;
	if (r->transport == HANDSHAKE_UDP) {
		if (cookie_maker_renew(&r->cookies, &r->rng, now) < 0)
			return false;
		if (!cookie_mac2_ok(&r->cookies, source, msg)) {
			if (cookie_reply(&r->cookies, &r->rng, source, msg, q->reply) <
			    0)
				return false;
			q->reply_len = COOKIE_REPLY_LEN;
			r->stats.cookies++;
			return false;
		}
	}
	if (ratelimit_take(&r->limit, source, now))
		return true;
	r->stats.limited++;
	return false;
}

/* One that may cost something: answered before, or to be opened. */
static enum responder_verdict
look(struct responder *r, const uint8_t *msg, struct responder_question *q)
{
	struct pending *copy;

	/* Without the MACs, which differ from copy to copy. */
	if (crypto_sha256(q->hash, msg, HANDSHAKE_MAC1_AT) < 0)
		return RESPONDER_SILENT;
	copy = find_copy(r, q->hash);
	if (copy != NULL) {
		r->stats.copies++;
		memcpy(q->reply, copy->reply, HANDSHAKE_LEN);
		q->reply_len = HANDSHAKE_LEN;
		return RESPONDER_SEND;
	}
	r->stats.tried++;
	if (handshake_receive(&q->handshake, r->transport, r->priv, msg, &q->offer) < 0)
		return RESPONDER_SILENT;
	r->stats.opened++;
	return RESPONDER_ASK;
}

enum responder_verdict
responder_input(struct responder *r, const struct addr *source, const uint8_t *data,
		size_t len, ns_t now, struct responder_question *ret_question)
{
	struct responder_question *q = ret_question;

	responder_expire(r, now);
	q->reply_len = 0;
	if (len != HANDSHAKE_LEN || !handshake_mac1_ok(data, r->pub)) {
		r->stats.foreign++;
		return RESPONDER_SILENT;
	}
	if (passes_load(r, source, data, now, q))
		return look(r, data, q);
	return q->reply_len > 0 ? RESPONDER_SEND : RESPONDER_SILENT;
}

static bool
is_refused(const struct responder_peer *peer, const uint8_t hash[CRYPTO_HASH_LEN])
{
	for (unsigned i = 0; i < HANDSHAKES_REFUSED && i < peer->n_refused; i++) {
		if (memcmp(peer->refused[i], hash, CRYPTO_HASH_LEN) == 0)
			return true;
	}
	return false;
}

static void
make_room(struct responder *r, struct responder_peer *peer)
{
	if (peer->n_pending >= SESSIONS_PENDING_MAX)
		pending_end(r, list_entry(peer->pending.next, struct pending, of_peer));
	if (r->n_pending >= SESSIONS_PENDING_ALL)
		pending_end(r, list_entry(r->pending.next, struct pending, node));
}

static void
link_in(struct responder *r, struct responder_peer *peer, struct pending *p)
{
	make_room(r, peer);
	p->peer = peer;
	p->serial = r->next_serial++;
	list_append(&r->pending, &p->node);
	list_append(&peer->pending, &p->of_peer);
	list_append(hash_bucket(r, p->hash), &p->by_hash);
	list_append(&r->by_index[p->answer.session_index % RESPONDER_BUCKETS],
		    &p->by_index);
	peer->n_pending++;
	r->n_pending++;
	assert(peer->n_pending <= SESSIONS_PENDING_MAX);
	assert(r->n_pending <= SESSIONS_PENDING_ALL);
}

/* Writes the response and the keys into `p`. */
static int
respond(struct responder *r, struct responder_question *q, const uint8_t *psk,
	struct pending *p)
{
	int err;

	p->answer.version = HANDSHAKE_VERSION;
	if (q->offer.version != HANDSHAKE_VERSION)
		p->answer.aead = 0;
	err = handshake_respond(&q->handshake, &r->rng, psk, &p->answer, p->reply,
				&p->keys);
	if (err < 0)
		return err;
	memcpy(q->reply, p->reply, HANDSHAKE_LEN);
	q->reply_len = HANDSHAKE_LEN;
	return p->answer.aead != 0 ? 0 : -EPROTONOSUPPORT;
}

int
responder_answer(struct responder *r, struct responder_question *q,
		 struct responder_peer *peer, const uint8_t psk[CRYPTO_KEY_LEN],
		 const struct handshake_answer *answer, ns_t now)
{
	struct pending *p = NULL;
	int err;

	assert(responder_find(r, answer->session_index) == NULL);

	err = is_refused(peer, q->hash) ? -EBADMSG : 0;
	if (err == 0)
		p = calloc(1, sizeof(*p));
	if (err == 0 && p == NULL)
		err = -ENOMEM;
	if (err == 0) {
		p->offer = q->offer;
		p->answer = *answer;
		p->made_at = now;
		memcpy(p->hash, q->hash, sizeof(p->hash));
		err = respond(r, q, psk, p);
	}
	if (err == 0)
		link_in(r, peer, p);
	else
		free(p);
	handshake_done(&q->handshake);
	return err;
}

void
responder_refuse(struct responder_question *q)
{
	handshake_done(&q->handshake);
}

int
responder_draw_index(struct responder *r, uint32_t *ret_index)
{
	uint32_t index;
	int err;

	do {
		err = prng_bytes(&r->rng, &index, sizeof(index));
		if (err < 0)
			return err;
		index &= INDEX_MASK;
	} while (responder_find(r, index) != NULL);
	*ret_index = index;
	return 0;
}

struct pending *
responder_find(const struct responder *r, uint32_t index)
{
	list_for_each (it, &r->by_index[index % RESPONDER_BUCKETS]) {
		struct pending *p = list_entry(it, struct pending, by_index);

		if (p->answer.session_index == index)
			return p;
	}
	return NULL;
}

bool
pending_opens(const struct pending *p, const uint8_t *packet, size_t len)
{
	const size_t sealed_len = len - WIRE_HEADER_LEN;
	uint8_t sealed[PACKET_MAX];
	struct packet_header h;
	struct aead a;
	bool opens;

	if (len > sizeof(sealed) || packet_header_get(packet, len, &h) < 0 ||
	    h.session != p->answer.session_index || h.generation != 0)
		return false;
	if (aead_init(&a, (enum aead_alg)p->answer.aead, false, p->keys.key_up,
		      p->keys.iv_up) < 0)
		return false;
	memcpy(sealed, packet + WIRE_HEADER_LEN, sealed_len);
	/* It is one of the first: the counter is not longer than its low half. */
	opens = aead_open(&a, (struct aead_nonce){h.subflow, h.counter}, packet,
			  WIRE_HEADER_LEN, sealed, sealed_len) == 0;
	aead_done(&a);
	crypto_wipe(sealed, sizeof(sealed));
	return opens;
}

void
responder_confirm(struct responder *r, struct pending *p)
{
	struct responder_peer *peer = p->peer;

	memcpy(peer->refused[peer->n_refused % HANDSHAKES_REFUSED], p->hash,
	       CRYPTO_HASH_LEN);
	peer->n_refused++;
	pending_end(r, p);
}

void
responder_expire(struct responder *r, ns_t now)
{
	while (!list_empty(&r->pending)) {
		struct pending *p = list_entry(r->pending.next, struct pending, node);

		if (now - p->made_at <= SESSION_PENDING_LIFE)
			return;
		pending_end(r, p);
	}
}
