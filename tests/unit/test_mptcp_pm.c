#include "tests/unit/unit.h"

#include "daemon/io/mptcp_info.h"
#include "daemon/io/mptcp_pm.h"
#include "daemon/io/sock.h"
#include "daemon/io/tcp.h"
#include "tests/unit/netlab.h"
#include "tests/unit/spin.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATIENCE (3 * NS_PER_SEC)
enum { EVENTS_KEPT = 64 };

struct side {
	struct loop *loop;
	struct mptcp_pm *pm;
	struct mptcp_pm_event events[EVENTS_KEPT];
	size_t n_events;
	unsigned n_overruns, n_priorities;
	struct mptcp_pm_result result;
	size_t n_results;
};

struct fixture {
	struct loop *loop;
	struct side client, server;
	struct netlab_leg leg;
	uint32_t client_token, server_token;
	int listener;
	char saved[64];
};

static void
on_result(void *arg, const struct mptcp_pm_result *r)
{
	struct side *s = arg;

	s->result = *r;
	s->n_results++;
}

static void
on_event(void *arg, const struct mptcp_pm_event *ev)
{
	struct side *s = arg;

	s->n_overruns += ev->type == MPTCP_PM_EVENT_OVERRUN;
	s->n_priorities += ev->type == MPTCP_PM_EVENT_PRIORITY;
	if (s->n_events < EVENTS_KEPT)
		s->events[s->n_events++] = *ev;
}

static void
start_side(struct side *s, enum netlab_side side, struct loop *l, const char *saved)
{
	const struct mptcp_pm_handler handler = {on_result, on_event, s};
	struct errmsg why;

	memset(s, 0, sizeof(*s));
	netlab_enter(side);
	if (mptcp_pm_take(saved, &why) < 0)
		fail_msg("%s", why.text);
	assert_int_equal(mptcp_pm_type(), 1);
	unlink(saved);
	s->loop = l;
	s->pm = mptcp_pm_new(l, &handler, &why);
	if (s->pm == NULL)
		fail_msg("%s", why.text);
}

static int
setup(void **state)
{
	static struct fixture f;

	snprintf(f.saved, sizeof(f.saved), "/tmp/mpp-test-%d", (int)getpid());
	f.loop = loop_new();
	assert_non_null(f.loop);
	start_side(&f.server, NETLAB_SERVER, f.loop, f.saved);
	start_side(&f.client, NETLAB_CLIENT, f.loop, f.saved);
	f.listener = netlab_listen();
	f.leg = netlab_connect(f.loop, f.listener, 1);
	assert_int_equal(mptcp_info_token(f.leg.client, &f.client_token), 0);
	assert_int_equal(mptcp_info_token(f.leg.server, &f.server_token), 0);
	*state = &f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	close(f->leg.client);
	close(f->leg.server);
	close(f->listener);
	mptcp_pm_free(f->client.pm);
	mptcp_pm_free(f->server.pm);
	loop_free(f->loop);
	return 0;
}

/* Waiting */

struct awaited {
	struct side *s;
	enum mptcp_pm_event_type type;
	uint32_t token;
	const struct mptcp_pm_event *found;
};

static bool
has_come(void *arg)
{
	struct awaited *w = arg;

	for (size_t i = 0; i < w->s->n_events; i++) {
		const struct mptcp_pm_event *ev = &w->s->events[i];

		if (ev->type == w->type && ev->token == w->token)
			w->found = ev;
	}
	return w->found != NULL;
}

static struct mptcp_pm_event
await(struct side *s, enum mptcp_pm_event_type type, uint32_t token)
{
	struct awaited w = {s, type, token, NULL};

	if (!spin_until(s->loop, has_come, &w, PATIENCE))
		fail_msg("event %d of %08x has not come", (int)type, token);
	return *w.found;
}

static bool
has_answer(void *arg)
{
	const struct side *s = arg;

	return s->n_results > 0;
}

static int
ask(struct side *s, const struct mptcp_pm_request *req)
{
	s->n_results = 0;
	s->n_events = 0;
	assert_int_equal(mptcp_pm_send(s->pm, req), 0);
	assert_int_equal(s->n_results, 0);
	assert_true(spin_until(s->loop, has_answer, s, PATIENCE));
	assert_int_equal(s->n_results, 1);
	assert_true(s->result.cookie == req->cookie);
	return s->result.err;
}

static struct mptcp_pm_request
join_request(struct fixture *f, int link, uint8_t id)
{
	struct mptcp_pm_request req = {.op = MPTCP_PM_SUBFLOW_CREATE,
				       .token = f->client_token,
				       .cookie = UINT64_C(0xabcdef0123456789) + id,
				       .local_id = id};
	char text[32];

	snprintf(text, sizeof(text), "10.0.%d.1", link);
	assert_int_equal(addr_parse_ip(text, &req.local), 0);
	snprintf(text, sizeof(text), "10.0.%d.2:%d", link, NETLAB_PORT);
	assert_int_equal(addr_parse(text, &req.remote), 0);
	return req;
}

/* Joins over `link` and gives what the client was told. */
static struct mptcp_pm_event
join(struct fixture *f, int link, uint8_t id)
{
	struct mptcp_pm_request req = join_request(f, link, id);

	f->server.n_events = 0;
	assert_int_equal(ask(&f->client, &req), 0);
	return await(&f->client, MPTCP_PM_EVENT_SUBFLOW_UP, f->client_token);
}

static size_t
count_subflows(int fd)
{
	struct mptcp_info_all info;

	assert_int_equal(mptcp_info_get(fd, &info), 0);
	return info.n_subflows;
}

static void
check_bytes_pass(struct fixture *f)
{
	char byte = 'x';

	assert_int_equal(write(f->leg.client, &byte, 1), 1);
	for (int i = 0; i < 1000 && read(f->leg.server, &byte, 1) != 1; i++)
		spin_for(f->loop, NS_PER_MS);
	assert_int_equal(byte, 'x');
	assert_int_equal(write(f->leg.server, "y", 1), 1);
	for (int i = 0; i < 1000 && read(f->leg.client, &byte, 1) != 1; i++)
		spin_for(f->loop, NS_PER_MS);
	assert_int_equal(byte, 'y');
}

static struct mptcp_pm_request
destroy_request(const struct mptcp_pm_event *up)
{
	return (struct mptcp_pm_request){.op = MPTCP_PM_SUBFLOW_DESTROY,
					 .token = up->token,
					 .cookie = 77,
					 .local = up->local,
					 .remote = up->remote};
}

/*
 * The peer ends the subflow when REMOVE_ADDR arrives, which may be before our
 * DESTROY does: then it finds nothing.
 */
static void
remove_and_destroy(struct fixture *f, const struct mptcp_pm_event *up)
{
	struct mptcp_pm_request remove = {.op = MPTCP_PM_REMOVE_ADDR,
					  .token = up->token,
					  .cookie = 78,
					  .local_id = up->local_id};
	struct mptcp_pm_request destroy = destroy_request(up);
	int err;

	assert_int_equal(ask(&f->client, &remove), 0);
	err = ask(&f->client, &destroy);
	assert_true(err == 0 || err == -ESRCH);
}

static bool
one_subflow_each(void *arg)
{
	struct fixture *f = arg;

	return count_subflows(f->leg.client) == 1 && count_subflows(f->leg.server) == 1;
}

/* Tests */

static void
test_connection_events(void **state)
{
	struct fixture *f = *state;
	struct mptcp_pm_event ev;

	ev = await(&f->client, MPTCP_PM_EVENT_ESTABLISHED, f->client_token);
	assert_int_equal(ev.remote.port, NETLAB_PORT);
	ev = await(&f->server, MPTCP_PM_EVENT_ESTABLISHED, f->server_token);
	assert_int_equal(ev.local.port, NETLAB_PORT);
	assert_string_equal(addr_format(&ev.local).s, "10.0.1.2:5000");
	close(f->leg.client);
	close(f->leg.server);
	f->leg.client = f->leg.server = -1;
	await(&f->client, MPTCP_PM_EVENT_CLOSED, f->client_token);
}

static void
test_join_and_leave(void **state)
{
	struct fixture *f = *state;
	struct mptcp_pm_event up = join(f, 2, 7), ev;

	assert_int_equal(up.local_id, 7);
	assert_int_equal(up.err, 0);
	assert_false(up.backup);
	assert_string_equal(addr_format(&up.remote).s, "10.0.2.2:5000");
	assert_true(up.local.port != 0);
	ev = await(&f->server, MPTCP_PM_EVENT_SUBFLOW_UP, f->server_token);
	assert_int_equal(ev.remote_id, 7);
	assert_true(addr_equal(&ev.remote, &up.local));
	assert_true(addr_equal(&ev.local, &up.remote));
	assert_int_equal(count_subflows(f->leg.server), 2);
	check_bytes_pass(f);
	remove_and_destroy(f, &up);
	assert_true(spin_until(f->loop, one_subflow_each, f, PATIENCE));
	check_bytes_pass(f);
}

/* Trap: the same address under the same id, after removal. */
static void
test_join_again(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < 20; i++) {
		struct mptcp_pm_event up = join(f, 2, 2);

		assert_int_equal(up.local_id, 2);
		assert_int_equal(count_subflows(f->leg.client), 2);
		remove_and_destroy(f, &up);
		assert_true(spin_until(f->loop, one_subflow_each, f, PATIENCE));
	}
	check_bytes_pass(f);
}

/* The first subflow, id 0, leaves; its address joins again as uplink 1. */
static void
test_first_subflow_leaves_and_returns(void **state)
{
	struct fixture *f = *state;
	struct mptcp_pm_event first = {.token = f->client_token}, up;

	assert_int_equal(sock_local(f->leg.client, &first.local), 0);
	assert_int_equal(tcp_remote(f->leg.client, &first.remote), 0);
	up = join(f, 2, 2);
	remove_and_destroy(f, &first);
	assert_true(spin_until(f->loop, one_subflow_each, f, PATIENCE));
	check_bytes_pass(f);
	for (int i = 0; i < 5; i++) {
		first = join(f, 1, 1);
		assert_int_equal(first.local_id, 1);
		check_bytes_pass(f);
		remove_and_destroy(f, &up);
		assert_true(spin_until(f->loop, one_subflow_each, f, PATIENCE));
		check_bytes_pass(f);
		up = join(f, 2, 2);
		remove_and_destroy(f, &first);
		assert_true(spin_until(f->loop, one_subflow_each, f, PATIENCE));
		check_bytes_pass(f);
	}
}

static void
test_errors(void **state)
{
	struct fixture *f = *state;
	struct mptcp_pm_event up = join(f, 2, 2), ev;
	struct mptcp_pm_request req = join_request(f, 2, 3);

	req.token ^= 1;
	assert_true(ask(&f->client, &req) < 0);
	req = join_request(f, 2, 3); /* that address has id 2 */
	assert_true(ask(&f->client, &req) < 0);
	req = destroy_request(&up);
	req.local.port ^= 1;
	assert_int_equal(ask(&f->client, &req), -ESRCH);
	req = (struct mptcp_pm_request){
		.op = MPTCP_PM_REMOVE_ADDR, .token = f->client_token, .local_id = 99};
	assert_int_equal(ask(&f->client, &req), -EINVAL);
	/* Nobody listens there: the join starts and then fails. */
	req = destroy_request(&up);
	assert_int_equal(ask(&f->client, &req), 0);
	req = join_request(f, 2, 2);
	req.remote.port = NETLAB_PORT + 1;
	assert_int_equal(ask(&f->client, &req), 0);
	ev = await(&f->client, MPTCP_PM_EVENT_SUBFLOW_DOWN, f->client_token);
	assert_int_equal(ev.err, -ECONNREFUSED);
	assert_int_equal(ev.local_id, 2);
	check_bytes_pass(f);
}

static void
test_priority_is_told(void **state)
{
	struct fixture *f = *state;
	struct mptcp_pm_event up = join(f, 2, 2), ev;
	struct mptcp_pm_request req = {.op = MPTCP_PM_SET_BACKUP,
				       .token = f->client_token,
				       .local = up.local,
				       .remote = up.remote,
				       .backup = true};

	f->server.n_events = 0;
	assert_int_equal(ask(&f->client, &req), 0);
	ev = await(&f->server, MPTCP_PM_EVENT_PRIORITY, f->server_token);
	assert_true(ev.backup);
	assert_true(addr_equal(&ev.remote, &up.local));
	req.backup = false;
	f->server.n_events = 0;
	assert_int_equal(ask(&f->client, &req), 0);
	ev = await(&f->server, MPTCP_PM_EVENT_PRIORITY, f->server_token);
	assert_false(ev.backup);
	/* A join with B. */
	remove_and_destroy(f, &up);
	req = join_request(f, 2, 2);
	req.backup = true;
	f->server.n_events = 0;
	assert_int_equal(ask(&f->client, &req), 0);
	ev = await(&f->server, MPTCP_PM_EVENT_SUBFLOW_UP, f->server_token);
	assert_true(ev.backup);
}

static bool
all_answered(void *arg)
{
	const struct side *s = arg;

	return s->n_results >= MPTCP_PM_PENDING_MAX;
}

/* More is asked and told than the sockets hold while nobody reads. */
static void
test_full_and_overrun(void **state)
{
	struct fixture *f = *state;
	struct mptcp_pm_event up = join(f, 2, 2);
	struct loop *other = loop_new();
	struct side deaf;
	struct mptcp_pm_request req = {.op = MPTCP_PM_SET_BACKUP,
				       .token = f->client_token,
				       .local = up.local,
				       .remote = up.remote};

	start_side(&deaf, NETLAB_SERVER, other, f->saved);
	netlab_enter(NETLAB_CLIENT);
	for (int round = 0; round < 5; round++) {
		f->client.n_results = 0;
		for (unsigned i = 0; i < MPTCP_PM_PENDING_MAX; i++) {
			req.cookie = i;
			req.backup = i % 2 == 0;
			assert_int_equal(mptcp_pm_send(f->client.pm, &req), 0);
		}
		assert_int_equal(mptcp_pm_send(f->client.pm, &req), -ENOBUFS);
		assert_true(spin_until(f->loop, all_answered, &f->client, PATIENCE));
		assert_int_equal(f->client.result.err, 0);
		assert_int_equal(f->client.result.cookie, MPTCP_PM_PENDING_MAX - 1);
	}
	spin_for(other, 300 * NS_PER_MS);
	assert_int_equal(deaf.n_overruns, 1);
	assert_int_equal(f->server.n_overruns, 0);
	/* And it goes on. */
	req.backup = !req.backup;
	deaf.n_priorities = 0;
	assert_int_equal(mptcp_pm_send(f->client.pm, &req), 0);
	spin_for(other, 100 * NS_PER_MS);
	assert_int_equal(deaf.n_priorities, 1);
	mptcp_pm_free(deaf.pm);
	loop_free(other);
}

static void
test_endpoint_count(void **state)
{
	struct fixture *f = *state;

	netlab_enter(NETLAB_CLIENT);
	assert_int_equal(mptcp_pm_endpoint_count(f->client.pm), 0);
	netlab_sh(NETLAB_CLIENT, "ip mptcp endpoint add 10.0.1.1 subflow");
	netlab_sh(NETLAB_CLIENT, "ip mptcp endpoint add 10.0.2.1 subflow");
	assert_int_equal(mptcp_pm_endpoint_count(f->client.pm), 2);
	netlab_sh(NETLAB_CLIENT, "ip mptcp endpoint flush");
	assert_int_equal(mptcp_pm_endpoint_count(f->client.pm), 0);
}

/* A daemon that is killed gives back what it found when the next one stops. */
static void
test_take_and_give_back(void **state)
{
	struct fixture *f = *state;
	struct errmsg why;
	int status, fd;
	pid_t pid;

	netlab_enter(NETLAB_CLIENT);
	netlab_sh(NETLAB_CLIENT, "echo 0 > /proc/sys/net/mptcp/pm_type");
	assert_int_equal(mptcp_pm_type(), 0);
	assert_int_equal(mptcp_pm_give_back(f->saved, &why), 0); /* nothing taken */
	assert_int_equal(mptcp_pm_type(), 0);
	pid = fork();
	if (pid == 0) {
		if (mptcp_pm_take(f->saved, &why) == 0)
			kill(getpid(), SIGKILL);
		_exit(1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	assert_int_equal(mptcp_pm_type(), 1);
	/* The next run must not take our own 1 for what was there. */
	assert_int_equal(mptcp_pm_take(f->saved, &why), 0);
	assert_int_equal(mptcp_pm_give_back(f->saved, &why), 0);
	assert_int_equal(mptcp_pm_type(), 0);
	assert_int_equal(access(f->saved, F_OK), -1);
	/* A file that is not ours changes nothing. */
	fd = open(f->saved, O_WRONLY | O_CREAT, 0600);
	assert_int_equal(write(fd, "../../kernel/x=1", 16), 16);
	close(fd);
	assert_int_equal(mptcp_pm_give_back(f->saved, &why), -EINVAL);
	unlink(f->saved);
	assert_true(mptcp_pm_take("/nonexistent/file", &why) < 0);
	assert_int_equal(mptcp_pm_type(), 0);
}

#define WITH_FIXTURE(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_FIXTURE(test_connection_events),
		WITH_FIXTURE(test_join_and_leave),
		WITH_FIXTURE(test_join_again),
		WITH_FIXTURE(test_first_subflow_leaves_and_returns),
		WITH_FIXTURE(test_errors),
		WITH_FIXTURE(test_priority_is_told),
		WITH_FIXTURE(test_full_and_overrun),
		WITH_FIXTURE(test_endpoint_count),
		WITH_FIXTURE(test_take_and_give_back),
	};

	if (!netlab_init())
		return 77;
	netlab_add_link(1, 0);
	netlab_add_link(2, 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
