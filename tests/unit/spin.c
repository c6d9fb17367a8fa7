#include "tests/unit/unit.h"

#include "tests/unit/spin.h"

struct run {
	struct loop *loop;
	struct timer timer;
	bool (*done)(void *arg);
	void *arg;
	ns_t until;
	bool is_done;
};

static void
on_tick(void *arg)
{
	struct run *r = arg;

	r->is_done = r->done != NULL && r->done(r->arg);
	if (r->is_done || loop_now(r->loop) >= r->until)
		loop_stop(r->loop);
	else
		timer_set(&r->timer, NS_PER_MS);
}

bool
spin_until(struct loop *l, bool (*done)(void *arg), void *arg, ns_t patience)
{
	struct run r = {.loop = l, .done = done, .arg = arg};

	r.until = loop_now(l) + patience;
	assert_int_equal(timer_init(&r.timer, l, on_tick, &r), 0);
	timer_set(&r.timer, 0);
	assert_int_equal(loop_run(l), 0);
	timer_done(&r.timer);
	return r.is_done;
}

void
spin_for(struct loop *l, ns_t span)
{
	(void)spin_until(l, NULL, NULL, span);
}
