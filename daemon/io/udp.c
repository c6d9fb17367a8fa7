#include "daemon/io/udp.h"

#include "daemon/io/sock.h"

#include <linux/errqueue.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	/* A queue in the device's driver only adds delay: the caller paces. */
	SEND_BUFFER = 1024 * 1024,
	/* 40 ms of 1 Gbit/s, where each packet of 1,400 bytes costs 2,304. */
	RECEIVE_BUFFER = 8 * 1024 * 1024,

	SEGMENTS_MAX = 64,            /* UDP_MAX_SEGMENTS, before Linux 6.9 */
	MESSAGE_MAX = 65535 - 20 - 8, /* behind the headers of IPv4 and UDP */
	OUTBOX_MESSAGES = 64,
	ERRORS_MAX = 64, /* ICMP messages looked at in one go */
	TRIES_MAX = 4,

	SLOT_SIZE = 65536,
	CONTROL_SIZE = CMSG_SPACE(sizeof(struct in6_pktinfo)) + CMSG_SPACE(sizeof(int)),
};

struct control {
	_Alignas(struct cmsghdr) uint8_t bytes[CONTROL_SIZE];
};

struct outbox {
	struct mmsghdr messages[OUTBOX_MESSAGES];
	struct iovec parts[OUTBOX_MESSAGES];
	struct sockaddr_storage to;
	struct control control; /* of all messages */
	unsigned n;
};

struct udp_inbox {
	struct mmsghdr messages[UDP_INBOX_MESSAGES];
	struct iovec parts[UDP_INBOX_MESSAGES];
	struct sockaddr_storage from[UDP_INBOX_MESSAGES];
	struct control control[UDP_INBOX_MESSAGES];
	uint8_t slots[UDP_INBOX_MESSAGES][SLOT_SIZE];
	struct udp_burst bursts[UDP_INBOX_MESSAGES]; /* what the messages say */
	unsigned n_messages, n_bursts, next;
};

static bool
is_client(const struct udp_sock *s)
{
	return s->remote.family != 0;
}

/* The kernel doubles the size, for its own bookkeeping. */
static void
set_buffer(int fd, int forced, int name, int bytes)
{
	if (sock_set_int(fd, SOL_SOCKET, forced, bytes / 2) < 0)
		(void)sock_set_int(fd, SOL_SOCKET, name, bytes / 2);
}

static int
open_socket(uint8_t family)
{
	int fd = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int err;

	if (fd < 0)
		return -errno;
	if (family == AF_INET6)
		err = sock_set_int(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER,
				   IPV6_PMTUDISC_PROBE);
	else
		err = sock_set_int(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE);
	if (err < 0) {
		close(fd);
		return err;
	}
	set_buffer(fd, SO_SNDBUFFORCE, SO_SNDBUF, SEND_BUFFER);
	set_buffer(fd, SO_RCVBUFFORCE, SO_RCVBUF, RECEIVE_BUFFER);
	(void)sock_set_int(fd, SOL_UDP, UDP_GRO, 1);
	return fd;
}

static int
hear_icmp(int fd, uint8_t family)
{
	if (family == AF_INET6)
		return sock_set_int(fd, IPPROTO_IPV6, IPV6_RECVERR, 1);
	return sock_set_int(fd, IPPROTO_IP, IP_RECVERR, 1);
}

static int
connect_client(int fd, const char *device, const struct addr *local,
	       const struct addr *remote)
{
	struct sockaddr_storage ss;
	socklen_t len = addr_to_sockaddr(remote, &ss);
	int err = hear_icmp(fd, remote->family);

	if (err == 0 && device != NULL)
		err = sock_set_device(fd, device);
	if (err == 0 && local != NULL)
		err = sock_bind(fd, local);
	if (err == 0 && connect(fd, (struct sockaddr *)&ss, len) < 0)
		err = -errno;
	return err;
}

int
udp_open_client(const char *device, const struct addr *local, const struct addr *remote,
		struct udp_sock *ret_sock)
{
	struct udp_sock s = {.remote = *remote, .offload = true};
	int err;

	assert(local == NULL || local->family == remote->family);
	s.fd = open_socket(remote->family);
	if (s.fd < 0)
		return s.fd;
	err = connect_client(s.fd, device, local, remote);
	if (err == 0)
		err = sock_local(s.fd, &s.local);
	if (err < 0) {
		close(s.fd);
		return err;
	}
	*ret_sock = s;
	return 0;
}

/* IP_RECVERR would let what ICMP says of one remote fail the sending to another. */
static int
bind_server(int fd, const struct addr *at)
{
	int err;

	if (at->family == AF_INET6) {
		err = sock_set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
		if (err == 0)
			err = sock_set_int(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
	} else {
		err = sock_set_int(fd, IPPROTO_IP, IP_PKTINFO, 1);
	}
	return err < 0 ? err : sock_bind(fd, at);
}

int
udp_open_server(const struct addr *at, struct udp_sock *ret_sock)
{
	struct udp_sock s = {.offload = true};
	int err;

	s.fd = open_socket(at->family);
	if (s.fd < 0)
		return s.fd;
	err = bind_server(s.fd, at);
	if (err == 0)
		err = sock_local(s.fd, &s.local);
	if (err < 0) {
		close(s.fd);
		return err;
	}
	*ret_sock = s;
	return 0;
}

void
udp_close(struct udp_sock *s)
{
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
}

static bool
is_icmp(const struct cmsghdr *c, struct sock_extended_err *ret_error)
{
	if (!(c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_RECVERR) &&
	    !(c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_RECVERR))
		return false;
	memcpy(ret_error, CMSG_DATA(c), sizeof(*ret_error));
	return ret_error->ee_origin == SO_EE_ORIGIN_ICMP ||
	       ret_error->ee_origin == SO_EE_ORIGIN_ICMP6;
}

/*
 * Empties the queue of errors, which would keep the socket readable, and returns
 * how many of them ICMP has brought. Our own -EMSGSIZE are queued there as well.
 */
static unsigned
hear_errors(struct udp_sock *s)
{
	/* The error, and the address that it is from. */
	_Alignas(struct cmsghdr) uint8_t control[256];
	struct sock_extended_err error;
	unsigned heard = 0;

	for (unsigned i = 0; is_client(s) && i < ERRORS_MAX; i++) {
		struct msghdr h = {.msg_control = control,
				   .msg_controllen = sizeof(control)};

		if (recvmsg(s->fd, &h, MSG_ERRQUEUE) < 0)
			break;
		for (struct cmsghdr *c = CMSG_FIRSTHDR(&h); c != NULL;
		     c = CMSG_NXTHDR(&h, c)) {
			if (!is_icmp(c, &error))
				continue;
			heard++;
			if (error.ee_errno != EMSGSIZE)
				s->soft = -(int)error.ee_errno;
		}
	}
	s->counts.soft_errors += heard;
	return heard;
}

int
udp_take_soft(struct udp_sock *s)
{
	int soft = s->soft;

	s->soft = 0;
	return soft;
}

bool
udp_is_gone(int err)
{
	switch (err) {
	case -ENODEV:
	case -ENXIO:
	case -ENETDOWN:
	case -ENETUNREACH: /* also: the device is down, or was removed */
	case -EADDRNOTAVAIL:
	case -EINVAL: /* the source address is ours no more */ return true;
	default: return false;
	}
}

static void
add_control(struct msghdr *h, int level, int type, const void *data, size_t len)
{
	struct cmsghdr *c = (void *)((uint8_t *)h->msg_control + h->msg_controllen);

	c->cmsg_level = level;
	c->cmsg_type = type;
	c->cmsg_len = CMSG_LEN(len);
	memcpy(CMSG_DATA(c), data, len);
	h->msg_controllen += CMSG_SPACE(len);
}

static void
add_source(struct msghdr *h, const struct udp_burst *b)
{
	if (b->remote.family == AF_INET6) {
		struct in6_pktinfo info = {.ipi6_ifindex = b->interface};

		memcpy(&info.ipi6_addr, b->local.ip, sizeof(info.ipi6_addr));
		add_control(h, IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof(info));
	} else {
		struct in_pktinfo info = {.ipi_ifindex = (int)b->interface};

		memcpy(&info.ipi_spec_dst, b->local.ip, sizeof(info.ipi_spec_dst));
		add_control(h, IPPROTO_IP, IP_PKTINFO, &info, sizeof(info));
	}
}

/* As many messages of `step` bytes as there are from `off` on, and as fit. */
static void
outbox_fill(struct outbox *out, const struct udp_sock *s, const struct udp_burst *b,
	    size_t off, size_t step)
{
	const uint16_t segment = (uint16_t)b->packet;
	struct msghdr h = {.msg_control = &out->control};

	memset(&out->control, 0, sizeof(out->control));
	if (!is_client(s)) {
		h.msg_name = &out->to;
		h.msg_namelen = addr_to_sockaddr(&b->remote, &out->to);
		if (b->local.family != 0 || b->interface != 0)
			add_source(&h, b);
	}
	if (step > b->packet)
		add_control(&h, SOL_UDP, UDP_SEGMENT, &segment, sizeof(segment));
	for (out->n = 0; off < b->len && out->n < OUTBOX_MESSAGES; out->n++) {
		struct iovec *part = &out->parts[out->n];
		struct mmsghdr *m = &out->messages[out->n];

		part->iov_base = b->data + off;
		part->iov_len = min_size(step, b->len - off);
		off += part->iov_len;
		m->msg_hdr = h;
		m->msg_hdr.msg_iov = part;
		m->msg_hdr.msg_iovlen = 1;
	}
}

/*
 * Sends messages, one at least. An error that ICMP has left at the socket fails
 * one call, which would work the next time; our own comes again, and without an
 * entry in the queue of errors.
 */
static int
outbox_send(struct outbox *out, struct udp_sock *s)
{
	for (unsigned tries = 0; tries < TRIES_MAX; tries++) {
		int n, err;

		s->counts.send_calls++;
		n = sendmmsg(s->fd, out->messages, out->n, 0);
		if (n > 0)
			return n;
		err = errno;
		if (err == EAGAIN || err == ENOBUFS || err == ENOMEM)
			return err == EAGAIN ? -EAGAIN : -ENOBUFS;
		if (hear_errors(s) == 0 && tries > 0)
			return -err;
	}
	return -ENOBUFS;
}

static size_t
packets_in(const struct udp_burst *b, size_t bytes)
{
	return (bytes + b->packet - 1) / b->packet;
}

static ssize_t
send_steps(struct udp_sock *s, const struct udp_burst *b, size_t off, size_t step)
{
	struct outbox out;
	size_t sent;
	int n;

	outbox_fill(&out, s, b, off, step);
	n = outbox_send(&out, s);
	if (n < 0)
		return n;
	sent = min_size((size_t)n * step, b->len - off);
	s->counts.bytes_sent += sent;
	s->counts.packets_sent += packets_in(b, sent);
	return (ssize_t)sent;
}

static ssize_t
send_some(struct udp_sock *s, const struct udp_burst *b, size_t off)
{
	size_t packets = min_size(MESSAGE_MAX / b->packet, SEGMENTS_MAX);
	ssize_t n;

	if (!s->offload || packets < 2 || b->len - off <= b->packet)
		return send_steps(s, b, off, b->packet);
	n = send_steps(s, b, off, packets * b->packet);
	if (n != -EIO && n != -EINVAL && n != -EOPNOTSUPP)
		return n;
	/* Older kernels say -EINVAL of too large a packet, too: what follows tells. */
	n = send_steps(s, b, off, b->packet);
	if (n > 0) {
		s->offload = false;
		s->counts.offload_refused++;
	}
	return n;
}

ssize_t
udp_send(struct udp_sock *s, const struct udp_burst *b)
{
	size_t sent = 0;
	ssize_t n;

	assert(b->packet > 0 && b->len > 0);
	assert(is_client(s) || b->remote.family == s->local.family);
	do {
		n = send_some(s, b, sent);
		if (n > 0)
			sent += (size_t)n;
		s->counts.queue_drops += n == -ENOBUFS;
	} while (n > 0 && sent < b->len);
	return sent > 0 ? (ssize_t)sent : n;
}

struct udp_inbox *
udp_inbox_new(void)
{
	return calloc(1, sizeof(struct udp_inbox));
}

void
udp_inbox_free(struct udp_inbox *box)
{
	free(box);
}

static void
inbox_clear(struct udp_inbox *box)
{
	for (unsigned i = 0; i < UDP_INBOX_MESSAGES; i++) {
		box->parts[i].iov_base = box->slots[i];
		box->parts[i].iov_len = SLOT_SIZE;
		box->messages[i].msg_hdr = (struct msghdr){
			.msg_name = &box->from[i],
			.msg_namelen = sizeof(box->from[i]),
			.msg_iov = &box->parts[i],
			.msg_iovlen = 1,
			.msg_control = &box->control[i],
			.msg_controllen = sizeof(box->control[i]),
		};
	}
	box->n_messages = box->n_bursts = box->next = 0;
}

/* An error that ICMP has left fails one call, as it does when sending. */
static int
inbox_fill(struct udp_inbox *box, struct udp_sock *s)
{
	for (unsigned tries = 0; tries < TRIES_MAX; tries++) {
		unsigned heard;
		int n, err;

		s->counts.receive_calls++;
		n = recvmmsg(s->fd, box->messages, UDP_INBOX_MESSAGES, 0, NULL);
		if (n > 0)
			return n;
		err = errno;
		heard = hear_errors(s);
		if (err == EAGAIN)
			return 0;
		if (heard == 0 && tries > 0)
			return -err;
	}
	return 0;
}

static void
read_control(const struct cmsghdr *c, struct udp_burst *b)
{
	if (c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_GRO) {
		int packet;

		memcpy(&packet, CMSG_DATA(c), sizeof(packet));
		if (packet > 0)
			b->packet = min_size((size_t)packet, b->len);
	} else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
		struct in_pktinfo info;

		memcpy(&info, CMSG_DATA(c), sizeof(info));
		memcpy(b->local.ip, &info.ipi_spec_dst, sizeof(info.ipi_spec_dst));
		b->interface = (unsigned)info.ipi_ifindex;
	} else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
		struct in6_pktinfo info;

		memcpy(&info, CMSG_DATA(c), sizeof(info));
		memcpy(b->local.ip, &info.ipi6_addr, sizeof(b->local.ip));
		b->interface = info.ipi6_ifindex;
		if (IN6_IS_ADDR_LINKLOCAL(&info.ipi6_addr))
			b->local.scope = b->interface;
	}
}

/* False: nothing is in it, or it is from nobody. */
static bool
read_message(const struct udp_sock *s, struct mmsghdr *m, struct udp_burst *ret_burst)
{
	struct msghdr *h = &m->msg_hdr;
	struct udp_burst b = {
		.local = s->local,
		.data = h->msg_iov->iov_base,
		.len = m->msg_len,
		.packet = m->msg_len,
	};

	if (b.len == 0 || addr_from_sockaddr(h->msg_name, &b.remote) < 0)
		return false;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c != NULL; c = CMSG_NXTHDR(h, c))
		read_control(c, &b);
	*ret_burst = b;
	return true;
}

int
udp_receive(struct udp_sock *s, struct udp_inbox *box)
{
	int n;

	inbox_clear(box);
	n = inbox_fill(box, s);
	if (n < 0)
		return n;
	box->n_messages = (unsigned)n;
	for (unsigned i = 0; i < box->n_messages; i++) {
		struct udp_burst *b = &box->bursts[box->n_bursts];

		if (!read_message(s, &box->messages[i], b))
			continue;
		box->n_bursts++;
		s->counts.bytes_received += b->len;
		s->counts.packets_received += packets_in(b, b->len);
	}
	return n;
}

bool
udp_inbox_is_full(const struct udp_inbox *box)
{
	return box->n_messages == UDP_INBOX_MESSAGES;
}

bool
udp_inbox_next(struct udp_inbox *box, struct udp_burst *ret_burst)
{
	if (box->next == box->n_bursts)
		return false;
	*ret_burst = box->bursts[box->next++];
	return true;
}

int
udp_take(struct udp_turn *t, struct udp_sock *s, struct udp_inbox *box,
	 struct udp_burst *ret_burst)
{
	/* Before its first messages the inbox may hold what another socket left. */
	while (t->messages == 0 || !udp_inbox_next(box, ret_burst)) {
		int n;

		if (t->messages > 0 &&
		    (!udp_inbox_is_full(box) || t->messages >= UDP_TURN_MESSAGES ||
		     t->bytes >= UDP_TURN_BYTES))
			return 0;
		n = udp_receive(s, box);
		if (n <= 0)
			return n;
		t->messages += (unsigned)n;
	}
	t->bytes += ret_burst->len;
	return 1;
}
