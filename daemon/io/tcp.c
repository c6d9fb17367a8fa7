#include "daemon/io/tcp.h"

#include "daemon/io/sock.h"

#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

static int
stream_socket(enum tcp_kind kind, uint8_t family)
{
	int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
			kind == TCP_MPTCP ? IPPROTO_MPTCP : IPPROTO_TCP);

	return fd < 0 ? -errno : fd;
}

static int
start_listening(int fd, const struct addr *at, int backlog)
{
	int err;

	/* A restart must not wait for the connections of the last run. */
	err = sock_set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	if (err < 0)
		return err;
	if (at->family == AF_INET6) {
		err = sock_set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
		if (err < 0)
			return err;
	}
	err = sock_bind(fd, at);
	if (err < 0)
		return err;
	return listen(fd, backlog) < 0 ? -errno : 0;
}

int
tcp_listen(enum tcp_kind kind, const struct addr *at, int backlog)
{
	int fd = stream_socket(kind, at->family);
	int err;

	if (fd < 0)
		return fd;
	err = start_listening(fd, at, backlog);
	if (err < 0) {
		close(fd);
		return err;
	}
	return fd;
}

int
tcp_set_congestion(int fd, const char *name)
{
	enum { CONGESTION_NAME_MAX = 16 }; /* TCP_CA_NAME_MAX of the kernel */

	return sock_set_text(fd, IPPROTO_TCP, TCP_CONGESTION, name,
			     CONGESTION_NAME_MAX);
}

int
tcp_try_congestion(const char *name)
{
	int fd = stream_socket(TCP_PLAIN, AF_INET);
	int err;

	if (fd < 0)
		return fd;
	err = tcp_set_congestion(fd, name);
	close(fd);
	return err;
}

bool
tcp_mptcp_is_enabled(void)
{
	int fd = stream_socket(TCP_MPTCP, AF_INET);

	if (fd >= 0)
		close(fd);
	return fd != -ENOPROTOOPT && fd != -EPROTONOSUPPORT;
}

static int
start_connecting(int fd, const struct tcp_connect *c)
{
	struct sockaddr_storage ss;
	socklen_t len = addr_to_sockaddr(&c->remote, &ss);
	int err;

	if (c->device != NULL) {
		err = sock_set_device(fd, c->device);
		if (err < 0)
			return err;
	}
	if (c->local != NULL) {
		err = sock_bind(fd, c->local);
		if (err < 0)
			return err;
	}
	if (c->congestion != NULL) {
		err = tcp_set_congestion(fd, c->congestion);
		if (err < 0)
			return err;
	}
	if (c->receive_buffer > 0)
		(void)!tcp_force_receive_buffer(fd, c->receive_buffer);
	if (connect(fd, (struct sockaddr *)&ss, len) < 0 && errno != EINPROGRESS)
		return -errno;
	return 0;
}

int
tcp_connect_start(const struct tcp_connect *c)
{
	int fd = stream_socket(c->kind, c->remote.family);
	int err;

	if (fd < 0)
		return fd;
	err = start_connecting(fd, c);
	if (err < 0) {
		close(fd);
		return err;
	}
	return fd;
}

int
tcp_connect_result(int fd)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	int failed = 0;
	socklen_t failed_len = sizeof(failed);

	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &failed, &failed_len) < 0)
		return -errno;
	if (failed != 0)
		return -failed;
	if (getpeername(fd, (struct sockaddr *)&ss, &len) == 0)
		return 0;
	return errno == ENOTCONN ? -EINPROGRESS : -errno;
}

int
tcp_accept(int listener, struct addr *ret_remote)
{
	struct sockaddr_storage ss;
	socklen_t len;
	int fd, err;

	/* A peer that gave up while it waited is no error of the listener. */
	do {
		len = sizeof(ss);
		fd = accept4(listener, (struct sockaddr *)&ss, &len,
			     SOCK_NONBLOCK | SOCK_CLOEXEC);
	} while (fd < 0 && (errno == EINTR || errno == ECONNABORTED));
	if (fd < 0)
		return -errno;
	err = addr_from_sockaddr((struct sockaddr *)&ss, ret_remote);
	if (err < 0) {
		close(fd);
		return err;
	}
	return fd;
}

int
tcp_spare_init(struct tcp_spare *s)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	s->fd = fd;
	return 0;
}

bool
tcp_spare_shed(struct tcp_spare *s, int listener)
{
	int fd;

	if (s->fd >= 0)
		close(s->fd);
	fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd >= 0)
		tcp_reset(fd);
	s->fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	return fd >= 0;
}

void
tcp_spare_done(struct tcp_spare *s)
{
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
}

void
tcp_set_reset_on_close(int fd, bool on)
{
	const struct linger at_once = {.l_onoff = on, .l_linger = 0};

	(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
}

void
tcp_reset(int fd)
{
	tcp_set_reset_on_close(fd, true);
	close(fd);
}

bool
tcp_is_reset(int fd)
{
	struct pollfd p = {.fd = fd};

	return poll(&p, 1, 0) == 1 && (p.revents & POLLERR) != 0;
}

int
tcp_remote(int fd, struct addr *ret_addr)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);

	if (getpeername(fd, (struct sockaddr *)&ss, &len) < 0)
		return -errno;
	return addr_from_sockaddr((struct sockaddr *)&ss, ret_addr);
}

void
tcp_set_nodelay(int fd, bool on)
{
	(void)sock_set_int(fd, IPPROTO_TCP, TCP_NODELAY, on);
}

void
tcp_set_unsent(int fd, size_t bytes)
{
	(void)sock_set_int(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, (int)bytes);
}

int
tcp_force_receive_buffer(int fd, size_t bytes)
{
	return sock_set_int(fd, SOL_SOCKET, SO_RCVBUFFORCE, (int)bytes);
}

int
tcp_force_send_buffer(int fd, size_t bytes)
{
	/* The kernel doubles it, for its own bookkeeping. */
	return sock_set_int(fd, SOL_SOCKET, SO_SNDBUFFORCE, (int)(bytes / 2));
}

/* Three probes 10 s apart: the 30 s of the header. */
void
tcp_set_keepalive(int fd, ns_t idle)
{
	ns_t idle_s = max_ns(idle / NS_PER_SEC, 1);

	(void)sock_set_int(fd, IPPROTO_TCP, TCP_KEEPIDLE, (int)min_ns(idle_s, 32767));
	(void)sock_set_int(fd, IPPROTO_TCP, TCP_KEEPINTVL, 10);
	(void)sock_set_int(fd, IPPROTO_TCP, TCP_KEEPCNT, 3);
	(void)sock_set_int(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
}

int
tcp_unacked(int fd)
{
	int bytes;

	return ioctl(fd, SIOCOUTQ, &bytes) < 0 ? -errno : bytes;
}
