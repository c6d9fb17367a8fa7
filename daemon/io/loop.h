/*
 * loop - the event loop; the only home of libevent's types.
 *
 * Model:   watches (a descriptor may be read or written), timers (one shot, at
 *          a monotonic instant), signals, and a list of things to do when the
 *          turn is over. An object that may be named by another callback of
 *          the same turn is freed there, never in the middle of a turn.
 * Owner:   the caller embeds the structs, zeroed at first; loop_free() comes
 *          after all _done. An object may be _done in its own callback.
 * Errors:  0 or -errno; -ENOMEM.
 */
#ifndef DAEMON_IO_LOOP_H
#define DAEMON_IO_LOOP_H

#include "common/base.h"
#include "common/list.h"

struct event;
struct loop;

enum { LOOP_READ = 1, LOOP_WRITE = 2 };
enum { LOOP_SIGNALS_MAX = 8 };

struct watch {
	struct loop *loop;
	struct event *event;
	void (*on_ready)(void *arg, int what); /* what: LOOP_READ and LOOP_WRITE */
	void *arg;
	int fd;
	int wanted;
};

struct timer {
	struct event *event;
	struct loop *loop;
	void (*on_expire)(void *arg);
	void *arg;
};

struct deferred {
	struct list node;
	void (*run)(struct deferred *d);
};

struct loop *loop_new(void);    /* NULL: no memory, or no epoll */
void loop_free(struct loop *l); /* runs what is still deferred */
/* Runs until loop_stop(). An error: a watch or a timer could not be set. */
int loop_run(struct loop *l) MUST_CHECK;
void loop_stop(struct loop *l); /* at the end of this turn; before a run: at once */
/* CLOCK_MONOTONIC; read once a turn is enough for most, this reads it anew. */
ns_t loop_now(struct loop *l);

/* The fd stays the caller's. Nothing is wanted at first. */
int watch_init(struct watch *w, struct loop *l, int fd,
	       void (*on_ready)(void *arg, int what), void *arg) MUST_CHECK;
void watch_want(struct watch *w, int what); /* exactly these from now on */
void watch_done(struct watch *w); /* idempotent on a zeroed struct; before close(fd) */

int timer_init(struct timer *t, struct loop *l, void (*on_expire)(void *arg),
	       void *arg) MUST_CHECK;
/* From now; replaces an earlier one. NS_NEVER stops the timer. */
void timer_set(struct timer *t, ns_t after);
void timer_stop(struct timer *t);
bool timer_is_set(const struct timer *t);
void timer_done(struct timer *t); /* idempotent on a zeroed struct */

/*
 * Runs d->run once, after all callbacks of this turn; what a run defers waits
 * for the end of the next. Deferred twice, it still runs once, the later `run`.
 */
void loop_defer(struct loop *l, struct deferred *d, void (*run)(struct deferred *d));
void loop_undefer(struct deferred *d); /* idempotent on a zeroed struct */

/*
 * At most LOOP_SIGNALS_MAX, on one loop of the process. on_signal runs in the
 * loop, not in the handler. -ENOBUFS: one signal too many.
 */
int loop_on_signal(struct loop *l, int signo, void (*on_signal)(void *arg, int signo),
		   void *arg) MUST_CHECK;

#endif
