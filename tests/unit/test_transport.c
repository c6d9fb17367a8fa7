/*
 * What every transport's streams have in common: who is told what, what counts,
 * and when a stream is freed. Under ASan a stream that is freed twice, too early
 * or never is found.
 */
#include "tests/unit/unit.h"

#include "daemon/peers.h"
#include "daemon/transport.h"

#include <stdlib.h>

struct fixture {
	struct loop *loop;
	struct timer turn;
	struct transport t;
	struct config config;
	struct config_peer config_peer;
	struct identity me;
	struct peers known;
	struct peer peer;
	struct tunnel_user user;
	unsigned n_opened, n_closed, n_ended;
	enum open_status status;
	bool reset;
	struct tunnel_stream *abort_in_opened; /* NULL: no */
};

static void
on_turn(void *arg)
{
	struct fixture *f = arg;

	loop_stop(f->loop);
}

static void
on_opened(void *arg, enum open_status status)
{
	struct fixture *f = arg;

	assert_int_equal(f->n_closed, 0);
	f->n_opened++;
	f->status = status;
	if (f->abort_in_opened != NULL)
		tunnel_stream_abort(f->abort_in_opened);
}

static void
on_closed(void *arg)
{
	struct fixture *f = arg;

	f->n_closed++;
}

static void
end(struct tunnel_stream *s, bool reset)
{
	struct fixture *f = container_of(s->transport, struct fixture, t);

	/* A stream may be ended again in its grave: see "Once is enough". */
	if (f->n_ended > 0)
		return;
	f->n_ended++;
	f->reset = reset;
	transport_bury(s);
}

static const struct tunnel_ops ops = {.end = end};

static int
set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	f->loop = loop_new();
	assert_non_null(f->loop);
	assert_int_equal(timer_init(&f->turn, f->loop, on_turn, f), 0);
	transport_init(&f->t, f->loop);
	f->config.max_streams = 10;
	f->config_peer.max_streams = 1;
	f->me.config = &f->config;
	f->known.me = &f->me;
	f->peer = (struct peer){.peers = &f->known, .config = &f->config_peer};
	f->user = (struct tunnel_user){
		.on_opened = on_opened, .on_closed = on_closed, .arg = f};
	*state = f;
	return 0;
}

static int
tear_down(void **state)
{
	struct fixture *f = *state;

	transport_done(&f->t);
	timer_done(&f->turn);
	loop_free(f->loop);
	free(f);
	return 0;
}

static struct tunnel_stream *
new_stream(struct fixture *f)
{
	struct tunnel_stream *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	transport_add(&f->t, s, &ops);
	s->user = f->user;
	return s;
}

static void
end_turn(struct fixture *f)
{
	timer_set(&f->turn, NS_PER_MS);
	assert_int_equal(loop_run(f->loop), 0);
}

static void
a_stream_is_told_of_both_ends_once(void **state)
{
	struct fixture *f = *state;
	struct tunnel_stream *s = new_stream(f);

	transport_opened(s);
	assert_int_equal(f->n_opened, 1);
	assert_int_equal(f->status, OPEN_OK);
	assert_int_equal(f->t.counters.streams_opened, 1);
	assert_int_equal(f->t.n_streams, 1);
	s->ops->end(s, false);
	assert_int_equal(f->t.n_streams, 0);
	assert_int_equal(f->n_closed, 0);
	end_turn(f);
	assert_int_equal(f->n_closed, 1);
	assert_int_equal(f->n_opened, 1);
	end_turn(f);
	assert_int_equal(f->n_closed, 1);
}

static void
a_refused_stream_is_reset(void **state)
{
	struct fixture *f = *state;

	transport_refuse(new_stream(f), OPEN_DENIED);
	assert_int_equal(f->n_opened, 1);
	assert_int_equal(f->status, OPEN_DENIED);
	assert_true(f->reset);
	assert_int_equal(f->t.counters.streams_refused, 1);
	assert_int_equal(f->t.counters.streams_opened, 0);
	assert_int_equal(f->n_closed, 0);
	end_turn(f);
	assert_int_equal(f->n_closed, 1);
	assert_int_equal(f->n_opened, 1);
}

static void
an_end_without_an_answer_is_a_failure(void **state)
{
	struct fixture *f = *state;
	struct tunnel_stream *s = new_stream(f);

	s->ops->end(s, true);
	assert_int_equal(f->n_opened, 0);
	end_turn(f);
	assert_int_equal(f->n_opened, 1);
	assert_int_equal(f->status, OPEN_FAILED);
	assert_int_equal(f->n_closed, 1);
}

static void
who_aborts_hears_nothing_more(void **state)
{
	struct fixture *f = *state;

	tunnel_stream_abort(new_stream(f));
	end_turn(f);
	assert_int_equal(f->n_ended, 1);
	assert_int_equal(f->n_opened, 0);
	assert_int_equal(f->n_closed, 0);
}

static void
who_aborts_when_it_is_told_hears_nothing_more(void **state)
{
	struct fixture *f = *state;
	struct tunnel_stream *s = new_stream(f);

	f->abort_in_opened = s;
	transport_refuse(s, OPEN_REFUSED);
	end_turn(f);
	assert_int_equal(f->n_opened, 1);
	assert_int_equal(f->n_closed, 0);
}

static void
the_transports_end_is_the_streams(void **state)
{
	struct fixture *f = *state;

	(void)new_stream(f);
	transport_done(&f->t);
	assert_true(f->reset);
	assert_int_equal(f->status, OPEN_FAILED);
	assert_int_equal(f->n_closed, 1);
	assert_int_equal(f->t.n_streams, 0);
}

static void
a_peers_stream_counts_until_it_ends(void **state)
{
	struct fixture *f = *state;
	struct tunnel_stream *s = new_stream(f), *more;

	assert_true(transport_admit(s, &f->peer));
	assert_int_equal(f->peer.n_streams, 1);
	s->ops->end(s, true);
	assert_int_equal(f->peer.n_streams, 0);
	end_turn(f);
	f->n_ended = f->n_closed = 0;

	more = new_stream(f);
	f->peer.n_streams = f->known.n_streams = 1; /* by the other transport */
	assert_false(transport_admit(more, &f->peer));
	/* Refused, its answer may be on its way for a while: that counts as nobody's. */
	assert_int_equal(f->peer.n_streams, 1);
	more->ops->end(more, true);
	assert_int_equal(f->peer.n_streams, 1);
	assert_int_equal(f->known.n_streams, 1);
}

static struct tunnel_stream *
open_one(struct transport *t, const struct config_host *dest,
	 const struct config_listener *from, const struct tunnel_user *user)
{
	(void)dest;
	(void)from;
	(void)user;
	return new_stream(container_of(t, struct fixture, t));
}

static void
leave_it(struct transport *t)
{
	(void)t;
}

static void
what_was_asked_for_counts_until_it_is_freed(void **state)
{
	static const struct transport_ops t_ops = {.open = open_one, .free = leave_it};
	const struct config_listener from = {.transport = TRANSPORT_UDP};
	struct fixture *f = *state;
	struct tunnel *t = tunnel_new(1);
	struct tunnel_stream *s;

	assert_non_null(t);
	f->t.ops = &t_ops;
	tunnel_add(t, TRANSPORT_UDP, &f->t);
	s = tunnel_open(t, NULL, &from, &f->user);
	assert_non_null(s);
	assert_null(tunnel_open(t, NULL, &from, &f->user));
	s->ops->end(s, true);
	end_turn(f);
	assert_int_equal(f->n_closed, 1);
	f->n_ended = f->n_closed = 0;
	s = tunnel_open(t, NULL, &from, &f->user);
	assert_non_null(s);
	tunnel_stream_abort(s);
	end_turn(f);
	tunnel_free(t);
}

int
main(void)
{
#define WITH_TRANSPORT(t) cmocka_unit_test_setup_teardown(t, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		WITH_TRANSPORT(a_stream_is_told_of_both_ends_once),
		WITH_TRANSPORT(a_refused_stream_is_reset),
		WITH_TRANSPORT(an_end_without_an_answer_is_a_failure),
		WITH_TRANSPORT(who_aborts_hears_nothing_more),
		WITH_TRANSPORT(who_aborts_when_it_is_told_hears_nothing_more),
		WITH_TRANSPORT(the_transports_end_is_the_streams),
		WITH_TRANSPORT(a_peers_stream_counts_until_it_ends),
		WITH_TRANSPORT(what_was_asked_for_counts_until_it_is_freed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
