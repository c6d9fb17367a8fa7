#include "tests/unit/unit.h"

#include "daemon/io/service.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#ifdef HAVE_SYSTEMD
#define WITH_SYSTEMD 1
#else
#define WITH_SYSTEMD 0
#endif

struct manager {
	char dir[40];
	struct sockaddr_un un;
	int fd;
};

static int
set_up(void **state)
{
	struct manager *m = calloc(1, sizeof(*m));

	assert_non_null(m);
	strcpy(m->dir, "/tmp/mpp-service.XXXXXX");
	assert_non_null(mkdtemp(m->dir));
	m->un.sun_family = AF_UNIX;
	snprintf(m->un.sun_path, sizeof(m->un.sun_path), "%s/notify", m->dir);
	m->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(m->fd, (struct sockaddr *)&m->un, sizeof(m->un)), 0);
	assert_int_equal(setenv("NOTIFY_SOCKET", m->un.sun_path, 1), 0);
	*state = m;
	return 0;
}

static int
tear_down(void **state)
{
	struct manager *m = *state;

	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
	close(m->fd);
	unlink(m->un.sun_path);
	rmdir(m->dir);
	free(m);
	return 0;
}

/* Datagrams of a UNIX socket are there when the sender's call returns. */
static void
expect(struct manager *m, const char *begin)
{
	char got[1024];
	ssize_t n = recv(m->fd, got, sizeof(got) - 1, 0);

	if (!WITH_SYSTEMD) {
		assert_int_equal(n, -1);
		return;
	}
	assert_true(n > 0);
	got[n] = '\0';
	assert_true((size_t)n >= strlen(begin));
	if (begin[strlen(begin) - 1] == '=')
		got[strlen(begin)] = '\0';
	assert_string_equal(got, begin);
}

static void
test_notifications(void **state)
{
	char text[600], expected[600] = "STATUS=";

	service_ready();
	expect(*state, "READY=1");
	service_reloading();
	expect(*state, "RELOADING=1\nMONOTONIC_USEC=");
	service_stopping();
	expect(*state, "STOPPING=1");
	service_alive();
	expect(*state, "WATCHDOG=1");
	service_status("%d of %d uplinks up", 2, 3);
	expect(*state, "STATUS=2 of 3 uplinks up");
	service_status("%s", "peer \"x\nSTOPPING=1\"");
	expect(*state, "STATUS=peer \"x STOPPING=1\"");
	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	service_status("%s", text);
	memcpy(expected + strlen(expected), text, SERVICE_STATUS_MAX - 1);
	expect(*state, expected);
	service_status("%s", "");
	expect(*state, "STATUS=");
}

static void
test_nobody_to_notify(void **state)
{
	struct manager *m = *state;

	unlink(m->un.sun_path);
	service_ready();
	unsetenv("NOTIFY_SOCKET");
	service_ready();
	service_status("alone");
	assert_int_equal(recv(m->fd, &(char){0}, 1, 0), -1);
}

static void
test_watchdog_interval(void **state)
{
	char pid[16];

	(void)state;
	assert_true(service_watchdog_interval() == NS_NEVER);
	setenv("WATCHDOG_USEC", "3000000", 1);
	assert_true(service_watchdog_interval() ==
		    (WITH_SYSTEMD ? 3 * NS_PER_SEC / 2 : NS_NEVER));
	snprintf(pid, sizeof(pid), "%d", (int)getpid() + 1);
	setenv("WATCHDOG_PID", pid, 1); /* meant for another */
	assert_true(service_watchdog_interval() == NS_NEVER);
	unsetenv("WATCHDOG_PID");
	setenv("WATCHDOG_USEC", "soon", 1);
	assert_true(service_watchdog_interval() == NS_NEVER);
}

static void
test_raise_files(void **state)
{
	struct rlimit before, rl;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	rl = before;
	rl.rlim_cur = 64;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &rl), 0);
	assert_int_equal(service_raise_files(), before.rlim_max);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &rl), 0);
	assert_int_equal(rl.rlim_cur, before.rlim_max);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
}

static void
test_hide_memory(void **state)
{
	struct rlimit rl;

	(void)state;
	assert_int_equal(service_hide_memory(), 0);
	assert_int_equal(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0), 0);
	assert_int_equal(getrlimit(RLIMIT_CORE, &rl), 0);
	assert_int_equal(rl.rlim_cur, 0);
	assert_int_equal(rl.rlim_max, 0);
	/* The leak checker of a sanitizer traces this process at its end. */
	assert_int_equal(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0), 0);
}

static void
test_ignore_sigpipe(void **state)
{
	int fds[2];

	(void)state;
	assert_int_equal(service_ignore_sigpipe(), 0);
	assert_int_equal(pipe(fds), 0);
	close(fds[0]);
	assert_int_equal(write(fds[1], "x", 1), -1);
	assert_int_equal(errno, EPIPE);
	close(fds[1]);
}

#define WITH_MANAGER(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_MANAGER(test_notifications),
		WITH_MANAGER(test_nobody_to_notify),
		WITH_MANAGER(test_watchdog_interval),
		cmocka_unit_test(test_raise_files),
		cmocka_unit_test(test_hide_memory),
		cmocka_unit_test(test_ignore_sigpipe),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
