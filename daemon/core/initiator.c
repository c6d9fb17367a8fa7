#include "daemon/core/initiator.h"

#include <string.h>

static struct initiator_uplink *
uplink_of(struct initiator *i, unsigned uplink)
{
	assert(uplink >= 1 && uplink <= UPLINKS_MAX);

	return &i->uplinks[uplink - 1];
}

/* A new ephemeral key; the message before becomes the older one. */
static int
renew(struct initiator *i, ns_t now)
{
	const struct handshake_secrets secrets = {i->priv, i->server_pub, i->psk};
	struct initiator_try fresh;
	int err;

	err = handshake_start(&fresh.handshake, HANDSHAKE_UDP, &i->rng, &secrets,
			      &i->offer, fresh.msg);
	if (err < 0)
		return err;
	i->tries[1] = i->tries[0];
	i->tries[0] = fresh;
	i->n_tries = i->n_tries == 0 ? 1 : 2;
	i->made_at = now;
	handshake_done(&fresh.handshake);
	return 0;
}

int
initiator_init(struct initiator *i, const struct handshake_secrets *secrets,
	       const struct handshake_offer *offer, const uint8_t seed[CRYPTO_KEY_LEN],
	       ns_t now)
{
	struct initiator work = {.offer = *offer};
	int err;

	memcpy(work.priv, secrets->priv, CRYPTO_KEY_LEN);
	memcpy(work.server_pub, secrets->peer_pub, CRYPTO_KEY_LEN);
	memcpy(work.psk, secrets->psk, CRYPTO_KEY_LEN);
	err = prng_init(&work.rng, seed);
	if (err == 0)
		err = renew(&work, now);
	if (err == 0)
		*i = work;
	initiator_done(&work);
	return err;
}

void
initiator_done(struct initiator *i)
{
	crypto_wipe(i, sizeof(*i));
}

void
initiator_set_uplink(struct initiator *i, unsigned uplink, bool is_up, ns_t now)
{
	struct initiator_uplink *u = uplink_of(i, uplink);

	*u = (struct initiator_uplink){.up = is_up};
	u->due_at = now;
	u->gap_ns = INITIATOR_GAP_FIRST;
}

bool
initiator_output(struct initiator *i, unsigned uplink, ns_t now,
		 uint8_t ret_msg[HANDSHAKE_LEN])
{
	struct initiator_uplink *u = uplink_of(i, uplink);

	if (i->n_tries == 0 || !u->up || now < u->due_at)
		return false;

	/* Where there is no memory for a new one, the old one is tried on. */
	if (now - i->made_at >= INITIATOR_LIFE)
		(void)!renew(i, now);
	memcpy(ret_msg, i->tries[0].msg, HANDSHAKE_LEN);
	if (now < u->cookie_until)
		(void)!cookie_put_mac2(u->cookie, ret_msg);
	u->hurry = u->hurry == INITIATOR_HURRIED ? INITIATOR_SHOWN : INITIATOR_CALM;
	u->due_at = now + u->gap_ns;
	u->gap_ns = min_ns(2 * u->gap_ns, INITIATOR_GAP_LAST);
	return true;
}

ns_t
initiator_deadline(const struct initiator *i)
{
	ns_t at = NS_NEVER;

	for (size_t n = 0; n < UPLINKS_MAX && i->n_tries > 0; n++) {
		if (i->uplinks[n].up)
			at = min_ns(at, i->uplinks[n].due_at);
	}
	return at;
}

/* How many of the tries an answer may still be to. */
static unsigned
count_tries(const struct initiator *i, ns_t now)
{
	if (i->n_tries == 2 && now - i->made_at >= INITIATOR_GRACE)
		return 1;
	return i->n_tries;
}

static int
take_cookie(struct initiator *i, struct initiator_uplink *u, const uint8_t *data,
	    ns_t now)
{
	int err = -EBADMSG;

	for (unsigned t = 0; t < count_tries(i, now) && err == -EBADMSG; t++)
		err = cookie_open(i->server_pub, i->tries[t].msg, data, u->cookie);
	if (err < 0)
		return err;
	u->cookie_until = now + COOKIE_LIFE;
	if (u->hurry == INITIATOR_CALM) {
		u->hurry = INITIATOR_HURRIED;
		u->due_at = min_ns(u->due_at, now);
	}
	return -EAGAIN;
}

static int
take_response(struct initiator *i, const uint8_t *data, ns_t now,
	      struct initiator_result *ret_result)
{
	int err = -EBADMSG;

	for (unsigned t = 0; t < count_tries(i, now) && err == -EBADMSG; t++)
		err = handshake_finish(&i->tries[t].handshake, data,
				       &ret_result->answer, &ret_result->keys);
	if (err < 0)
		return err;
	crypto_wipe(i->tries, sizeof(i->tries));
	i->n_tries = 0;
	return 0;
}

int
initiator_input(struct initiator *i, unsigned uplink, const uint8_t *data, size_t len,
		ns_t now, struct initiator_result *ret_result)
{
	struct initiator_uplink *u = uplink_of(i, uplink);

	if (!u->up)
		return -EBADMSG;
	if (len == COOKIE_REPLY_LEN)
		return take_cookie(i, u, data, now);
	if (len == HANDSHAKE_LEN)
		return take_response(i, data, now, ret_result);
	return -EBADMSG;
}
