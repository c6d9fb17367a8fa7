#include "daemon/leg.h"

#include "common/bytes.h"
#include "daemon/io/tcp.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

void
leg_init(struct leg *l)
{
	memset(l, 0, sizeof(*l));
	l->fd = -1;
}

int
leg_start(struct leg *l, struct loop *loop, int fd, void (*on_ready)(void *, int),
	  void *arg)
{
	int err = watch_init(&l->watch, loop, fd, on_ready, arg);

	if (err < 0)
		return err;
	l->fd = fd;
	return 0;
}

int
leg_set_keys(struct leg *l, enum aead_alg alg, const uint8_t *stream_secret,
	     uint64_t number, bool client)
{
	enum record_direction out = client ? RECORD_UP : RECORD_DOWN;
	enum record_direction in = client ? RECORD_DOWN : RECORD_UP;
	int err;

	err = record_key_init(&l->seal, alg, true, stream_secret, number, out);
	if (err < 0)
		return err;
	err = record_key_init(&l->open, alg, false, stream_secret, number, in);
	if (err < 0)
		record_key_done(&l->seal);
	return err;
}

void
leg_done(struct leg *l, bool reset)
{
	watch_done(&l->watch);
	if (l->fd >= 0) {
		if (reset)
			tcp_reset(l->fd);
		else
			close(l->fd);
	}
	record_key_done(&l->seal);
	record_key_done(&l->open);
	free(l->in);
	free(l->out);
	leg_init(l);
}

void
leg_header_write(const struct leg_header *h, uint8_t ret_bytes[LEG_HEADER_LEN])
{
	put_be32(ret_bytes, h->session_index);
	ret_bytes[0] = LEG_HEADER;
	put_be64(ret_bytes + 4, h->number);
}

int
leg_header_read(const uint8_t bytes[LEG_HEADER_LEN], struct leg_header *ret_header)
{
	if (bytes[0] != LEG_HEADER)
		return -EBADMSG;
	ret_header->session_index = get_be32(bytes) & 0xffffff;
	ret_header->number = get_be64(bytes + 4);
	return 0;
}

void
leg_hello_write(const struct leg_hello *h, uint8_t ret_bytes[LEG_HELLO_LEN])
{
	ret_bytes[0] = (uint8_t)h->kind;
	memcpy(ret_bytes + 1, h->boot_id, sizeof(h->boot_id));
	ret_bytes[9] = h->uplink;
}

int
leg_hello_read(const struct record *r, struct leg_hello *ret_hello)
{
	if (r->type != RECORD_HELLO || r->len < LEG_HELLO_LEN)
		return -EBADMSG;
	if (r->payload[0] != LEG_STREAM && r->payload[0] != LEG_HEARTBEAT)
		return -EBADMSG;
	ret_hello->kind = (enum leg_kind)r->payload[0];
	memcpy(ret_hello->boot_id, r->payload + 1, sizeof(ret_hello->boot_id));
	ret_hello->uplink = r->payload[9];
	return 0;
}

int
leg_fill(struct leg *l, struct scratch *sc, size_t budget)
{
	size_t kept = l->in_len;
	ssize_t n;

	assert(sc->in_off == sc->in_len);
	if (kept > 0)
		memcpy(sc->in, l->in, kept);
	n = recv(l->fd, sc->in + kept, min_size(budget, sizeof(sc->in) - kept), 0);
	if (n < 0)
		return errno == EINTR ? -EAGAIN : -errno;
	if (n == 0)
		return -ECONNABORTED;
	free(l->in);
	l->in = NULL;
	l->in_len = 0;
	sc->in_off = 0;
	sc->in_len = kept + (size_t)n;
	return 0;
}

int
leg_next(struct leg *l, struct scratch *sc, struct record *ret_rec)
{
	size_t used;
	int err;

	err = record_open(&l->open, sc->in + sc->in_off, sc->in_len - sc->in_off,
			  RECORD_PAYLOAD_MAX, ret_rec, &used);
	if (err < 0)
		return err;
	sc->in_off += used;
	return 0;
}

size_t
leg_rest(struct scratch *sc, uint8_t **ret_bytes)
{
	size_t n = sc->in_len - sc->in_off;

	*ret_bytes = sc->in + sc->in_off;
	sc->in_off = sc->in_len;
	return n;
}

int
leg_keep(struct leg *l, struct scratch *sc)
{
	uint8_t *rest;
	size_t n = leg_rest(sc, &rest);

	assert(l->in == NULL);
	if (n == 0)
		return 0;
	l->in = malloc(n);
	if (l->in == NULL)
		return -ENOMEM;
	memcpy(l->in, rest, n);
	l->in_len = n;
	return 0;
}

void
leg_unkeep(struct leg *l, struct scratch *sc)
{
	assert(sc->in_off == sc->in_len && l->in_len <= sizeof(sc->in));
	memcpy(sc->in, l->in, l->in_len);
	sc->in_off = 0;
	sc->in_len = l->in_len;
	free(l->in);
	l->in = NULL;
	l->in_len = 0;
}

static int
append_out(struct leg *l, const uint8_t *bytes, size_t len)
{
	size_t waiting = l->out_len - l->out_off;
	uint8_t *grown;

	if (l->out_off > 0 && waiting > 0)
		memmove(l->out, l->out + l->out_off, waiting);
	l->out_off = 0;
	l->out_len = waiting;
	grown = realloc(l->out, waiting + len);
	if (grown == NULL)
		return -ENOMEM;
	memcpy(grown + waiting, bytes, len);
	l->out = grown;
	l->out_len = waiting + len;
	return 0;
}

/* How many bytes the kernel took; 0 when it is full. */
static ssize_t
send_some(struct leg *l, const uint8_t *bytes, size_t len)
{
	ssize_t n = send(l->fd, bytes, len, MSG_NOSIGNAL);

	if (n >= 0)
		return n;
	return errno == EAGAIN || errno == EINTR ? 0 : -errno;
}

int
leg_write(struct leg *l, const uint8_t *bytes, size_t len)
{
	ssize_t n = 0;

	if (leg_is_flushed(l)) {
		n = send_some(l, bytes, len);
		if (n < 0)
			return (int)n;
	}
	if ((size_t)n == len)
		return 0;
	return append_out(l, bytes + n, len - (size_t)n);
}

int
leg_send(struct leg *l, enum record_type type, const void *payload, size_t len)
{
	uint8_t rec[LEG_SEND_MAX + RECORD_OVERHEAD];
	size_t rec_len;
	int err;

	assert(len <= LEG_SEND_MAX);
	if (len > 0)
		memcpy(rec + RECORD_HEADER_LEN, payload, len);
	err = record_seal(&l->seal, type, rec, len, &rec_len);
	if (err < 0)
		return err;
	return leg_write(l, rec, rec_len);
}

int
leg_flush(struct leg *l)
{
	ssize_t n;

	if (leg_is_flushed(l))
		return 0;
	n = send_some(l, l->out + l->out_off, l->out_len - l->out_off);
	if (n < 0)
		return (int)n;
	l->out_off += (size_t)n;
	if (l->out_off < l->out_len)
		return 0;
	free(l->out);
	l->out = NULL;
	l->out_off = 0;
	l->out_len = 0;
	return 0;
}

bool
leg_is_flushed(const struct leg *l)
{
	return l->out_len == 0;
}
