/*
 * initiator - the client's end of the handshake over udp, raced on all uplinks.
 *
 * Model:   one initiation goes out on every uplink that is up, again and again
 *          until an answer opens; whichever uplink brings it has won. So no
 *          uplink is the master.
 *
 *	on each uplink:  0 --0.25 s--> --0.5 s--> --1 s--> --2 s--> --2 s--> ...
 *
 *          After INITIATOR_LIFE a new ephemeral key takes its turn; an answer
 *          to the one before counts for INITIATOR_GRACE more. A server under
 *          load answers with a cookie: it goes into the copies of that uplink,
 *          the next of which leaves at once.
 * Units:   ns of a monotonic clock. Uplinks by their ids, 1 to UPLINKS_MAX.
 * Bounds:  a cookie hurries one copy between two that were due anyway.
 * Owner:   the caller owns the struct, from initiator_init() to
 *          initiator_done(), which wipes it. The secrets are copied.
 * Errors:  0 or -errno; after an error nothing has changed.
 * Source:  docs/protocol.md, "On the udp transport", "Cookies".
 */
#ifndef DAEMON_CORE_INITIATOR_H
#define DAEMON_CORE_INITIATOR_H

#include "common/base.h"
#include "daemon/core/cookie.h"
#include "daemon/core/crypto.h"
#include "daemon/core/handshake.h"
#include "daemon/core/limits.h"

#define INITIATOR_GAP_FIRST (250 * NS_PER_MS) /* between two copies on an uplink */
#define INITIATOR_GAP_LAST  (2 * NS_PER_SEC)
#define INITIATOR_LIFE      (8 * NS_PER_SEC)
/* The server forgets what nobody uses after SESSION_PENDING_LIFE: see there. */
#define INITIATOR_GRACE     (2 * NS_PER_SEC)

struct initiator_uplink {
	bool up;
	enum initiator_hurry {
		INITIATOR_CALM,
		INITIATOR_HURRIED, /* a cookie has come, and is not yet shown */
		INITIATOR_SHOWN,   /* it is; the next one waits */
	} hurry;
	ns_t due_at, gap_ns;
	ns_t cookie_until; /* before: `cookie` is to be shown */
	uint8_t cookie[COOKIE_LEN];
};

struct initiator_try {
	struct handshake handshake;
	uint8_t msg[HANDSHAKE_LEN];
};

struct initiator {
	uint8_t priv[CRYPTO_KEY_LEN], server_pub[CRYPTO_KEY_LEN], psk[CRYPTO_KEY_LEN];
	struct handshake_offer offer;
	struct prng rng;
	struct initiator_try tries[2]; /* the newest, and the one before */
	unsigned n_tries;              /* 0: an answer has opened */
	ns_t made_at;                  /* the newest */
	struct initiator_uplink uplinks[UPLINKS_MAX]; /* by id - 1 */
};

/* No uplink is up at first. */
int initiator_init(struct initiator *i, const struct handshake_secrets *secrets,
		   const struct handshake_offer *offer,
		   const uint8_t seed[CRYPTO_KEY_LEN], ns_t now) MUST_CHECK;
void initiator_done(struct initiator *i);

/* Up: it begins anew, also when its address has become another one. */
void initiator_set_uplink(struct initiator *i, unsigned uplink, bool is_up, ns_t now);

/* Whether a copy is due on this uplink, which is then to be sent. */
bool initiator_output(struct initiator *i, unsigned uplink, ns_t now,
		      uint8_t ret_msg[HANDSHAKE_LEN]);

/* When a copy is due on some uplink; NS_NEVER: on none. */
ns_t initiator_deadline(const struct initiator *i);

struct initiator_result {
	struct handshake_answer answer;
	struct handshake_keys keys;
};

/*
 * Takes a datagram that came over this uplink. 0: the session is made; there is
 * nothing more to send or to take in.
 *
 * -EBADMSG          nothing for this handshake: ignore it
 * -EAGAIN           a cookie: the deadline may have come nearer
 * -EPROTONOSUPPORT  the server authenticated itself and refused our version;
 *                   ret_result->answer says which it speaks. The race goes on:
 *                   it may be upgraded
 * -EPROTO           it chose an AEAD that we did not offer; the race goes on
 */
int
initiator_input(struct initiator *i, unsigned uplink, const uint8_t *data, size_t len,
		ns_t now, struct initiator_result *ret_result) MUST_CHECK;

#endif
