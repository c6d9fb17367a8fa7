/*
 * stream - one proxied TCP connection inside a session, a byte sequence each way.
 *
 *	client  -- OPEN, bytes ... FIN -->  server      both directions end by
 *	        <-- OPENED, bytes ... FIN --            themselves; RESET ends both
 *
 * Model:   the session owns streams and moves their bytes; this module keeps
 *          what belongs to one: buffers, windows, what is still to be said.
 * Units:   bytes of the stream, counted from 0.
 * Bounds:  the peer writes up to the window it was granted, STREAM_WINDOW_MIN to
 *          STREAM_WINDOW_MAX beyond what was consumed; a window never shrinks.
 * Owner:   the session. Others see a stream until they release it.
 * Source:  docs/protocol.md, "Streams"; RFC 9000, 2 to 4.
 */
#ifndef DAEMON_CORE_STREAM_H
#define DAEMON_CORE_STREAM_H

#include "common/base.h"
#include "common/list.h"
#include "daemon/core/reorder.h"
#include "daemon/core/sendbuf.h"

enum {
	STREAM_WINDOW_MIN = 256 * 1024,
	STREAM_WINDOW_MAX = 16 * 1024 * 1024,
	STREAM_YOUNG = 16 * 1024, /* bytes since idle, while it goes before others */
	STREAM_HELD_MIN = 128 * 1024, /* unsent bytes that are always taken */
};

/* What is to be said about a stream, beside its bytes; and what has been heard. */
enum stream_word {
	STREAM_OPEN = 1,
	STREAM_OPENED = 2,
	STREAM_RESET = 4,
	STREAM_MAX = 8,
};

/* What its user has not been told yet (session_next_event()). */
enum stream_news {
	STREAM_NEWS_OPEN = 1,     /* server: the peer asks for a stream */
	STREAM_NEWS_ANSWER = 2,   /* client: what came of it */
	STREAM_NEWS_READABLE = 4, /* bytes in order, or their end */
	STREAM_NEWS_WRITABLE = 8, /* room again */
	STREAM_NEWS_RESET = 16,
	STREAM_NEWS_DONE = 32, /* every byte of ours arrived, and theirs were taken */
};

struct stream {
	struct list by_id;  /* of those in the same place of the session's table */
	struct list turn;   /* of those with bytes to send */
	struct list talk;   /* of those with a word to say */
	struct list told;   /* of those with news */
	struct list hungry; /* of those that the budget refused room */
	uint64_t id;
	void *user;
	struct sendbuf out;
	struct reorder in;
	uint64_t out_limit; /* the peer's window */
	uint64_t window;    /* ours, beyond what was consumed */
	ns_t granted_at;
	uint8_t *request; /* OPEN's: until acknowledged; the server's until taken */
	uint16_t request_len;
	uint8_t status, reset_code;
	uint8_t words;  /* to say: enum stream_word */
	uint8_t heard;  /* OPEN, OPENED, RESET came from the peer */
	uint8_t spoken; /* OPEN, OPENED, RESET are acknowledged */
	uint8_t news;   /* enum stream_news */
	bool reset; /* by either side: nothing more goes out, what comes is counted only */
	bool young, released, starved; /* starved: room was refused, and is awaited */
	uint64_t burst;                /* bytes since idle */
	uint64_t counted; /* bytes that came, against the session's window */
};

struct stream *stream_new(uint64_t id, struct budget *out, struct budget *in);
void stream_free(struct stream *st);

/* Whether it has bytes that the windows let go: `credit` is the session's. */
bool stream_has_data(const struct stream *st, uint64_t credit);
/* Bytes that are to be sent again. */
uint64_t stream_lost(const struct stream *st);
/* Unsent bytes, lost ones included. */
uint64_t stream_backlog(const struct stream *st);

/*
 * `len` bytes were consumed: whether the window is to be granted anew. It
 * doubles while half of it goes within two round trips.
 */
bool stream_consumed(struct stream *st, size_t len, ns_t srtt, ns_t now);

/* Nothing is left to be sent, heard or told. */
bool stream_is_over(const struct stream *st);

#endif
