/*
 * session_parts - what the files of the session share; nobody else
 * includes it, but the tests that look behind its header.
 *
 *	session.c          life, streams, events, deadlines
 *	session_in.c       packets that came: opens them, reads their frames
 *	session_out.c      which subflow carries what
 *	session_copy.c     copies of what would arrive too late
 *	session_fate.c     what became of what was sent
 *	session_subflow.c  joins, health, priorities
 *	session_end.c      the end of one subflow, and its return
 *	session_addr.c     addresses of the server
 */
#ifndef DAEMON_CORE_SESSION_PARTS_H
#define DAEMON_CORE_SESSION_PARTS_H

#include "common/list.h"
#include "daemon/core/numbers.h"
#include "daemon/core/session.h"
#include "daemon/core/session_addr.h"
#include "daemon/core/subflow.h"

enum {
	STREAM_BUCKETS = 1024, /* 2^10: see bucket() */
	FEED_BLOCKS = 4,       /* free again, before who waits for one is told */
	SPARE_BLOCKS = 64, /* 1 MB: what a busy session lets go comes back at once */
	TURN_BYTES = 16 * 1024, /* of one stream, before the next one's turn */
	/* A stream's frame is not begun in less room, unless the packet is empty. */
	FRAME_ROOM_MIN = 64,
};

struct session {
	struct session_settings cfg;
	struct rekey rekey;
	struct prng rng;
	uint8_t key_a[8], key_b[8];
	uint32_t token_local, token_peer;
	bool broken, closed;
	ns_t now; /* of the call that is running */

	struct subflow *subflows[SESSION_SUBFLOWS_MAX]; /* by id */
	uint8_t next_subflow; /* client: the id that is given away next */
	uint8_t turn;         /* the subflow that is asked first */

	struct list streams[STREAM_BUCKETS];
	unsigned n_streams;
	uint64_t next_stream;
	struct numbers *seen; /* server: ids that have been streams */
	struct list young, bulk, talk, told, hungry;
	uint64_t salt;      /* of the streams' buckets; odd */
	bool credit_back;   /* the session's window was used up, and has moved */
	uint64_t turn_left; /* bytes of the bulk stream whose turn it is */

	struct budget held_out, held_in;
	uint64_t out_total,
		out_limit; /* new bytes of all streams, and the peer's window */
	uint64_t in_total, in_consumed, in_limit; /* the same of the other direction */
	bool tell_session_max;
	struct addrs addrs;
	bool tell_subflows; /* MP_PRIO, MP_TCPRST: by any of them */
	bool waited;
	ns_t wake_at; /* when a subflow that data wait for may be ready */

	uint64_t copied;  /* bytes */
	ns_t fresh_until; /* young streams have just sent all they had */
	struct session_stats stats;
};

/* session.c */
struct stream *session_find_stream(const struct session *s, uint64_t id);
/* Server: a stream that the peer begins. NULL: it had its time, or no room. */
struct stream *session_new_stream(struct session *s, uint64_t id);
void session_say(struct session *s, struct stream *st, uint8_t word);
void session_tell(struct session *s, struct stream *st, uint8_t news);
/* Puts it where the scheduler finds it, or takes it away. */
void session_turn(struct session *s, struct stream *st);
/* Frees it if nothing is left to do. */
void session_reap(struct session *s, struct stream *st);
/* Whoever the budget refused is told when there is room again. */
void session_feed(struct session *s);
uint64_t session_credit(const struct session *s);
/* All of them: the session's window has moved. */
void session_turn_all(struct session *s);
/* Whether this id has been a stream, and is no more. */
bool session_is_past(const struct session *s, uint64_t id);
/* Bytes that a stream will not bring any more count as consumed. */
void session_give_up_input(struct session *s, struct stream *st);

/* session_copy.c */
/* Nothing new goes out: `by`, which is ready, repeats what others bring later. */
size_t session_copy(struct session *s, struct subflow *by, uint8_t *buf);

/* session_fate.c */
/* Reads what loss_take() hands out: chunks arrive, or are to be sent again. */
void session_settle(struct session *s, struct subflow *sf);
/* After an acknowledgement or time: congestion control hears of it. */
void session_sampled(struct session *s, struct subflow *sf, struct loss_sample *sample,
		     ns_t now);

/* session_subflow.c */
/* The one after `sf`, by id; after NULL the first. NULL: there is none. */
struct subflow *session_next_subflow(const struct session *s, const struct subflow *sf);
#define session_for_each(sf, s)                                              \
	for (struct subflow *sf = session_next_subflow(s, NULL); sf != NULL; \
	     sf = session_next_subflow(s, sf))
/* `counter`: of its packet. */
void session_on_join(struct session *s, struct subflow *sf, const struct frame *f,
		     uint64_t counter, ns_t now);
int session_join_hmac(const struct session *s, const struct subflow *sf, bool by_client,
		      uint8_t ret_mac[CRYPTO_HASH_LEN]) MUST_CHECK;
void session_on_response(struct subflow *sf, const uint8_t data[8], ns_t now);
/* The subflow with this id; server: makes it for a JOIN. */
struct subflow *
session_accept_subflow(struct session *s, uint8_t id, const struct burst *b, ns_t now);
/* What is outstanding goes to the others. */
void session_give_up_flight(struct session *s, struct subflow *sf, ns_t now);
bool session_has_active(const struct session *s, const struct subflow *except);
/* Silence: suspicion, probes, death. */
void session_check_health(struct session *s, struct subflow *sf, ns_t now);
/* By the two best subflows: question, answer or request of new keys. */
void session_say_rekey(struct session *s);
ns_t session_slowest_rtt(const struct session *s);
ns_t session_slowest_pto(const struct session *s);

/* session_end.c */
/* The peer is told; `sf` may have ended before. */
void session_end_subflow(struct session *s, struct subflow *sf, uint8_t why, ns_t now);
void session_on_reset(struct session *s, uint8_t id, uint8_t why, ns_t now);
/* Until it is acknowledged, or the peer is silent there. */
void session_say_end(struct session *s, struct subflow *sf, ns_t now);
/* It ended, and the peer does not know. */
void session_heard_ended(struct session *s, struct subflow *sf, ns_t now);
/* ENDED joins again. False: not now. */
bool session_rejoin(struct session *s, struct subflow *sf, ns_t now);
/* Server: the client begins it anew. False: it may not. */
bool session_accept_rejoin(struct session *s, struct subflow *sf, ns_t now);

/* session_addr.c */
void session_on_addr(struct session *s, const struct frame *f, ns_t now);
ns_t session_addrs_deadline(const struct session *s);
void session_addrs_expire(struct session *s, ns_t now);
/* Of a REMOVE_ADDR. */
void session_addr_fate(struct session *s, uint8_t id, bool arrived);

#endif
