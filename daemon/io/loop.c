#include "daemon/io/loop.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct signal_slot {
	struct event *event;
	void (*on_signal)(void *arg, int signo);
	void *arg;
};

struct loop {
	struct event_base *base;
	struct list deferred;
	size_t n_signals;
	struct signal_slot signals[LOOP_SIGNALS_MAX];
	int err; /* why the loop cannot go on */
	bool stopped;
};

/*
 * No change list: it relies on descriptors that no other process holds, and
 * would tell the kernel of a closed one. No cached time: timers count from now,
 * not from the start of a long turn.
 */
static struct event_base *
base_new(void)
{
	struct event_config *cfg = event_config_new();
	struct event_base *base = NULL;

	if (cfg == NULL)
		return NULL;
	if (event_config_avoid_method(cfg, "select") == 0 &&
	    event_config_avoid_method(cfg, "poll") == 0 &&
	    event_config_set_flag(cfg, EVENT_BASE_FLAG_NOLOCK |
					       EVENT_BASE_FLAG_IGNORE_ENV |
					       EVENT_BASE_FLAG_NO_CACHE_TIME |
					       EVENT_BASE_FLAG_PRECISE_TIMER) == 0)
		base = event_base_new_with_config(cfg);
	event_config_free(cfg);
	return base;
}

struct loop *
loop_new(void)
{
	struct loop *l = calloc(1, sizeof(*l));

	if (l == NULL)
		return NULL;
	l->base = base_new();
	if (l->base == NULL) {
		free(l);
		return NULL;
	}
	list_init(&l->deferred);
	return l;
}

static void
run_deferred(struct loop *l)
{
	struct list now;

	list_init(&now);
	list_splice(&now, &l->deferred);
	while (!list_empty(&now)) {
		struct deferred *d = list_entry(now.next, struct deferred, node);

		list_remove(&d->node);
		d->run(d);
	}
}

void
loop_free(struct loop *l)
{
	if (l == NULL)
		return;
	while (!list_empty(&l->deferred))
		run_deferred(l);
	for (size_t i = 0; i < l->n_signals; i++)
		event_free(l->signals[i].event);
	event_base_free(l->base);
	free(l);
}

static int
run_turn(struct loop *l)
{
	int flags = EVLOOP_ONCE | EVLOOP_NO_EXIT_ON_EMPTY;

	if (!list_empty(&l->deferred))
		flags |= EVLOOP_NONBLOCK;
	if (event_base_loop(l->base, flags) < 0)
		return -EIO;
	run_deferred(l);
	return l->err;
}

int
loop_run(struct loop *l)
{
	int err = l->err;

	while (err == 0 && !l->stopped)
		err = run_turn(l);
	l->stopped = false;
	return err;
}

/* A turn is never cut short: what else became ready in it is still served. */
void
loop_stop(struct loop *l)
{
	l->stopped = true;
}

ns_t
loop_now(struct loop *l)
{
	struct timespec ts;

	(void)l;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (ns_t)ts.tv_sec * NS_PER_SEC + ts.tv_nsec;
}

/* A lost wake-up would hang its owner for ever; the loop ends instead. */
static void
fail(struct loop *l, int err)
{
	if (l->err == 0)
		l->err = err;
	loop_stop(l);
}

static void
watch_fired(evutil_socket_t fd, short events, void *arg)
{
	struct watch *w = arg;
	int what = 0;

	(void)fd;
	if (events & EV_READ)
		what |= LOOP_READ;
	if (events & EV_WRITE)
		what |= LOOP_WRITE;
	w->on_ready(w->arg, what);
}

int
watch_init(struct watch *w, struct loop *l, int fd,
	   void (*on_ready)(void *arg, int what), void *arg)
{
	struct event *event = event_new(l->base, fd, EV_PERSIST, watch_fired, w);

	if (event == NULL)
		return -ENOMEM;
	*w = (struct watch){
		.loop = l, .event = event, .on_ready = on_ready, .arg = arg, .fd = fd};
	return 0;
}

void
watch_want(struct watch *w, int what)
{
	short events = EV_PERSIST;

	if (what == w->wanted)
		return;
	w->wanted = what;
	event_del(w->event);
	if (what == 0)
		return;
	if (what & LOOP_READ)
		events |= EV_READ;
	if (what & LOOP_WRITE)
		events |= EV_WRITE;
	errno = 0;
	if (event_assign(w->event, w->loop->base, w->fd, events, watch_fired, w) < 0 ||
	    event_add(w->event, NULL) < 0)
		fail(w->loop, errno != 0 ? -errno : -ENOMEM);
}

void
watch_done(struct watch *w)
{
	if (w->event == NULL)
		return;
	event_free(w->event);
	*w = (struct watch){.fd = -1};
}

static void
timer_fired(evutil_socket_t fd, short events, void *arg)
{
	struct timer *t = arg;

	(void)fd;
	(void)events;
	t->on_expire(t->arg);
}

int
timer_init(struct timer *t, struct loop *l, void (*on_expire)(void *arg), void *arg)
{
	struct event *event = evtimer_new(l->base, timer_fired, t);

	if (event == NULL)
		return -ENOMEM;
	*t = (struct timer){
		.event = event, .loop = l, .on_expire = on_expire, .arg = arg};
	return 0;
}

void
timer_set(struct timer *t, ns_t after)
{
	struct timeval tv;
	ns_t us;

	/* Also takes back an expiry that waits in this turn. */
	event_del(t->event);
	if (after == NS_NEVER)
		return;
	us = max_ns(after, 0) / NS_PER_US;
	if (after > us * NS_PER_US)
		us++;
	tv.tv_sec = us / 1000000;
	tv.tv_usec = us % 1000000;
	if (event_add(t->event, &tv) < 0)
		fail(t->loop, -ENOMEM);
}

void
timer_stop(struct timer *t)
{
	event_del(t->event);
}

bool
timer_is_set(const struct timer *t)
{
	return evtimer_pending(t->event, NULL) != 0;
}

void
timer_done(struct timer *t)
{
	if (t->event == NULL)
		return;
	event_free(t->event);
	*t = (struct timer){.event = NULL};
}

void
loop_defer(struct loop *l, struct deferred *d, void (*run)(struct deferred *d))
{
	loop_undefer(d);
	d->run = run;
	list_append(&l->deferred, &d->node);
}

void
loop_undefer(struct deferred *d)
{
	if (d->node.next != NULL)
		list_remove(&d->node);
}

static void
signal_fired(evutil_socket_t signo, short events, void *arg)
{
	struct signal_slot *slot = arg;

	(void)events;
	slot->on_signal(slot->arg, (int)signo);
}

int
loop_on_signal(struct loop *l, int signo, void (*on_signal)(void *arg, int signo),
	       void *arg)
{
	struct signal_slot *slot = &l->signals[l->n_signals];

	if (l->n_signals == LOOP_SIGNALS_MAX)
		return -ENOBUFS;
	slot->event = evsignal_new(l->base, signo, signal_fired, slot);
	if (slot->event == NULL)
		return -ENOMEM;
	if (evsignal_add(slot->event, NULL) < 0) {
		event_free(slot->event);
		return -ENOMEM;
	}
	slot->on_signal = on_signal;
	slot->arg = arg;
	l->n_signals++;
	return 0;
}
