/*
 * tcp - stream sockets, plain TCP or MPTCP: made, listened on, connected.
 *
 * Model:   thin: every function is a few system calls; all sockets are
 *          non-blocking and close-on-exec.
 * Errors:  a descriptor >= 0, 0, or -errno as the kernel gave it.
 */
#ifndef DAEMON_IO_TCP_H
#define DAEMON_IO_TCP_H

#include "common/addr.h"
#include "common/base.h"

enum tcp_kind { TCP_PLAIN, TCP_MPTCP };

/* -ENOPROTOOPT or -EPROTONOSUPPORT: this kernel has no MPTCP, or it is off. */
int tcp_listen(enum tcp_kind kind, const struct addr *at, int backlog) MUST_CHECK;

struct tcp_connect {
	enum tcp_kind kind;
	struct addr remote;
	const char *device;       /* NULL: as the routing table says */
	const struct addr *local; /* port 0: any; NULL: as the routing table says */
	const char *congestion;   /* NULL: the system's */
	size_t receive_buffer;    /* bytes; 0: the system's; see below */
};
/* Starts to connect; tcp_connect_result() when the descriptor is writable. */
int tcp_connect_start(const struct tcp_connect *c) MUST_CHECK;
int tcp_connect_result(int fd) MUST_CHECK; /* 0, -EINPROGRESS or -errno */

/* -EAGAIN: nobody waits. -EMFILE and -ENFILE: use tcp_accept_spare. */
int tcp_accept(int listener, struct addr *ret_remote) MUST_CHECK;

/*
 * One descriptor kept for the day there is none: accepts one and closes it at
 * once, so that a full process does not spin on a readable listener.
 */
struct tcp_spare {
	int fd;
};
int tcp_spare_init(struct tcp_spare *s) MUST_CHECK;
/* False: nobody waited. The kernel says -EMFILE even then. */
bool tcp_spare_shed(struct tcp_spare *s, int listener);
void tcp_spare_done(struct tcp_spare *s);

/* close() that answers with RST instead of FIN. */
void tcp_reset(int fd);
/* The same for whoever closes it, be it the kernel after this process was killed. */
void tcp_set_reset_on_close(int fd, bool on);

/* Whether the peer has, without reading; false for no descriptor (-1). */
bool tcp_is_reset(int fd);

int tcp_remote(int fd, struct addr *ret_addr) MUST_CHECK;
void tcp_set_nodelay(int fd, bool on);
/* -ENOENT: this kernel has no such algorithm; -EPERM: it is not for everybody. */
int tcp_set_congestion(int fd, const char *name) MUST_CHECK;
/* The same of a socket that is made for this and closed. */
int tcp_try_congestion(const char *name) MUST_CHECK;
/* With so many bytes that were not sent yet, the kernel takes no more. */
void tcp_set_unsent(int fd, size_t bytes);
/* Whether this namespace makes MPTCP sockets. */
bool tcp_mptcp_is_enabled(void);
/* Beyond the system's limit for everybody; -EPERM without CAP_NET_ADMIN. */
int tcp_force_send_buffer(int fd, size_t bytes) MUST_CHECK;
/* The same; fixed from then on. Before connect(), or on a listener. */
int tcp_force_receive_buffer(int fd, size_t bytes) MUST_CHECK;
/* Dead peers are noticed after about `idle` + 30 s. */
void tcp_set_keepalive(int fd, ns_t idle);
/* Bytes written to the socket and not yet acknowledged by the peer; -errno. */
int tcp_unacked(int fd) MUST_CHECK;

#endif
