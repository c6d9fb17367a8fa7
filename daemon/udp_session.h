/*
 * udp_session - one session of the udp transport at work: where the core meets
 * the loop, the clock and the sockets.
 *
 * Model:   whatever happens asks for a turn of work at the end of the loop's
 *          turn: time that has come, events, packets to send, the next timer.
 *          A burst that finds the socket full waits, and all others behind it,
 *          for UDP_SESSION_HELD at most; then it is lost.
 * Owner:   the caller embeds the struct and ends every stream before _done.
 */
#ifndef DAEMON_UDP_SESSION_H
#define DAEMON_UDP_SESSION_H

#include "common/list.h"
#include "daemon/core/session.h"
#include "daemon/io/loop.h"

#define UDP_SESSION_HELD (20 * NS_PER_MS) /* less than it takes to be missed */

struct udp_session_handler {
	/* A burst to be sent; returns how many of its bytes are seen to, sent or lost.
	 * Fewer than all: the socket is full, and the rest is offered again. */
	size_t (*on_send)(void *arg, const struct burst *b);
	/* `news` of a stream; its user is who opened it, NULL for a new one. */
	void (*on_news)(void *arg, struct stream *st, uint8_t news);
	/* After each turn of work: subflows may have changed. NULL: nobody asks. */
	void (*on_work)(void *arg);
	/* The peer broke the protocol or closed it. It may be _done here. */
	void (*on_over)(void *arg);
	void *arg;
};

struct udp_session {
	struct session *core; /* NULL: not begun */
	struct loop *loop;
	struct timer timer;
	struct deferred work;
	struct udp_session_handler handler;
	uint8_t *out;      /* UDP_SESSION_OUT bytes */
	struct burst held; /* in `out`: what the socket did not take; len 0: nothing */
	ns_t held_at;
};

int
udp_session_init(struct udp_session *us, struct loop *l,
		 const struct session_settings *cfg, const struct handshake_keys *keys,
		 const struct udp_session_handler *handler) MUST_CHECK;
void udp_session_done(struct udp_session *us);

/* Whether anything in it opened. */
bool udp_session_input(struct udp_session *us, const struct burst *b);
/* Something was written, consumed, opened or changed: there may be packets to send. */
void udp_session_touch(struct udp_session *us);

#endif
