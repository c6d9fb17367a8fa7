/*
 * unixsock - UNIX stream sockets: listened on with a mode and a group, connected.
 *
 * Model:   a socket file belongs to who listens on it. It is made closed to
 *          all but its owner and opened to `mode` before anybody can connect;
 *          one that a dead process left behind is replaced.
 * Bounds:  a path of UNIXSOCK_PATH_MAX bytes with the NUL, in a directory that
 *          only the service may write to.
 * Errors:  a descriptor >= 0, or -errno; nothing stays behind after an error.
 */
#ifndef DAEMON_IO_UNIXSOCK_H
#define DAEMON_IO_UNIXSOCK_H

#include "common/base.h"

#include <sys/types.h>

enum { UNIXSOCK_PATH_MAX = 108 };

/* The process's own group. */
#define UNIXSOCK_GROUP_OWN ((gid_t)-1)

/*
 * Non-blocking and close-on-exec. Who listened unlinks the path in the end.
 *
 * -EADDRINUSE    somebody answers there
 * -EEXIST        there is a file that is no socket
 * -ENAMETOOLONG  the path does not fit
 * -EPERM         `group` is none of this process's groups
 */
int unixsock_listen(const char *path, mode_t mode, gid_t group) MUST_CHECK;

/* Who connected, for the log: the file's mode has decided already. */
struct unixsock_peer {
	uid_t uid;
	pid_t pid;
};

/* Non-blocking. -EAGAIN: nobody waits. */
int unixsock_accept(int listener, struct unixsock_peer *ret_peer) MUST_CHECK;

/*
 * Blocking, for tools. The descriptor's reads and writes give up with EAGAIN
 * after `timeout` as well. -ETIMEDOUT: nobody accepted in time.
 */
int unixsock_connect(const char *path, ns_t timeout) MUST_CHECK;

#endif
