#include "tests/unit/unit.h"

#include "daemon/io/unixsock.h"

#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATIENCE (5 * NS_PER_SEC)

struct place {
	char dir[40];
	char path[64];
};

static int
set_up(void **state)
{
	struct place *p = calloc(1, sizeof(*p));

	assert_non_null(p);
	strcpy(p->dir, "/tmp/mpp-unixsock.XXXXXX");
	assert_non_null(mkdtemp(p->dir));
	snprintf(p->path, sizeof(p->path), "%s/sock", p->dir);
	*state = p;
	return 0;
}

static int
tear_down(void **state)
{
	struct place *p = *state;

	unlink(p->path);
	assert_int_equal(rmdir(p->dir), 0); /* nothing else was left */
	free(p);
	return 0;
}

static int
listen_at(const char *path, mode_t mode)
{
	int fd = unixsock_listen(path, mode, UNIXSOCK_GROUP_OWN);

	assert_true(fd >= 0);
	return fd;
}

static void
expect_mode(const char *path, mode_t mode)
{
	struct stat st;

	assert_int_equal(lstat(path, &st), 0);
	assert_true(S_ISSOCK(st.st_mode));
	assert_int_equal(st.st_mode & 07777, mode);
}

static void
test_connects_and_tells_who(void **state)
{
	struct place *p = *state;
	int listener = listen_at(p->path, 0600);
	struct unixsock_peer peer;
	int client, server;
	char buf[8];

	assert_int_equal(unixsock_accept(listener, &peer), -EAGAIN);
	client = unixsock_connect(p->path, PATIENCE);
	assert_true(client >= 0);
	server = unixsock_accept(listener, &peer);
	assert_true(server >= 0);
	assert_int_equal(peer.uid, geteuid());
	assert_int_equal(peer.pid, getpid());
	assert_true(fcntl(listener, F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(server, F_GETFL) & O_NONBLOCK);
	assert_false(fcntl(client, F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(listener, F_GETFD) & FD_CLOEXEC);
	assert_true(fcntl(server, F_GETFD) & FD_CLOEXEC);
	assert_true(fcntl(client, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(write(client, "hello", 5), 5);
	assert_int_equal(read(server, buf, sizeof(buf)), 5);
	close(client);
	close(server);
	close(listener);
}

static void
test_mode_whatever_the_umask(void **state)
{
	static const mode_t masks[] = {0, 022, 077, 0777};
	static const mode_t modes[] = {0600, 0660, 0666};
	struct place *p = *state;
	mode_t before = umask(0);

	for (size_t i = 0; i < ARRAY_LEN(masks) * ARRAY_LEN(modes); i++) {
		mode_t mask = masks[i % ARRAY_LEN(masks)];
		mode_t mode = modes[i / ARRAY_LEN(masks)];

		umask(mask);
		close(listen_at(p->path, mode));
		expect_mode(p->path, mode);
		assert_int_equal(umask(mask), mask);
	}
	umask(before);
}

static void
test_group(void **state)
{
	struct place *p = *state;
	gid_t groups[64], group = getegid();
	int n = getgroups(ARRAY_LEN(groups), groups);
	struct stat st;

	/* Another one of ours where there is one; any, for the superuser. */
	for (int i = 0; i < n; i++)
		if (groups[i] != getegid())
			group = groups[i];
	if (geteuid() == 0)
		group = 12345;
	int fd = unixsock_listen(p->path, 0660, group);

	if (fd == -EINVAL && geteuid() == 0)
		skip(); /* a user namespace with one group in it */
	assert_true(fd >= 0);
	assert_int_equal(stat(p->path, &st), 0);
	assert_int_equal(st.st_gid, group);
	expect_mode(p->path, 0660);
	close(fd);
}

/* As somebody who may not give files away. */
static void
test_a_group_that_is_not_ours(void **state)
{
	struct place *p = *state;
	pid_t pid;
	int status;

	assert_int_equal(chmod(p->dir, 0777), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		if (geteuid() == 0 &&
		    (setgroups(0, NULL) < 0 || setgid(54321) < 0 || setuid(54321) < 0))
			_exit(2);
		int err = unixsock_listen(p->path, 0660, 12345);

		_exit(err == -EPERM && access(p->path, F_OK) < 0 ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 2)
		skip(); /* a user namespace with one user in it */
	assert_int_equal(status, 0);
}

static void
test_only_the_stale_is_replaced(void **state)
{
	struct place *p = *state;
	int listener = listen_at(p->path, 0600), again, client;
	struct stat before, after;

	assert_int_equal(unixsock_listen(p->path, 0666, UNIXSOCK_GROUP_OWN),
			 -EADDRINUSE);
	expect_mode(p->path, 0600);
	client = unixsock_connect(p->path, PATIENCE); /* it still works */
	assert_true(client >= 0);
	close(client);
	assert_int_equal(stat(p->path, &before), 0);

	close(listener);
	assert_int_equal(unixsock_connect(p->path, PATIENCE), -ECONNREFUSED);
	again = listen_at(p->path, 0600);
	assert_int_equal(stat(p->path, &after), 0);
	assert_true(before.st_ino != after.st_ino ||
		    before.st_ctim.tv_nsec != after.st_ctim.tv_nsec);
	client = unixsock_connect(p->path, PATIENCE);
	assert_true(client >= 0);
	close(client);
	close(again);
}

static void
expect_refused(const char *path, int err)
{
	struct stat before, after;

	assert_int_equal(lstat(path, &before), 0);
	assert_int_equal(unixsock_listen(path, 0600, UNIXSOCK_GROUP_OWN), err);
	assert_int_equal(lstat(path, &after), 0);
	assert_int_equal(before.st_ino, after.st_ino);
	assert_int_equal(before.st_mode, after.st_mode);
}

static void
test_other_files_are_left_alone(void **state)
{
	struct place *p = *state;
	int fd = open(p->path, O_CREAT | O_WRONLY, 0644);

	assert_true(fd >= 0);
	close(fd);
	expect_refused(p->path, -EEXIST);
	unlink(p->path);
	assert_int_equal(symlink("/nonexistent/elsewhere", p->path), 0);
	expect_refused(p->path, -EEXIST);
	unlink(p->path);
	assert_int_equal(mkdir(p->path, 0700), 0);
	expect_refused(p->path, -EEXIST);
	rmdir(p->path);
}

static void
test_paths_that_do_not_do(void **state)
{
	char path[UNIXSOCK_PATH_MAX + 1];
	int fds[2];

	(void)state;
	memset(path, 'x', sizeof(path));
	memcpy(path, "/tmp/", 5);
	path[UNIXSOCK_PATH_MAX] = '\0';
	assert_int_equal(unixsock_listen(path, 0600, UNIXSOCK_GROUP_OWN),
			 -ENAMETOOLONG);
	assert_int_equal(unixsock_connect(path, PATIENCE), -ENAMETOOLONG);
	assert_int_equal(unixsock_listen("", 0600, UNIXSOCK_GROUP_OWN), -ENOENT);
	assert_int_equal(unixsock_connect("", PATIENCE), -ENOENT);
	assert_int_equal(
		unixsock_listen("/nonexistent/dir/s", 0600, UNIXSOCK_GROUP_OWN),
		-ENOENT);
	assert_int_equal(unixsock_connect("/nonexistent/s", PATIENCE), -ENOENT);
	/* None of these kept a descriptor. */
	assert_int_equal(pipe(fds), 0);
	assert_true(fds[1] < 16);
	close(fds[0]);
	close(fds[1]);
}

static void
test_a_relative_path(void **state)
{
	struct place *p = *state;
	char before[4096];

	assert_non_null(getcwd(before, sizeof(before)));
	assert_int_equal(chdir(p->dir), 0);
	close(listen_at("sock", 0600));
	expect_mode(p->path, 0600);
	assert_int_equal(chdir(before), 0);
}

static void
test_connect_gives_up(void **state)
{
	struct place *p = *state;
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	int listener = socket(AF_UNIX, SOCK_STREAM, 0);
	int first, second;
	char c;

	strcpy(un.sun_path, p->path);
	assert_int_equal(bind(listener, (struct sockaddr *)&un, sizeof(un)), 0);
	assert_int_equal(listen(listener, 0), 0);
	first = unixsock_connect(p->path, 20 * NS_PER_MS);
	assert_true(first >= 0);
	second = unixsock_connect(p->path, 20 * NS_PER_MS);
	assert_int_equal(second, -ETIMEDOUT);
	/* A full backlog is a living daemon. */
	assert_int_equal(unixsock_listen(p->path, 0600, UNIXSOCK_GROUP_OWN),
			 -EADDRINUSE);
	assert_int_equal(read(first, &c, 1), -1);
	assert_int_equal(errno, EAGAIN);
	close(first);
	close(listener);
}

/* Many start at once on a stale socket: one listens, and is reached. */
static void
test_one_of_many_wins(void **state)
{
	enum { STARTERS = 16 };
	struct place *p = *state;
	pid_t pids[STARTERS];
	int go[2], won[2], hold[2], winners = 0;
	char c;

	close(listen_at(p->path, 0600));
	assert_int_equal(pipe(go) + pipe(won) + pipe(hold), 0);
	for (int i = 0; i < STARTERS; i++) {
		pids[i] = fork();
		assert_true(pids[i] >= 0);
		if (pids[i] == 0) {
			close(go[1]);
			close(hold[1]);
			(void)!read(go[0], &c, 1);
			int fd = unixsock_listen(p->path, 0600, UNIXSOCK_GROUP_OWN);

			c = fd >= 0 ? 'w' : fd == -EADDRINUSE ? 'l' : '?';
			(void)!write(won[1], &c, 1);
			(void)!read(hold[0], &c, 1);
			_exit(0);
		}
	}
	close(go[1]);
	for (int i = 0; i < STARTERS; i++) {
		assert_int_equal(read(won[0], &c, 1), 1);
		assert_true(c == 'w' || c == 'l');
		winners += c == 'w';
	}
	assert_int_equal(winners, 1);
	int client = unixsock_connect(p->path, PATIENCE);

	assert_true(client >= 0);
	close(client);
	close(hold[1]);
	for (int i = 0; i < STARTERS; i++)
		assert_int_equal(waitpid(pids[i], NULL, 0), pids[i]);
	close(go[0]);
	close(won[0]);
	close(won[1]);
	close(hold[0]);
}

#define IN_PLACE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		IN_PLACE(test_connects_and_tells_who),
		IN_PLACE(test_mode_whatever_the_umask),
		IN_PLACE(test_group),
		IN_PLACE(test_a_group_that_is_not_ours),
		IN_PLACE(test_only_the_stale_is_replaced),
		IN_PLACE(test_other_files_are_left_alone),
		cmocka_unit_test(test_paths_that_do_not_do),
		IN_PLACE(test_a_relative_path),
		IN_PLACE(test_connect_gives_up),
		IN_PLACE(test_one_of_many_wins),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
