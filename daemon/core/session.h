/*
 * session - the association of two daemons over udp: subflows, streams, keys.
 *
 * Model:   polled; bytes, `now` and a seed in, bytes and events out. The daemon
 *          and the simulator drive the same loop:
 *
 *	for each burst that came:    session_input()
 *	when session_deadline():     session_expire()
 *	until it gives 0:            session_output(), one burst for one subflow
 *	until it gives false:        session_next_event()
 *
 *          The handshake is done before (initiator, responder); its keys
 *          begin a session, which sees to new ones by itself (rekey.h).
 * Units:   bytes, ns of a monotonic clock.
 * Bounds:  SESSION_SUBFLOWS_MAX subflows, max_streams streams, and two budgets
 *          of memory, for what is sent and for what is received.
 * Owner:   the caller owns the session; the session owns streams and subflows.
 *          A stream's pointer is good until session_release().
 * Errors:  0 or -errno.
 * Source:  docs/protocol.md.
 */
#ifndef DAEMON_CORE_SESSION_H
#define DAEMON_CORE_SESSION_H

#include "common/addr.h"
#include "common/base.h"
#include "daemon/core/cc.h"
#include "daemon/core/handshake.h"
#include "daemon/core/rekey.h"
#include "daemon/core/scheduler.h"
#include "daemon/core/stream.h"

enum { SESSION_SUBFLOWS_MAX = 64 }; /* ids 1 to 63, never used for another pair */

enum session_role { SESSION_CLIENT, SESSION_SERVER };

struct session_settings {
	enum session_role role;
	enum aead_alg aead;
	uint32_t index, index_peer; /* 24 bits: in packets to us, and from us */
	enum cc_kind cc;
	enum scheduler_kind scheduler;
	unsigned max_streams;
	size_t memory; /* of each budget, bytes */
	struct rekey_settings rekey;
};

/* NULL: no memory, or a failing cipher. The keys are copied. */
struct session *
session_new(const struct session_settings *cfg, const struct handshake_keys *keys,
	    const uint8_t seed[CRYPTO_KEY_LEN], ns_t now);
void session_free(struct session *s);

/* What came, or is to be sent, by one socket in one go. */
struct burst {
	struct addr local, remote;
	uint32_t via;  /* the caller's number of the socket; a subflow keeps to it */
	uint8_t *data; /* received: opened in place */
	size_t len;    /* of all packets together */
	size_t packet; /* bytes of each, the last one may be shorter */
};

/*
 * Takes in packets of this session, and returns how many opened. Whatever does not
 * is counted and ignored. -ECONNRESET: the peer has broken the protocol, or closed
 * the session: it is over.
 */
int session_input(struct session *s, const struct burst *b, ns_t now) MUST_CHECK;

/* Packets for one subflow, all of one size but the last. Returns their bytes; 0: none. */
size_t session_output(struct session *s, uint8_t *buf, size_t cap,
		      struct burst *ret_burst, ns_t now);

/* It was closed, or broken by either side: nothing goes in or out any more. */
bool session_is_over(const struct session *s);
/* A packet that tells the peer on one subflow that the session is over (MP_FASTCLOSE).
 * 0: not on this one. */
size_t session_farewell(struct session *s, uint8_t subflow, uint8_t *buf, size_t cap,
			struct burst *ret_burst, ns_t now);

/* When session_expire() wants to be called; NS_NEVER: not before something comes. */
ns_t session_deadline(const struct session *s);
void session_expire(struct session *s, ns_t now);

/* Where a subflow goes along. */
struct subflow_way {
	struct addr local, remote;
	uint32_t via;
	uint8_t uplink; /* its id: what the peer calls an address id */
};

/* Client: one more subflow. `known`: the peer has answered there. Its id is
 * returned. -ENOSPC: there were too many; -ENOMEM. */
int session_add_subflow(struct session *s, const struct subflow_way *way, bool known,
			ns_t now) MUST_CHECK;
/* Its socket has gone, or there is one again, with this address. */
void session_subflow_down(struct session *s, uint8_t id, ns_t now);
void
session_subflow_up(struct session *s, uint8_t id, const struct addr *local, ns_t now);
/* Somebody says that it leads nowhere: it has to prove itself, if others live. */
void session_subflow_doubt(struct session *s, uint8_t id, ns_t now);
/* Ends it at both sides, with a reason (enum subflow_end); its id stays its own. What
 * the server gave no final reason for joins again by itself, else the client may have
 * it join again with session_subflow_up(). */
void session_reset_subflow(struct session *s, uint8_t id, uint8_t why, ns_t now);
/* Both directions; at once. */
void session_set_tier(struct session *s, uint8_t id, uint8_t tier);

/* Client: opens a stream; `request` says where to. NULL: no memory, too many. */
struct stream *
session_open(struct session *s, const uint8_t *request, size_t len, void *user);
/* Server: what came of a request; any other than 0 is followed by session_reset(). */
void session_answer(struct session *s, struct stream *st, uint8_t status);

/* Where the next bytes to send may be put; 0 with ret_len: not now, an event will tell. */
uint8_t *session_room(struct session *s, struct stream *st, size_t *ret_len);
void session_written(struct session *s, struct stream *st, size_t len, ns_t now);
void session_end(struct session *s, struct stream *st);
const uint8_t *session_readable(const struct stream *st, size_t *ret_len);
void session_consumed(struct session *s, struct stream *st, size_t len, ns_t now);
/* Ends both directions; the peer is told. `code` is for it to read. */
void session_reset(struct session *s, struct stream *st, uint8_t code);
/* The caller asks no more for this stream; what it wrote is still brought. */
void session_release(struct session *s, struct stream *st);

struct session_event {
	struct stream *stream;
	uint8_t news; /* enum stream_news, several at once */
};
bool session_next_event(struct session *s, struct session_event *ret_event);

struct session_stats {
	uint64_t bytes_in, bytes_out, packets_in, packets_out; /* datagrams' */
	uint64_t stream_bytes_out;  /* new bytes of streams */
	uint64_t resent;            /* bytes of streams that were sent again */
	uint64_t refused;           /* packets that did not open, or were replays */
	uint64_t addrs_refused;     /* ADD_ADDR: forged, or too many */
	uint64_t held_out, held_in; /* bytes of memory, now */
	uint64_t rekeys;            /* times that there were new keys */
	unsigned streams, subflows_active;
};
void session_stats_get(const struct session *s, struct session_stats *ret_stats);

/* What it knows about the subflow with this id; NULL: there is none. */
struct subflow;
const struct subflow *session_subflow(const struct session *s, uint8_t id);

#endif
