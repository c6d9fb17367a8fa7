#include "daemon/io/unixsock.h"

#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

enum { BACKLOG = 16 };

_Static_assert(sizeof(((struct sockaddr_un *)0)->sun_path) == UNIXSOCK_PATH_MAX,
	       "the header states what fits");

static int
name(const char *path, struct sockaddr_un *ret_un)
{
	if (strlen(path) >= UNIXSOCK_PATH_MAX)
		return -ENAMETOOLONG;
	/* An empty path would bind to a name of the kernel's choice. */
	if (path[0] == '\0')
		return -ENOENT;
	memset(ret_un, 0, sizeof(*ret_un));
	ret_un->sun_family = AF_UNIX;
	strcpy(ret_un->sun_path, path);
	return 0;
}

static int
unix_socket(int flags)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);

	return fd < 0 ? -errno : fd;
}

/* -ECONNREFUSED: a socket is there, and nobody listens on it. */
static int
ask_whether_alive(const struct sockaddr_un *un)
{
	int fd = unix_socket(SOCK_NONBLOCK);
	int err;

	if (fd < 0)
		return fd;
	err = connect(fd, (const struct sockaddr *)un, sizeof(*un)) < 0 ? -errno : 0;
	close(fd);
	return err;
}

static int
remove_stale(const struct sockaddr_un *un)
{
	struct stat st;
	int err;

	if (lstat(un->sun_path, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	err = ask_whether_alive(un);
	if (err == 0 || err == -EAGAIN) /* -EAGAIN: its backlog is full */
		return -EADDRINUSE;
	if (err != -ECONNREFUSED)
		return err;
	return unlink(un->sun_path) < 0 ? -errno : 0;
}

/* Widening the mode before listen() leaves no moment that is too open. */
static int
open_to(int fd, const char *path, mode_t mode, gid_t group)
{
	if (group != UNIXSOCK_GROUP_OWN && lchown(path, (uid_t)-1, group) < 0)
		return -errno;
	if (chmod(path, mode) < 0)
		return -errno;
	return listen(fd, BACKLOG) < 0 ? -errno : 0;
}

static int
bind_and_listen(int fd, const struct sockaddr_un *un, mode_t mode, gid_t group)
{
	mode_t umask_before;
	int err;

	err = remove_stale(un);
	if (err < 0)
		return err;
	umask_before = umask(0177);
	err = bind(fd, (const struct sockaddr *)un, sizeof(*un)) < 0 ? -errno : 0;
	umask(umask_before);
	if (err < 0)
		return err;
	err = open_to(fd, un->sun_path, mode, group);
	if (err < 0)
		unlink(un->sun_path);
	return err;
}

/*
 * Two daemons that start at once must not take each other's socket for a stale
 * one: it refuses connections until listen(). The directory is their lock.
 */
static int
lock_directory(const char *path)
{
	char dir[UNIXSOCK_PATH_MAX] = ".";
	const char *slash = strrchr(path, '/');
	int fd, err;

	if (slash != NULL) {
		size_t len = max_size((size_t)(slash - path), 1); /* "/" itself */

		memcpy(dir, path, len);
		dir[len] = '\0';
	}
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	while (flock(fd, LOCK_EX) < 0) {
		if (errno == EINTR)
			continue;
		err = -errno;
		close(fd);
		return err;
	}
	return fd;
}

int
unixsock_listen(const char *path, mode_t mode, gid_t group)
{
	struct sockaddr_un un;
	int fd, lock, err;

	err = name(path, &un);
	if (err < 0)
		return err;
	lock = lock_directory(path);
	if (lock < 0)
		return lock;
	fd = unix_socket(SOCK_NONBLOCK);
	if (fd >= 0) {
		err = bind_and_listen(fd, &un, mode, group);
		if (err < 0) {
			close(fd);
			fd = err;
		}
	}
	close(lock);
	return fd;
}

int
unixsock_accept(int listener, struct unixsock_peer *ret_peer)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);
	int fd, err;

	do
		fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	while (fd < 0 && (errno == EINTR || errno == ECONNABORTED));
	if (fd < 0)
		return -errno;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0) {
		err = -errno;
		close(fd);
		return err;
	}
	*ret_peer = (struct unixsock_peer){.uid = cred.uid, .pid = cred.pid};
	return fd;
}

static int
connect_within(int fd, const struct sockaddr_un *un, ns_t timeout)
{
	struct timeval tv = {
		.tv_sec = timeout / NS_PER_SEC,
		.tv_usec = timeout % NS_PER_SEC / NS_PER_US,
	};

	if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)) < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)un, sizeof(*un)) == 0)
		return 0;
	return errno == EAGAIN ? -ETIMEDOUT : -errno;
}

int
unixsock_connect(const char *path, ns_t timeout)
{
	struct sockaddr_un un;
	int fd, err;

	assert(timeout >= NS_PER_US); /* 0 would mean to wait for ever */
	err = name(path, &un);
	if (err < 0)
		return err;
	fd = unix_socket(0);
	if (fd < 0)
		return fd;
	err = connect_within(fd, &un, timeout);
	if (err < 0) {
		close(fd);
		return err;
	}
	return fd;
}
