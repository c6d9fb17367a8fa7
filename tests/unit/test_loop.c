#include "tests/unit/unit.h"

#include "daemon/io/loop.h"
#include "tests/unit/clock.h"
#include "tests/unit/seed.h"
#include "tests/unit/spin.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* What happened, a letter each, in order. */
struct trace {
	char s[64];
};

static void
note(struct trace *t, char c)
{
	size_t len = strlen(t->s);

	assert_true(len + 1 < sizeof(t->s));
	t->s[len] = c;
}

struct stopper {
	struct deferred d;
	struct loop *l;
};

static void
stop_run(struct deferred *d)
{
	loop_stop(container_of(d, struct stopper, d)->l);
}

/* One turn that does not wait: it ends with the deferred stop. */
static void
one_turn(struct loop *l)
{
	struct stopper s = {.l = l};

	loop_defer(l, &s.d, stop_run);
	assert_int_equal(loop_run(l), 0);
}

struct end {
	struct loop *l;
	struct watch w;
	int fds[2];
	int calls;
	int what;
	struct end *victim; /* done when this one is called */
};

static void
end_ready(void *arg, int what)
{
	struct end *e = arg;

	e->calls++;
	e->what = what;
	if (e->victim != NULL)
		watch_done(&e->victim->w);
}

static void
end_open(struct end *e, struct loop *l)
{
	*e = (struct end){.l = l};
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, e->fds),
			 0);
	assert_int_equal(watch_init(&e->w, l, e->fds[0], end_ready, e), 0);
}

static void
end_close(struct end *e)
{
	watch_done(&e->w);
	close(e->fds[0]);
	close(e->fds[1]);
}

static void
test_watch_done_in_a_callback_of_the_turn(void **state)
{
	struct loop *l = loop_new();
	struct end a, b;

	(void)state;
	end_open(&a, l);
	end_open(&b, l);
	a.victim = &b;
	b.victim = &a;
	watch_want(&a.w, LOOP_WRITE);
	watch_want(&b.w, LOOP_WRITE);
	one_turn(l);
	assert_int_equal(a.calls + b.calls, 1);
	one_turn(l);
	assert_int_equal(a.calls + b.calls, 2);

	a.calls = b.calls = 0;
	end_close(&a);
	end_close(&b);
	end_open(&a, l);
	a.victim = &a;
	watch_want(&a.w, LOOP_WRITE | LOOP_READ);
	one_turn(l);
	one_turn(l);
	assert_int_equal(a.calls, 1);
	assert_int_equal(a.what, LOOP_WRITE);
	end_close(&a);
	loop_free(l);
}

static void
heap_ready(void *arg, int what)
{
	struct end *e = arg;

	(void)what;
	watch_done(&e->w);
	close(e->fds[0]);
	close(e->fds[1]);
	e->l = NULL;
	free(e);
}

static void
heap_expire(void *arg)
{
	struct timer *t = arg;

	timer_done(t);
	free(t);
}

static void
test_the_object_may_go_in_its_own_callback(void **state)
{
	struct loop *l = loop_new();
	struct end *e = calloc(1, sizeof(*e));
	struct timer *t = calloc(1, sizeof(*t));

	(void)state;
	assert_int_equal(pipe(e->fds), 0);
	assert_int_equal(watch_init(&e->w, l, e->fds[1], heap_ready, e), 0);
	watch_want(&e->w, LOOP_WRITE);
	assert_int_equal(timer_init(t, l, heap_expire, t), 0);
	timer_set(t, 0);
	spin_for(l, 5 * NS_PER_MS);
	loop_free(l);
}

/* Random interests and bytes against what poll(2) promises, turn by turn. */
static void
test_watches_against_a_model(void **state)
{
	enum { N = 12, TURNS = 400 };
	struct loop *l = loop_new();
	struct end ends[N];
	bool has_bytes[N] = {false};
	unsigned seed = seed_choose();

	(void)state;
	srand(seed);
	for (size_t i = 0; i < N; i++)
		end_open(&ends[i], l);
	for (int turn = 0; turn < TURNS; turn++) {
		for (size_t i = 0; i < N; i++) {
			struct end *e = &ends[i];
			char c = 0;

			for (int times = rand() % 4; times > 0; times--)
				watch_want(&e->w, rand() % 4);
			if (has_bytes[i] && rand() % 2 == 0) {
				assert_int_equal(read(e->fds[0], &c, 1), 1);
				has_bytes[i] = false;
			} else if (!has_bytes[i] && rand() % 2 == 0) {
				assert_int_equal(write(e->fds[1], &c, 1), 1);
				has_bytes[i] = true;
			}
			e->calls = e->what = 0;
		}
		one_turn(l);
		for (size_t i = 0; i < N; i++) {
			int ready = LOOP_WRITE | (has_bytes[i] ? LOOP_READ : 0);
			int expected = ends[i].w.wanted & ready;

			assert_int_equal(ends[i].what, expected);
			assert_int_equal(ends[i].calls, expected != 0);
		}
	}
	for (size_t i = 0; i < N; i++)
		end_close(&ends[i]);
	loop_free(l);
}

static void
test_a_hangup_does_not_spin_when_nothing_is_wanted(void **state)
{
	struct loop *l = loop_new();
	struct end e;

	(void)state;
	end_open(&e, l);
	watch_want(&e.w, LOOP_READ);
	watch_want(&e.w, 0);
	close(e.fds[1]);
	spin_for(l, 5 * NS_PER_MS);
	assert_int_equal(e.calls, 0);
	watch_want(&e.w, LOOP_READ);
	one_turn(l);
	assert_int_equal(e.what, LOOP_READ);
	watch_done(&e.w);
	watch_done(&e.w);
	close(e.fds[0]);
	loop_free(l);
}

static void
test_a_descriptor_number_used_again(void **state)
{
	struct loop *l = loop_new();
	struct end a, b;

	(void)state;
	for (int round = 0; round < 3; round++) {
		end_open(&a, l);
		watch_want(&a.w, LOOP_READ);
		/* A copy keeps the old file alive, as another process would. */
		int copy = dup(a.fds[0]);
		int other = a.fds[1];

		watch_done(&a.w);
		close(a.fds[0]);
		end_open(&b, l);
		assert_int_equal(b.fds[0], a.fds[0]);
		assert_int_equal(write(other, "x", 1), 1);
		watch_want(&b.w, LOOP_READ);
		one_turn(l);
		assert_int_equal(b.calls, 0);
		assert_int_equal(write(b.fds[1], "x", 1), 1);
		one_turn(l);
		assert_int_equal(b.what, LOOP_READ);
		end_close(&b);
		close(copy);
		close(other);
	}
	loop_free(l);
}

static void
test_what_cannot_be_watched_ends_the_loop(void **state)
{
	struct loop *l = loop_new();
	FILE *file = tmpfile();
	struct watch w;

	(void)state;
	assert_non_null(file);
	assert_int_equal(watch_init(&w, l, fileno(file), end_ready, NULL), 0);
	watch_want(&w, LOOP_READ);
	assert_int_equal(loop_run(l), -EPERM);
	watch_done(&w);
	fclose(file);
	loop_free(l);
}

struct job {
	struct deferred d;
	struct trace *t;
	struct loop *l;
	struct job *next; /* deferred by this one */
	char letter;
};

static void
job_run(struct deferred *d)
{
	struct job *j = container_of(d, struct job, d);

	note(j->t, j->letter);
	if (j->next != NULL)
		loop_defer(j->l, &j->next->d, job_run);
}

static void
job_run_loudly(struct deferred *d)
{
	note(container_of(d, struct job, d)->t, '!');
	job_run(d);
}

static void
test_deferred_run_once_in_order(void **state)
{
	struct loop *l = loop_new();
	struct trace t = {{0}};
	struct job a = {.t = &t, .l = l, .letter = 'a'};
	struct job b = {.t = &t, .l = l, .letter = 'b'};
	struct job c = {.t = &t, .l = l, .letter = 'c'};
	struct job later = {.t = &t, .l = l, .letter = 'L'};

	(void)state;
	a.next = &later;
	loop_defer(l, &a.d, job_run);
	loop_defer(l, &b.d, job_run);
	loop_defer(l, &c.d, job_run);
	loop_defer(l, &b.d, job_run_loudly); /* goes to the end */
	one_turn(l);
	assert_string_equal(t.s, "ac!b");
	one_turn(l);
	assert_string_equal(t.s, "ac!bL");

	a.next = NULL;
	loop_undefer(&a.d);
	loop_defer(l, &a.d, job_run);
	loop_undefer(&a.d);
	one_turn(l);
	assert_string_equal(t.s, "ac!bL");

	/* One that defers itself for ever does not keep the turn. */
	a.next = &a;
	loop_defer(l, &a.d, job_run);
	one_turn(l);
	one_turn(l);
	assert_string_equal(t.s, "ac!bLaa");

	/* What is left runs before the loop goes. */
	a.next = &b;
	loop_free(l);
	assert_string_equal(t.s, "ac!bLaaab");
}

struct undefers {
	struct job j;
	struct job *victim;
};

static void
run_undefer(struct deferred *d)
{
	loop_undefer(&container_of(d, struct undefers, j.d)->victim->d);
}

static void
test_undeferred_by_an_earlier_one_of_the_turn(void **state)
{
	struct loop *l = loop_new();
	struct trace t = {{0}};
	struct job b = {.t = &t, .l = l, .letter = 'b'};
	struct undefers a = {.victim = &b};

	(void)state;
	loop_defer(l, &a.j.d, run_undefer);
	loop_defer(l, &b.d, job_run);
	one_turn(l);
	assert_string_equal(t.s, "");
	loop_free(l);
}

struct in_turn {
	struct loop *l;
	struct trace t;
	struct job j;
};

static void
ready_then_defer(void *arg, int what)
{
	struct in_turn *x = arg;

	(void)what;
	note(&x->t, 'r');
	if (x->j.d.node.next == NULL)
		loop_defer(x->l, &x->j.d, job_run);
	loop_stop(x->l);
}

static void
test_deferred_and_stop_wait_for_all_of_the_turn(void **state)
{
	struct in_turn x = {.l = loop_new()};
	struct watch w[3];
	int fds[2];

	(void)state;
	x.j = (struct job){.t = &x.t, .l = x.l, .letter = 'd'};
	assert_int_equal(pipe(fds), 0);
	for (size_t i = 0; i < ARRAY_LEN(w); i++) {
		assert_int_equal(watch_init(&w[i], x.l, fds[1], ready_then_defer, &x),
				 0);
		watch_want(&w[i], LOOP_WRITE);
	}
	assert_int_equal(loop_run(x.l), 0);
	assert_string_equal(x.t.s, "rrrd");
	for (size_t i = 0; i < ARRAY_LEN(w); i++)
		watch_done(&w[i]);
	close(fds[0]);
	close(fds[1]);

	loop_stop(x.l);
	assert_int_equal(loop_run(x.l), 0); /* would wait for ever */
	loop_free(x.l);
}

struct alarm {
	struct timer timer;
	struct loop *l;
	struct trace *t;
	struct alarm *stops;
	struct alarm *sets; /* after a long turn */
	ns_t due_at;
	char letter;
	int again; /* times to set itself anew */
};

static void
alarm_set(struct alarm *a, ns_t after)
{
	a->due_at = after < NS_PER_SEC ? loop_now(a->l) + after : NS_NEVER;
	timer_set(&a->timer, after);
	assert_int_equal(timer_is_set(&a->timer), after != NS_NEVER);
}

static void
busy_wait(struct loop *l, ns_t span)
{
	ns_t until = loop_now(l) + span;

	while (loop_now(l) < until)
		;
}

static void
alarm_expire(void *arg)
{
	struct alarm *a = arg;

	assert_true(loop_now(a->l) >= a->due_at);
	assert_false(timer_is_set(&a->timer));
	note(a->t, a->letter);
	if (a->stops != NULL)
		timer_stop(&a->stops->timer);
	if (a->sets != NULL) {
		busy_wait(a->l, 3 * NS_PER_MS);
		alarm_set(a->sets, 2 * NS_PER_MS);
	}
	if (a->again-- > 0)
		timer_set(&a->timer, 0);
}

static void
alarm_init(struct alarm *a, struct loop *l, struct trace *t, char letter)
{
	*a = (struct alarm){.l = l, .t = t, .letter = letter};
	assert_int_equal(timer_init(&a->timer, l, alarm_expire, a), 0);
}

static void
test_timers_in_order_and_replaced(void **state)
{
	struct loop *l = loop_new();
	struct trace t = {{0}};
	struct alarm a, b, c, d;

	(void)state;
	alarm_init(&a, l, &t, 'a');
	alarm_init(&b, l, &t, 'b');
	alarm_init(&c, l, &t, 'c');
	alarm_init(&d, l, &t, 'd');
	assert_false(timer_is_set(&a.timer));
	alarm_set(&a, 1 * NS_PER_MS);
	alarm_set(&a, 9 * NS_PER_MS); /* the later one counts */
	alarm_set(&b, 60 * NS_PER_SEC);
	alarm_set(&b, 4 * NS_PER_MS + 1);
	alarm_set(&c, NS_PER_MS);
	alarm_set(&c, NS_NEVER);
	alarm_set(&d, -5);
	d.due_at = 0;
	d.again = 2;
	spin_for(l, 15 * NS_PER_MS);
	assert_string_equal(t.s, "dddba");
	alarm_set(&a, NS_NEVER - 1); /* far, but no overflow */
	spin_for(l, NS_PER_MS);
	assert_true(timer_is_set(&a.timer));
	timer_done(&a.timer);
	timer_done(&a.timer);
	timer_done(&b.timer);
	timer_done(&c.timer);
	timer_done(&d.timer);
	loop_free(l);
}

static void
test_a_timer_stopped_in_the_turn_of_its_expiry(void **state)
{
	struct loop *l = loop_new();
	struct trace t = {{0}};
	struct alarm a, b;

	(void)state;
	alarm_init(&a, l, &t, 'a');
	alarm_init(&b, l, &t, 'b');
	a.stops = &b;
	b.stops = &a;
	alarm_set(&a, 0);
	alarm_set(&b, 0);
	busy_wait(l, NS_PER_MS);
	spin_for(l, NS_PER_MS);
	assert_int_equal(strlen(t.s), 1);
	timer_done(&a.timer);
	timer_done(&b.timer);
	loop_free(l);
}

/* A timer set late in a long turn counts from then. */
static void
test_timers_count_from_now(void **state)
{
	struct loop *l = loop_new();
	struct trace t = {{0}};
	struct alarm slow, fast;

	(void)state;
	alarm_init(&slow, l, &t, 's');
	alarm_init(&fast, l, &t, 'f');
	slow.sets = &fast;
	alarm_set(&slow, 0);
	spin_for(l, 20 * NS_PER_MS);
	assert_string_equal(t.s, "sf");
	timer_done(&slow.timer);
	timer_done(&fast.timer);
	loop_free(l);
}

/* Hours pass at once: a timer that is not due then keeps the rest of its time. */
static void
test_timers_of_time_that_was_skipped(void **state)
{
	struct loop *l = loop_new();
	struct trace t = {{0}};
	struct alarm due, later;

	(void)state;
	alarm_init(&due, l, &t, 'd');
	alarm_init(&later, l, &t, 'l');
	alarm_set(&due, 7200 * NS_PER_SEC);
	due.due_at = loop_now(l) + 7199 * NS_PER_SEC;
	alarm_set(&later, 7260 * NS_PER_SEC);
	spin_for(l, NS_PER_MS);
	assert_string_equal(t.s, "");
	clock_skip(7200 * NS_PER_SEC);
	spin_for(l, NS_PER_MS);
	assert_string_equal(t.s, "d");
	timer_done(&due.timer);
	timer_done(&later.timer);
	loop_free(l);
}

struct signalled {
	struct loop *l;
	int last;
	int calls;
};

static void
on_signal(void *arg, int signo)
{
	struct signalled *s = arg;

	s->last = signo;
	s->calls++;
	loop_stop(s->l);
}

static void
test_signals_run_in_the_loop(void **state)
{
	struct signalled s = {.l = loop_new()};

	(void)state;
	for (int i = 0; i < LOOP_SIGNALS_MAX; i++)
		assert_int_equal(loop_on_signal(s.l, SIGRTMIN + i, on_signal, &s), 0);
	assert_int_equal(loop_on_signal(s.l, SIGUSR1, on_signal, &s), -ENOBUFS);
	assert_int_equal(raise(SIGRTMIN + 3), 0);
	assert_int_equal(s.calls, 0);
	assert_int_equal(loop_run(s.l), 0);
	assert_int_equal(s.last, SIGRTMIN + 3);
	assert_int_equal(s.calls, 1);
	loop_free(s.l);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_watch_done_in_a_callback_of_the_turn),
		cmocka_unit_test(test_the_object_may_go_in_its_own_callback),
		cmocka_unit_test(test_watches_against_a_model),
		cmocka_unit_test(test_a_hangup_does_not_spin_when_nothing_is_wanted),
		cmocka_unit_test(test_a_descriptor_number_used_again),
		cmocka_unit_test(test_what_cannot_be_watched_ends_the_loop),
		cmocka_unit_test(test_deferred_run_once_in_order),
		cmocka_unit_test(test_undeferred_by_an_earlier_one_of_the_turn),
		cmocka_unit_test(test_deferred_and_stop_wait_for_all_of_the_turn),
		cmocka_unit_test(test_timers_in_order_and_replaced),
		cmocka_unit_test(test_a_timer_stopped_in_the_turn_of_its_expiry),
		cmocka_unit_test(test_timers_count_from_now),
		cmocka_unit_test(test_timers_of_time_that_was_skipped),
		cmocka_unit_test(test_signals_run_in_the_loop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
