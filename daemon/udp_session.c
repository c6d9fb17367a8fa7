#include "daemon/udp_session.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* A full socket holds several milliseconds of its device. */
#define RETRY NS_PER_MS

enum {
	OUT_SIZE = 64 * 1024, /* one burst */
	BURSTS_A_TURN = 32,   /* before others have their turn */
};

static void
tell_news(struct udp_session *us)
{
	struct session_event ev;

	while (session_next_event(us->core, &ev))
		us->handler.on_news(us->handler.arg, ev.stream, ev.news);
}

/* False: the socket is full. */
static bool
send_held(struct udp_session *us, ns_t now)
{
	size_t n = us->handler.on_send(us->handler.arg, &us->held);

	if (n < us->held.len && now - us->held_at < UDP_SESSION_HELD) {
		us->held.data += n;
		us->held.len -= n;
		return false;
	}
	us->held.len = 0;
	return true;
}

/* False: there is more to send, and it can be sent. */
static bool
send_all(struct udp_session *us, ns_t now)
{
	for (int i = 0; i < BURSTS_A_TURN; i++) {
		if (us->held.len == 0) {
			us->held_at = now;
			if (session_output(us->core, us->out, OUT_SIZE, &us->held,
					   now) == 0)
				return true;
		}
		if (!send_held(us, now))
			return true;
	}
	return false;
}

static void
work(struct deferred *d)
{
	struct udp_session *us = container_of(d, struct udp_session, work);
	ns_t now = loop_now(us->loop), at;

	if (us->core == NULL)
		return;
	if (session_deadline(us->core) <= now)
		session_expire(us->core, now);
	tell_news(us);
	if (!send_all(us, now))
		udp_session_touch(us);
	if (session_is_over(us->core)) {
		us->handler.on_over(us->handler.arg);
		return;
	}
	if (us->handler.on_work != NULL)
		us->handler.on_work(us->handler.arg);
	at = session_deadline(us->core);
	if (us->held.len > 0)
		timer_set(&us->timer, RETRY);
	else
		timer_set(&us->timer, at == NS_NEVER ? NS_NEVER : max_ns(at - now, 0));
}

static void
on_timer(void *arg)
{
	udp_session_touch(arg);
}

void
udp_session_touch(struct udp_session *us)
{
	loop_defer(us->loop, &us->work, work);
}

int
udp_session_init(struct udp_session *us, struct loop *l,
		 const struct session_settings *cfg, const struct handshake_keys *keys,
		 const struct udp_session_handler *handler)
{
	uint8_t seed[CRYPTO_KEY_LEN];
	int err = -ENOMEM;

	memset(us, 0, sizeof(*us));
	us->loop = l;
	us->handler = *handler;
	if (getrandom(seed, sizeof(seed), 0) != (ssize_t)sizeof(seed))
		return -EIO;
	us->out = malloc(OUT_SIZE);
	if (us->out == NULL)
		goto out;
	us->core = session_new(cfg, keys, seed, loop_now(l));
	if (us->core != NULL)
		err = timer_init(&us->timer, l, on_timer, us);
out:
	crypto_wipe(seed, sizeof(seed));
	if (err < 0)
		udp_session_done(us);
	return err;
}

/* The peer need not find out by itself. */
static void
say_farewell(struct udp_session *us)
{
	struct burst b;

	for (unsigned id = 0; id < SESSION_SUBFLOWS_MAX && !session_is_over(us->core);
	     id++) {
		if (session_farewell(us->core, (uint8_t)id, us->out, OUT_SIZE, &b,
				     loop_now(us->loop)) > 0)
			(void)us->handler.on_send(us->handler.arg, &b);
	}
}

void
udp_session_done(struct udp_session *us)
{
	if (us->core != NULL)
		say_farewell(us);
	timer_done(&us->timer);
	loop_undefer(&us->work);
	session_free(us->core);
	free(us->out);
	us->core = NULL;
	us->out = NULL;
}

bool
udp_session_input(struct udp_session *us, const struct burst *b)
{
	int opened;

	if (us->core == NULL)
		return false;
	/* Whether it is over is asked in work(). */
	opened = session_input(us->core, b, loop_now(us->loop));
	udp_session_touch(us);
	return opened > 0;
}
