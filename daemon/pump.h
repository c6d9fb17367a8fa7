/*
 * pump - moves the bytes of one stream between its local socket and its leg.
 *
 * Model:   two directions, each sealed (records) or plain, each ending by
 *          itself:
 *
 *	up:    local --pump_pull()--> sealed or spliced --> leg
 *	down:  leg --(owner opens records)--> pump_push(), pump_flush() --> local
 *	       leg --(owner reads plain bytes)-'
 *
 *          Plain bytes are spliced up only: a kernel MPTCP socket cannot give
 *          its pages away, and copies to a pipe what a read would copy to a
 *          scratch that stays in the processor's cache.
 *
 *	  PUMP_SEALED --PLAIN record--> PUMP_PLAIN
 *	       '------------ FIN -----------+------> PUMP_ENDED
 *
 *          ("up" and "down" are as seen from the local socket, on both sides.)
 *          Nothing is read on one side while the other has not taken what was
 *          read before: that is the back-pressure, and the memory bound.
 * Bounds:  SCRATCH_SIZE bytes wait for the local socket at most, less while it
 *          is slow; a pipe while bytes wait in it on their way up.
 * Owner:   the stream embeds it; pump_done() closes the local socket.
 * Errors:  0 or -errno; after an error both sides are to be reset.
 */
#ifndef DAEMON_PUMP_H
#define DAEMON_PUMP_H

#include "common/base.h"
#include "daemon/io/loop.h"
#include "daemon/leg.h"

#include <sys/uio.h>

enum {
	PUMP_PARTS_MAX = 64, /* pieces of one gathered write */
	PUMP_READ_MIN = 16 * 1024,
	PUMP_PIPE_SIZE = 512 * 1024,
};

struct pump_pipe {
	int r, w; /* -1: none */
	size_t held;
};

/* One for all pumps of a tunnel. */
struct pump_shared {
	struct scratch scratch;
	struct pump_pipe spare;             /* empty, or none */
	struct iovec parts[PUMP_PARTS_MAX]; /* in the scratch, during one turn */
	size_t n_parts;
};

enum pump_flow { PUMP_SEALED, PUMP_PLAIN, PUMP_ENDED };

struct pump {
	struct pump_shared *shared;
	struct leg *leg;
	struct watch watch; /* of fd */
	int fd;             /* local; -1 until attached */
	enum pump_flow up, down;
	bool offers_plain; /* client: turn plain if it starts as TLS does */
	bool turns_plain;  /* server: the client did, so we do */
	bool was_plain;    /* up is plain, or was before it ended */
	bool shut;         /* local was told that down has ended */
	uint8_t *late;     /* opened, not yet taken by local */
	size_t late_off, late_len;
	struct pump_pipe up_pipe;
	size_t read_budget;
	uint64_t bytes_up, bytes_down;
};

void pump_init(struct pump *p, struct pump_shared *shared, struct leg *leg);
int pump_attach(struct pump *p, struct loop *loop, int fd,
		void (*on_ready)(void *arg, int what), void *arg) MUST_CHECK;
void pump_done(struct pump *p, bool reset);
void pump_shared_init(struct pump_shared *sh);
void pump_shared_done(struct pump_shared *sh);

/* Moves what the local socket has, `early` bytes first. */
int pump_early(struct pump *p, const uint8_t *early, size_t len) MUST_CHECK;
int pump_pull(struct pump *p) MUST_CHECK;

/* Hands over opened or plain bytes, which must stay in place until pump_flush(). */
int pump_push(struct pump *p, uint8_t *bytes, size_t len) MUST_CHECK;
/* Writes what was handed over, and keeps what the local socket does not take. */
int pump_flush(struct pump *p) MUST_CHECK;
/* The peer sent PLAIN; the server answers in kind. -EPROTO: it may not now. */
int pump_down_is_plain(struct pump *p, bool server) MUST_CHECK;
/* The peer's FIN: down ends once all is written. */
int pump_down_ends(struct pump *p) MUST_CHECK;

/* The leg is writable: sends what waits there. */
int pump_flush_leg(struct pump *p) MUST_CHECK;

bool pump_wants_leg_read(const struct pump *p);
/* Sets what both watches wait for; `leg_read` the owner's wish. */
void pump_want(struct pump *p, bool leg_read);
/* Both directions have ended and nothing waits. */
bool pump_is_done(const struct pump *p);

#endif
