#include "tests/unit/unit.h"

#include "daemon/io/mptcp_info.h"
#include "daemon/io/sock.h"
#include "daemon/io/tcp.h"
#include "tests/unit/netlab.h"
#include "tests/unit/spin.h"

#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

struct fixture {
	struct loop *loop;
	struct netlab_leg leg;
	int listener;
};

static int
setup(void **state)
{
	static struct fixture f;

	f.loop = loop_new();
	assert_non_null(f.loop);
	f.listener = netlab_listen();
	f.leg = netlab_connect(f.loop, f.listener, 1);
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
	loop_free(f->loop);
	return 0;
}

static bool
two_subflows(void *arg)
{
	struct mptcp_info_all info;

	return mptcp_info_get(*(int *)arg, &info) == 0 && info.n_subflows == 2;
}

static void
check_same(const struct mptcp_info_all *a, const struct mptcp_info_all *b)
{
	assert_int_equal(a->token, b->token);
	assert_int_equal(a->n_subflows, b->n_subflows);
	assert_int_equal(a->n_left_out, 0);
	for (size_t i = 0; i < a->n_subflows; i++) {
		const struct mptcp_subflow_info *x = &a->subflows[i];
		const struct mptcp_subflow_info *y = &b->subflows[i];

		assert_true(addr_equal(&x->local, &y->local));
		assert_true(addr_equal(&x->remote, &y->remote));
		assert_true(x->bytes_acked == y->bytes_acked);
		assert_true(x->bytes_received == y->bytes_received);
		assert_int_equal(x->unacked, y->unacked);
		assert_true(x->srtt == y->srtt && x->srtt > 0);
		assert_int_equal(x->cwnd, y->cwnd);
	}
}

static void
test_figures(void **state)
{
	static const char block[50000];
	struct fixture *f = *state;
	struct mptcp_info_all info, older;
	struct addr local, remote;
	char drain[50000];
	size_t got = 0;

	assert_int_equal(write(f->leg.client, block, sizeof(block)), sizeof(block));
	for (int i = 0; i < 2000 && got < sizeof(block); i++) {
		ssize_t n = read(f->leg.server, drain, sizeof(drain));

		got += n > 0 ? (size_t)n : 0;
		spin_for(f->loop, NS_PER_MS);
	}
	assert_int_equal(got, sizeof(block));
	spin_for(f->loop, 100 * NS_PER_MS); /* the last acknowledgement */
	assert_int_equal(mptcp_info_get(f->leg.client, &info), 0);
	assert_int_equal(mptcp_info_get_by_parts(f->leg.client, &older), 0);
	check_same(&info, &older);
	assert_int_equal(info.n_subflows, 1);
	assert_int_equal(sock_local(f->leg.client, &local), 0);
	assert_int_equal(tcp_remote(f->leg.client, &remote), 0);
	assert_true(addr_equal(&info.subflows[0].local, &local));
	assert_true(addr_equal(&info.subflows[0].remote, &remote));
	assert_in_range(info.subflows[0].bytes_acked, sizeof(block),
			sizeof(block) + 100);
	assert_int_equal(info.subflows[0].unacked, 0);
	assert_true(info.subflows[0].since_ack >= 90 * NS_PER_MS);
	assert_int_equal(mptcp_info_get(f->leg.server, &info), 0);
	assert_in_range(info.subflows[0].bytes_received, sizeof(block),
			sizeof(block) + 100);
}

static void
test_two_subflows(void **state)
{
	struct fixture *f = *state;
	struct mptcp_info_all info, older;
	struct netlab_leg leg;

	netlab_sh(NETLAB_CLIENT, "ip mptcp endpoint add 10.0.2.1 dev c2 subflow");
	netlab_sh(NETLAB_SERVER, "ip mptcp limits set subflow 2 add_addr_accepted 2");
	leg = netlab_connect(f->loop, f->listener, 1);
	assert_true(spin_until(f->loop, two_subflows, &leg.client, 3 * NS_PER_SEC));
	spin_for(f->loop, 50 * NS_PER_MS);
	assert_int_equal(mptcp_info_get(leg.client, &info), 0);
	assert_int_equal(mptcp_info_get_by_parts(leg.client, &older), 0);
	check_same(&info, &older);
	assert_false(addr_equal(&info.subflows[0].local, &info.subflows[1].local));
	netlab_sh(NETLAB_CLIENT, "ip mptcp endpoint flush");
	close(leg.client);
	close(leg.server);
}

static void
test_plain_tcp_is_told(void **state)
{
	struct fixture *f = *state;
	struct mptcp_info_all info = {.token = 42};
	struct tcp_connect how = {.kind = TCP_PLAIN};
	struct addr at, from;
	uint32_t token = 42;
	int listener, fd, end = -EAGAIN;

	/* An MPTCP listener that a plain TCP client talks to: falls back. */
	assert_int_equal(tcp_remote(f->leg.client, &how.remote), 0);
	fd = tcp_connect_start(&how);
	assert_true(fd >= 0);
	for (int i = 0; i < 1000 && end == -EAGAIN; i++) {
		spin_for(f->loop, NS_PER_MS);
		end = tcp_accept(f->listener, &from);
	}
	assert_true(end >= 0);
	assert_int_equal(mptcp_info_get(end, &info), -EOPNOTSUPP);
	assert_int_equal(mptcp_info_token(end, &token), -EOPNOTSUPP);
	assert_int_equal(mptcp_info_get(fd, &info), -EOPNOTSUPP);
	close(fd);
	close(end);
	/* And an MPTCP client at a plain listener. */
	at = how.remote;
	at.port++;
	netlab_enter(NETLAB_SERVER);
	listener = tcp_listen(TCP_PLAIN, &at, 4);
	netlab_enter(NETLAB_CLIENT);
	assert_true(listener >= 0);
	how.kind = TCP_MPTCP;
	how.remote = at;
	fd = tcp_connect_start(&how);
	assert_true(fd >= 0);
	for (int i = 0; i < 1000 && tcp_connect_result(fd) < 0; i++)
		spin_for(f->loop, NS_PER_MS);
	assert_int_equal(mptcp_info_get(fd, &info), -EOPNOTSUPP);
	assert_int_equal(mptcp_info_get_by_parts(fd, &info), -EOPNOTSUPP);
	assert_int_equal(mptcp_info_token(fd, &token), -EOPNOTSUPP);
	assert_int_equal(token, 42); /* untouched */
	assert_int_equal(info.token, 42);
	assert_true(mptcp_info_get(-1, &info) == -EBADF);
	close(fd);
	close(listener);
}

#define WITH_FIXTURE(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_FIXTURE(test_figures),
		WITH_FIXTURE(test_two_subflows),
		WITH_FIXTURE(test_plain_tcp_is_told),
	};

	if (!netlab_init())
		return 77;
	netlab_add_link(1, 0);
	netlab_add_link(2, 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
