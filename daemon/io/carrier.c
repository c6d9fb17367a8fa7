#include "daemon/io/carrier.h"

#include "common/bytes.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	IN_SIZE = 64 * 1024,
	READS_A_TURN = 4, /* before others have their turn */
};

static void
fail(struct carrier *c, int err)
{
	struct carrier_handler h = c->handler;

	carrier_done(c);
	h.on_end(h.arg, err);
}

static void
want(struct carrier *c)
{
	bool write = !c->up || c->out_len > 0;

	watch_want(&c->watch, LOOP_READ | (write ? LOOP_WRITE : 0));
}

/* 0 or -errno. */
static int
flush(struct carrier *c)
{
	while (c->out_len > 0) {
		ssize_t n = send(c->fd, c->out + c->out_at, c->out_len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? 0 : -errno;
		c->out_at += (size_t)n;
		c->out_len -= (size_t)n;
	}
	c->out_at = 0;
	return 0;
}

/* Hands out what is whole. False: there is no carrier any more. */
static bool
parse(struct carrier *c)
{
	size_t at = 0;

	while (c->in_len - at >= CARRIER_LENGTH_LEN) {
		size_t len = get_be16(c->in + at);

		if (len == 0 || len > CARRIER_DATAGRAM_MAX) {
			fail(c, -EPROTO);
			return false;
		}
		if (c->in_len - at < CARRIER_LENGTH_LEN + len)
			break;
		c->handler.on_datagram(c->handler.arg, c->in + at + CARRIER_LENGTH_LEN,
				       len);
		if (c->in == NULL)
			return false;
		at += CARRIER_LENGTH_LEN + len;
	}
	c->in_len -= at;
	memmove(c->in, c->in + at, c->in_len);
	return true;
}

static void
parse_early(struct deferred *d)
{
	(void)parse(container_of(d, struct carrier, early));
}

static void
receive(struct carrier *c)
{
	for (int i = 0; i < READS_A_TURN; i++) {
		size_t room = IN_SIZE - c->in_len;
		ssize_t n = recv(c->fd, c->in + c->in_len, room, 0);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0) {
			fail(c, n < 0 ? -errno : -ECONNRESET);
			return;
		}
		c->in_len += (size_t)n;
		if (!parse(c) || (size_t)n < room)
			return;
	}
}

static void
on_connecting(struct carrier *c)
{
	int err = tcp_connect_result(c->fd);

	if (err == -EINPROGRESS)
		return;
	if (err == 0 && send(c->fd, &c->first, 1, MSG_NOSIGNAL) != 1)
		err = -EPIPE; /* a fresh socket takes a byte, if it is one */
	if (err < 0) {
		fail(c, err);
		return;
	}
	c->up = true;
	want(c);
	c->handler.on_up(c->handler.arg);
}

static void
on_ready(void *arg, int what)
{
	struct carrier *c = arg;
	int err = 0;

	if (!c->up) {
		on_connecting(c);
		return;
	}
	if ((what & LOOP_WRITE) != 0)
		err = flush(c);
	if (err < 0) {
		fail(c, err);
		return;
	}
	want(c);
	if ((what & LOOP_READ) != 0)
		receive(c);
}

/* The descriptor is the carrier's if, and only if, this succeeds. */
static int
begin(struct carrier *c, struct loop *l, int fd, const struct carrier_handler *handler)
{
	int err;

	memset(c, 0, sizeof(*c));
	c->in = malloc(IN_SIZE);
	c->out = malloc(CARRIER_ROOM);
	err = c->in == NULL || c->out == NULL
		      ? -ENOMEM
		      : watch_init(&c->watch, l, fd, on_ready, c);
	if (err < 0) {
		free(c->in);
		free(c->out);
		memset(c, 0, sizeof(*c));
		return err;
	}
	c->loop = l;
	c->fd = fd;
	c->handler = *handler;
	tcp_set_nodelay(fd, true);
	tcp_set_unsent(fd, CARRIER_UNSENT);
	return 0;
}

int
carrier_connect(struct carrier *c, struct loop *l, const struct tcp_connect *to,
		uint8_t first, const struct carrier_handler *handler)
{
	int fd = tcp_connect_start(to);
	int err;

	if (fd < 0)
		return fd;
	err = begin(c, l, fd, handler);
	if (err < 0) {
		close(fd);
		return err;
	}
	c->first = first;
	want(c);
	return 0;
}

int
carrier_take(struct carrier *c, struct loop *l, int fd,
	     const struct carrier_early *early, const struct carrier_handler *handler)
{
	int err;

	if (early->len > IN_SIZE)
		return -ENOBUFS;
	err = begin(c, l, fd, handler);
	if (err < 0)
		return err;
	memcpy(c->in, early->data, early->len);
	c->in_len = early->len;
	c->up = true;
	want(c);
	loop_defer(l, &c->early, parse_early);
	return 0;
}

void
carrier_done(struct carrier *c)
{
	if (c->in == NULL)
		return;
	loop_undefer(&c->early);
	watch_done(&c->watch);
	close(c->fd);
	free(c->in);
	free(c->out);
	c->in = NULL;
	c->out = NULL;
	c->up = false;
}

static bool
put(struct carrier *c, const uint8_t *data, size_t len)
{
	uint8_t *to;

	if (c->out_len + CARRIER_LENGTH_LEN + len > CARRIER_ROOM)
		return false;
	if (c->out_at + c->out_len + CARRIER_LENGTH_LEN + len > CARRIER_ROOM) {
		memmove(c->out, c->out + c->out_at, c->out_len);
		c->out_at = 0;
	}
	to = c->out + c->out_at + c->out_len;
	put_be16(to, (uint16_t)len);
	memcpy(to + CARRIER_LENGTH_LEN, data, len);
	c->out_len += CARRIER_LENGTH_LEN + len;
	return true;
}

void
carrier_send(struct carrier *c, const uint8_t *data, size_t len, size_t each)
{
	bool was_empty = c->out_len == 0;

	if (!c->up)
		return;
	for (size_t at = 0; at < len; at += each) {
		if (!put(c, data + at, min_size(each, len - at)))
			c->dropped++;
	}
	/* Whatever is wrong with the connection is heard when it is read. */
	if (was_empty)
		(void)!flush(c);
	want(c);
}
