#include "tests/unit/netlab.h"

#include "daemon/io/tcp.h"
#include "tests/unit/addrs.h"
#include "tests/unit/spin.h"
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { COMMAND_MAX = 512, FIRST_FD = 900 };

static int
side_fd(enum netlab_side side)
{
	return FIRST_FD + (int)side;
}

static bool
write_file(const char *file, const char *text)
{
	int fd = open(file, O_WRONLY | O_CLOEXEC);
	bool ok = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (fd >= 0)
		close(fd);
	return ok;
}

static bool
become_root_of_own_users(void)
{
	char map[64];
	uid_t uid = getuid();
	gid_t gid = getgid();

	if (unshare(CLONE_NEWUSER) < 0)
		return false;
	snprintf(map, sizeof(map), "0 %u 1", (unsigned)uid);
	if (!write_file("/proc/self/uid_map", map))
		return false;
	write_file("/proc/self/setgroups", "deny");
	snprintf(map, sizeof(map), "0 %u 1", (unsigned)gid);
	return write_file("/proc/self/gid_map", map);
}

static bool
make_side(enum netlab_side side)
{
	int fd;

	if (unshare(CLONE_NEWNET) < 0)
		return false;
	fd = open("/proc/self/ns/net", O_RDONLY);
	if (fd < 0 || dup2(fd, side_fd(side)) < 0)
		return false;
	close(fd);
	netlab_sh(side, "ip link set lo up");
	/* One test with dropped SYNs must not switch MPTCP off for an hour. */
	write_file("/proc/sys/net/mptcp/blackhole_timeout", "0");
	return true;
}

bool
netlab_init(void)
{
	if (geteuid() != 0 && !become_root_of_own_users()) {
		printf("left out: no user namespaces here: %s\n", strerror(errno));
		return false;
	}
	if (!make_side(NETLAB_SERVER) || !make_side(NETLAB_CLIENT)) {
		printf("left out: no network namespaces here: %s\n", strerror(errno));
		return false;
	}
	return true;
}

void
netlab_enter(enum netlab_side side)
{
	assert_int_equal(setns(side_fd(side), CLONE_NEWNET), 0);
}

void
netlab_sh(enum netlab_side side, const char *fmt, ...)
{
	char command[COMMAND_MAX];
	va_list ap;
	int n, back;

	va_start(ap, fmt);
	n = vsnprintf(command, sizeof(command), fmt, ap);
	va_end(ap);
	assert_in_range(n, 1, sizeof(command) - 1);
	back = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	assert_true(back >= 0);
	netlab_enter(side);
	n = system(command);
	assert_int_equal(setns(back, CLONE_NEWNET), 0);
	close(back);
	if (n != 0)
		fail_msg("failed: %s", command);
}

void
netlab_add_link(int n, int mbit)
{
	netlab_sh(NETLAB_CLIENT,
		  "ip link add c%d type veth peer name s%d netns /proc/%d/fd/%d", n, n,
		  (int)getpid(), side_fd(NETLAB_SERVER));
	netlab_sh(NETLAB_CLIENT, "ip addr add 10.0.%d.1/24 dev c%d; ip link set c%d up",
		  n, n, n);
	netlab_sh(NETLAB_SERVER, "ip addr add 10.0.%d.2/24 dev s%d; ip link set s%d up",
		  n, n, n);
	if (mbit == 0)
		return;
	netlab_sh(NETLAB_CLIENT,
		  "tc qdisc add dev c%d root tbf rate %dmbit burst 32k latency 50ms", n,
		  mbit);
	netlab_sh(NETLAB_SERVER,
		  "tc qdisc add dev s%d root tbf rate %dmbit burst 32k latency 50ms", n,
		  mbit);
}

void
netlab_silence(int n)
{
	netlab_sh(NETLAB_SERVER,
		  "printf 'table netdev silent%d {\\n"
		  "chain in {\\ntype filter hook ingress device s%d priority 0\\n"
		  "drop\\n}\\n"
		  "chain out {\\ntype filter hook egress device s%d priority 0\\n"
		  "drop\\n}\\n}\\n' | nft -f -",
		  n, n, n);
}

void
netlab_unsilence(int n)
{
	netlab_sh(NETLAB_SERVER, "nft delete table netdev silent%d", n);
}

uint64_t
netlab_tx_bytes(enum netlab_side side, const char *interface)
{
	char line[COMMAND_MAX], name[32];
	unsigned long long rx, tx = 0;
	bool found = false;
	FILE *f;

	netlab_enter(side);
	f = fopen("/proc/thread-self/net/dev", "r");
	assert_non_null(f);
	while (!found && fgets(line, sizeof(line), f) != NULL)
		found = sscanf(line, " %31[^:]: %llu %*u %*u %*u %*u %*u %*u %*u %llu",
			       name, &rx, &tx) == 3 &&
			strcmp(name, interface) == 0;
	fclose(f);
	netlab_enter(NETLAB_CLIENT);
	assert_true(found);
	return tx;
}

int
netlab_listen(void)
{
	const struct addr at = addrs_ip("0.0.0.0", NETLAB_PORT);
	int fd;

	netlab_enter(NETLAB_SERVER);
	fd = tcp_listen(TCP_MPTCP, &at, 64);
	netlab_enter(NETLAB_CLIENT);
	assert_true(fd >= 0);
	return fd;
}

struct connecting {
	struct netlab_leg leg;
	int listener;
};

/* Data both ways makes it fully established: only then can subflows join. */
static bool
is_connected(void *arg)
{
	struct connecting *c = arg;
	struct addr from;
	char byte;

	if (tcp_connect_result(c->leg.client) < 0)
		return false;
	if (c->leg.server < 0)
		c->leg.server = tcp_accept(c->listener, &from);
	if (c->leg.server < 0)
		return false;
	if (read(c->leg.server, &byte, 1) == 1)
		assert_int_equal(write(c->leg.server, "s", 1), 1);
	return read(c->leg.client, &byte, 1) == 1;
}

struct netlab_leg
netlab_connect_to(struct loop *l, int listener, const char *server, const char *device)
{
	struct connecting c = {{-1, -1}, listener};
	const struct tcp_connect how = {
		.kind = TCP_MPTCP, .remote = addrs_of(server), .device = device};

	netlab_enter(NETLAB_CLIENT);
	c.leg.client = tcp_connect_start(&how);
	assert_true(c.leg.client >= 0);
	while (write(c.leg.client, "c", 1) < 0)
		spin_for(l, NS_PER_MS);
	assert_true(spin_until(l, is_connected, &c, 5 * NS_PER_SEC));
	return c.leg;
}

struct netlab_leg
netlab_connect(struct loop *l, int listener, int n)
{
	char server[32], device[16];

	snprintf(server, sizeof(server), "10.0.%d.2:%d", n, NETLAB_PORT);
	snprintf(device, sizeof(device), "c%d", n);
	return netlab_connect_to(l, listener, server, device);
}
