/*
 * The tunnel over two transports of the test's own: who is asked, and what
 * the answers of both make together.
 */
#include "tests/unit/unit.h"

#include "daemon/transport.h"

#include <fcntl.h>
#include <unistd.h>

enum { STREAMS_MAX = 4 };

struct fake {
	struct transport base;
	const char *state;
	struct tunnel_counters counters;
	struct tunnel_stream stream; /* the one that open() gives */
	struct transport_health health;
	unsigned opened, changed, freed;
	bool is_full; /* open() gives none */
	const struct config_host *dest;
	const struct tunnel_user *user;
};

static struct fake mptcp, udp;

static struct tunnel_stream *
open_fake(struct transport *t, const struct config_host *dest,
	  const struct config_listener *from, const struct tunnel_user *user)
{
	struct fake *f = container_of(t, struct fake, base);

	(void)from;
	f->opened++;
	f->dest = dest;
	f->user = user;
	return f->is_full ? NULL : &f->stream;
}

static void
uplink_changed(struct transport *t, struct uplink *u)
{
	assert_null(u);
	container_of(t, struct fake, base)->changed++;
}

static void
each(struct transport *t, tunnel_each_fn fn, void *arg)
{
	const struct tunnel_stream_info info = {.id = transport_next_id(t)};

	fn(arg, &info);
}

static void
counters(const struct transport *t, struct tunnel_counters *ret_counters)
{
	*ret_counters = container_of(t, struct fake, base)->counters;
}

static const char *
state_text(const struct transport *t)
{
	return container_of(t, struct fake, base)->state;
}

static struct transport_health
health(const struct transport *t)
{
	return container_of(t, struct fake, base)->health;
}

static void
free_fake(struct transport *t)
{
	container_of(t, struct fake, base)->freed++;
}

static const struct transport_ops ops = {
	.open = open_fake,
	.uplink_changed = uplink_changed,
	.health = health,
	.each = each,
	.counters = counters,
	.state_text = state_text,
	.free = free_fake,
};

/* Every counter has a value of its own: `from`, `from` + 1 and so on. */
static struct tunnel_counters
counters_from(unsigned from)
{
	return (struct tunnel_counters){
		.streams_opened = from,
		.streams_refused = from + 1,
		.streams_reset = from + 2,
		.bytes_up = from + 3,
		.bytes_down = from + 4,
		.fallbacks = from + 5,
		.strangers = from + 6,
		.handshakes = from + 7,
		.streams = from + 8,
		.legs_waiting = from + 9,
		.half_open = from + 10,
	};
}

static int
set_up(void **state)
{
	struct tunnel *t = tunnel_new(STREAMS_MAX);

	assert_non_null(t);
	mptcp = (struct fake){.base.ops = &ops, .state = "connected"};
	udp = (struct fake){.base.ops = &ops, .state = "connecting"};
	*state = t;
	return 0;
}

static void
nothing_is_there(void **state)
{
	const struct config_listener from = {.transport = TRANSPORT_AUTO};
	struct tunnel *t = *state;
	struct tunnel_counters c;

	tunnel_uplink_changed(t, NULL);
	assert_null(tunnel_open(t, NULL, &from, NULL));
	assert_string_equal(tunnel_state_text(t, TRANSPORT_UDP), "down");
	tunnel_counters_get(t, &c);
	assert_int_equal(c.streams_opened, 0);
	assert_int_equal(c.half_open, 0);
	tunnel_free(t);
	tunnel_free(NULL);
}

static void
a_listener_says_which(void **state)
{
	struct config_listener from = {.transport = TRANSPORT_AUTO};
	const struct tunnel_user user = {.arg = &from};
	const struct config_host dest = {.port = 1};
	struct tunnel *t = *state;

	tunnel_add(t, TRANSPORT_MPTCP, &mptcp.base);
	assert_ptr_equal(tunnel_open(t, &dest, &from, &user), &mptcp.stream);
	assert_ptr_equal(mptcp.dest, &dest);
	assert_ptr_equal(mptcp.user, &user);
	from.transport = TRANSPORT_UDP;
	assert_null(tunnel_open(t, &dest, &from, &user));

	tunnel_add(t, TRANSPORT_UDP, &udp.base);
	assert_ptr_equal(tunnel_open(t, &dest, &from, &user), &udp.stream);
	from.transport = TRANSPORT_MPTCP;
	assert_ptr_equal(tunnel_open(t, &dest, &from, &user), &mptcp.stream);
	assert_int_equal(mptcp.opened, 2);
	assert_int_equal(udp.opened, 1);
	tunnel_free(t);
}

static void
auto_asks_both(void **state)
{
	struct config_listener from = {.transport = TRANSPORT_AUTO};
	const struct config_host dest = {.port = 1};
	const struct tunnel_user user = {.arg = NULL};
	struct tunnel *t = *state;
	struct tunnel_choice c;

	tunnel_add(t, TRANSPORT_MPTCP, &mptcp.base);
	tunnel_add(t, TRANSPORT_UDP, &udp.base);
	assert_ptr_equal(tunnel_open(t, &dest, &from, &user), &mptcp.stream);
	assert_int_equal(mptcp.stream.chosen, CHOICE_NEITHER);
	udp.health.works = true;
	assert_ptr_equal(tunnel_open(t, &dest, &from, &user), &udp.stream);
	assert_int_equal(udp.stream.chosen, CHOICE_ONLY);
	mptcp.health.works = true;
	udp.health.handicap = "no datagrams";
	assert_ptr_equal(tunnel_open(t, &dest, &from, &user), &mptcp.stream);
	tunnel_choice_get(t, &c);
	assert_string_equal(c.transport, "mptcp");
	assert_string_equal(c.reason, "no datagrams");
	udp.health.handicap = NULL;
	from.protect = PROTECT_AUTH;
	assert_ptr_equal(tunnel_open(t, &dest, &from, &user), &mptcp.stream);
	assert_int_equal(mptcp.stream.chosen, CHOICE_CONFIGURED);
	tunnel_free(t);
}

static bool lets_go;
static int lets_go_of; /* descriptor */
static unsigned n_asked;
static int attached_fd;

static bool
let_go(struct tunnel_stream *s, struct tunnel_request *ret_request)
{
	static const struct config_host dest = {.port = 2};
	static const struct config_listener from = {.transport = TRANSPORT_AUTO};

	assert_ptr_equal(s, &mptcp.stream);
	n_asked++;
	if (!lets_go)
		return false;
	*ret_request = (struct tunnel_request){&dest, &from, lets_go_of};
	list_remove(&s->node);
	return true;
}

static void
attach_moved(struct tunnel_stream *s, int fd, const uint8_t *early, size_t early_len)
{
	assert_ptr_equal(s, &udp.stream);
	assert_null(early);
	assert_int_equal(early_len, 0);
	attached_fd = fd;
}

struct mover {
	unsigned n;
	struct tunnel_stream *to;
};

static void
note_move(void *arg, struct tunnel_stream *s)
{
	struct mover *m = arg;

	m->n++;
	m->to = s;
}

static void
add_both(struct tunnel *t)
{
	static const struct tunnel_ops mptcp_ops = {.let_go = let_go};
	static const struct tunnel_ops udp_ops = {.attach = attach_moved};

	tunnel_add(t, TRANSPORT_MPTCP, &mptcp.base);
	tunnel_add(t, TRANSPORT_UDP, &udp.base);
	list_init(&mptcp.base.streams);
	mptcp.stream.ops = &mptcp_ops;
	udp.stream.ops = &udp_ops;
	lets_go_of = -1;
	n_asked = 0;
}

/* One that nobody has a session for is mptcp's, as it is before each of these. */
static void
wait_for_a_session(struct tunnel *t, const struct tunnel_user *user)
{
	const struct config_listener from = {.transport = TRANSPORT_AUTO};

	mptcp.health.works = udp.health.works = false;
	assert_ptr_equal(tunnel_open(t, NULL, &from, user), &mptcp.stream);
	mptcp.stream.user = *user;
	list_append(&mptcp.base.streams, &mptcp.stream.node);
	udp.health.works = true;
}

static void
who_waits_goes_by_what_works_first(void **state)
{
	struct mover m = {0};
	const struct tunnel_user user = {.arg = &m, .on_moved = note_move};
	struct tunnel *t = *state;

	add_both(t);
	lets_go = false;
	wait_for_a_session(t, &user);
	transport_works(&mptcp.base);
	assert_int_equal(n_asked, 0);
	transport_works(&udp.base);
	assert_int_equal(n_asked, 1);
	assert_int_equal(m.n, 0);

	lets_go = true;
	attached_fd = -1;
	transport_works(&udp.base);
	assert_int_equal(m.n, 1);
	assert_ptr_equal(m.to, &udp.stream);
	assert_int_equal(udp.stream.chosen, CHOICE_ONLY);
	assert_int_equal(udp.dest->port, 2);
	assert_null(mptcp.stream.user.on_moved);
	assert_int_equal(attached_fd, -1);

	/* With a descriptor, of which nothing was read. */
	lets_go_of = 7;
	wait_for_a_session(t, &user);
	transport_works(&udp.base);
	assert_int_equal(attached_fd, 7);

	/* Where udp takes no more there is no stream. */
	lets_go_of = open("/dev/null", O_RDONLY | O_CLOEXEC);
	transport_gone(&mptcp.base);
	wait_for_a_session(t, &user);
	udp.is_full = true;
	transport_works(&udp.base);
	assert_int_equal(m.n, 3);
	assert_null(m.to);
	assert_int_equal(fcntl(lets_go_of, F_GETFD), -1);
	tunnel_free(t);
}

static void
who_was_chosen_in_vain_is_left(void **state)
{
	const struct config_listener kernel = {.transport = TRANSPORT_MPTCP};
	const struct config_listener any = {.transport = TRANSPORT_AUTO};
	struct mover m = {0};
	const struct tunnel_user user = {.arg = &m, .on_moved = note_move};
	struct tunnel *t = *state;

	add_both(t);
	lets_go = true;
	mptcp.health.works = true;
	assert_ptr_equal(tunnel_open(t, NULL, &any, &user), &mptcp.stream);
	mptcp.stream.user = user;
	list_append(&mptcp.base.streams, &mptcp.stream.node);
	n_asked = 0;
	transport_works(&udp.base);
	assert_int_equal(n_asked, 0);
	mptcp.health.works = false;
	transport_works(&udp.base);
	assert_int_equal(m.n, 1);
	assert_ptr_equal(m.to, &udp.stream);

	/* What the configuration asks of mptcp stays there. */
	assert_ptr_equal(tunnel_open(t, NULL, &kernel, &user), &mptcp.stream);
	list_append(&mptcp.base.streams, &mptcp.stream.node);
	transport_works(&udp.base);
	assert_int_equal(m.n, 1);
	tunnel_free(t);
}

static void
both_have_one_limit(void **state)
{
	struct config_listener from = {.transport = TRANSPORT_UDP};
	const struct tunnel_user user = {.arg = NULL};
	struct tunnel *t = *state;

	tunnel_add(t, TRANSPORT_MPTCP, &mptcp.base);
	tunnel_add(t, TRANSPORT_UDP, &udp.base);
	for (int i = 0; i < STREAMS_MAX - 1; i++)
		assert_non_null(tunnel_open(t, NULL, &from, &user));
	from.transport = TRANSPORT_MPTCP;
	assert_non_null(tunnel_open(t, NULL, &from, &user));
	assert_true(mptcp.stream.asked_for);
	assert_null(tunnel_open(t, NULL, &from, &user));
	from.transport = TRANSPORT_UDP;
	assert_null(tunnel_open(t, NULL, &from, &user));
	transport_gone(&mptcp.base);
	/* What a transport refuses does not count. */
	udp.is_full = true;
	assert_null(tunnel_open(t, NULL, &from, &user));
	udp.is_full = false;
	assert_non_null(tunnel_open(t, NULL, &from, &user));
	assert_null(tunnel_open(t, NULL, &from, &user));
	tunnel_free(t);
}

static void
what_was_carried_is_measured(void **state)
{
	struct tunnel *t = *state;
	struct tunnel_choice c;

	mptcp.health.works = udp.health.works = true;
	tunnel_add(t, TRANSPORT_MPTCP, &mptcp.base);
	tunnel_add(t, TRANSPORT_UDP, &udp.base);
	tunnel_measure(t, NS_PER_SEC);
	udp.counters.bytes_up = 1000000;
	mptcp.counters.bytes_down = 2500000;
	tunnel_measure(t, 2 * NS_PER_SEC);
	tunnel_choice_get(t, &c);
	assert_string_equal(c.transport, "mptcp");
	assert_string_equal(c.reason, "it was faster of late; best second of late: "
				      "udp 8 Mbit/s, mptcp 20 Mbit/s");
	tunnel_free(t);
}

static void
note_id(void *arg, const struct tunnel_stream_info *info)
{
	uint64_t *sum = arg;

	*sum = *sum * 10 + info->id;
}

static void
both_are_told_and_summed(void **state)
{
	struct tunnel *t = *state;
	const struct tunnel_counters *a, *b;
	struct tunnel_counters c;
	uint64_t ids = 0;

	mptcp.counters = counters_from(100);
	udp.counters = counters_from(2000);
	tunnel_add(t, TRANSPORT_MPTCP, &mptcp.base);
	tunnel_add(t, TRANSPORT_UDP, &udp.base);
	tunnel_uplink_changed(t, NULL);
	assert_int_equal(mptcp.changed, 1);
	assert_int_equal(udp.changed, 1);
	tunnel_each_stream(t, note_id, &ids);
	assert_int_equal(ids, 12);
	assert_string_equal(tunnel_state_text(t, TRANSPORT_MPTCP), "connected");

	tunnel_counters_get(t, &c);
	a = &mptcp.counters;
	b = &udp.counters;
	assert_int_equal(c.streams_opened, a->streams_opened + b->streams_opened);
	assert_int_equal(c.streams_refused, a->streams_refused + b->streams_refused);
	assert_int_equal(c.streams_reset, a->streams_reset + b->streams_reset);
	assert_int_equal(c.bytes_up, a->bytes_up + b->bytes_up);
	assert_int_equal(c.bytes_down, a->bytes_down + b->bytes_down);
	assert_int_equal(c.fallbacks, a->fallbacks + b->fallbacks);
	assert_int_equal(c.strangers, a->strangers + b->strangers);
	assert_int_equal(c.handshakes, a->handshakes + b->handshakes);
	assert_int_equal(c.streams, a->streams + b->streams);
	assert_int_equal(c.legs_waiting, a->legs_waiting + b->legs_waiting);
	assert_int_equal(c.half_open, a->half_open + b->half_open);

	tunnel_free(t);
	assert_int_equal(mptcp.freed, 1);
	assert_int_equal(udp.freed, 1);
}

static unsigned answered, attached, ended;

static void
answer(struct tunnel_stream *s, enum open_status status)
{
	assert_ptr_equal(s, &udp.stream);
	assert_int_equal(status, OPEN_LIMIT);
	answered++;
}

static void
attach(struct tunnel_stream *s, int fd, const uint8_t *early, size_t early_len)
{
	assert_ptr_equal(s, &udp.stream);
	assert_int_equal(fd, 7);
	assert_memory_equal(early, "early", early_len);
	attached++;
}

static void
end_fake(struct tunnel_stream *s, bool reset)
{
	assert_ptr_equal(s, &udp.stream);
	assert_true(reset);
	assert_null(s->user.on_closed);
	ended++;
}

static void
never(void *arg)
{
	fail_msg("%p hears of it", arg);
}

static void
a_stream_is_its_transports(void **state)
{
	static const struct tunnel_ops stream_ops = {
		.answer = answer, .attach = attach, .end = end_fake};

	udp.stream.ops = &stream_ops;
	udp.stream.user.on_closed = never;
	tunnel_stream_answer(&udp.stream, OPEN_LIMIT);
	tunnel_stream_attach(&udp.stream, 7, (const uint8_t *)"early", 5);
	tunnel_stream_abort(&udp.stream);
	assert_int_equal(answered, 1);
	assert_int_equal(attached, 1);
	assert_int_equal(ended, 1);
	tunnel_free(*state);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(nothing_is_there, set_up),
		cmocka_unit_test_setup(a_listener_says_which, set_up),
		cmocka_unit_test_setup(auto_asks_both, set_up),
		cmocka_unit_test_setup(who_waits_goes_by_what_works_first, set_up),
		cmocka_unit_test_setup(who_was_chosen_in_vain_is_left, set_up),
		cmocka_unit_test_setup(both_have_one_limit, set_up),
		cmocka_unit_test_setup(what_was_carried_is_measured, set_up),
		cmocka_unit_test_setup(both_are_told_and_summed, set_up),
		cmocka_unit_test_setup(a_stream_is_its_transports, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
