#include "daemon/pump.h"

#include "daemon/io/tcp.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Rounds of one wake-up: enough to be cheap, few enough to be fair. */
enum { ROUNDS = 4 };

static const struct pump_pipe no_pipe = {.r = -1, .w = -1};

static void
pipe_close(struct pump_pipe *pp)
{
	if (pp->r >= 0) {
		close(pp->r);
		close(pp->w);
	}
	*pp = no_pipe;
}

static int
pipe_take(struct pump_shared *sh, struct pump_pipe *pp)
{
	int fds[2];

	if (pp->r >= 0)
		return 0;
	if (sh->spare.r >= 0) {
		*pp = sh->spare;
		sh->spare = no_pipe;
		return 0;
	}
	if (pipe2(fds, O_NONBLOCK | O_CLOEXEC) < 0)
		return -errno;
	/* A larger pipe is faster; the default one works as well. */
	(void)fcntl(fds[1], F_SETPIPE_SZ, PUMP_PIPE_SIZE);
	*pp = (struct pump_pipe){.r = fds[0], .w = fds[1]};
	return 0;
}

static void
pipe_give_back(struct pump_shared *sh, struct pump_pipe *pp)
{
	if (pp->r < 0 || pp->held > 0)
		return;
	if (sh->spare.r < 0) {
		sh->spare = *pp;
		*pp = no_pipe;
	} else {
		pipe_close(pp);
	}
}

void
pump_shared_init(struct pump_shared *sh)
{
	sh->scratch.in_off = 0;
	sh->scratch.in_len = 0;
	sh->n_parts = 0;
	sh->spare = no_pipe;
}

void
pump_shared_done(struct pump_shared *sh)
{
	pipe_close(&sh->spare);
	crypto_wipe(&sh->scratch, sizeof(sh->scratch));
}

void
pump_init(struct pump *p, struct pump_shared *shared, struct leg *leg)
{
	memset(p, 0, sizeof(*p));
	p->shared = shared;
	p->leg = leg;
	p->fd = -1;
	p->up_pipe = no_pipe;
	p->read_budget = PUMP_READ_MIN;
}

int
pump_attach(struct pump *p, struct loop *loop, int fd, void (*on_ready)(void *, int),
	    void *arg)
{
	int err = watch_init(&p->watch, loop, fd, on_ready, arg);

	if (err < 0)
		return err;
	/* Should the daemon be killed, the stream must not seem to have ended. */
	tcp_set_reset_on_close(fd, true);
	p->fd = fd;
	return 0;
}

void
pump_done(struct pump *p, bool reset)
{
	watch_done(&p->watch);
	if (p->fd >= 0) {
		tcp_set_reset_on_close(p->fd, reset);
		close(p->fd);
	}
	free(p->late);
	pipe_close(&p->up_pipe);
	pump_init(p, p->shared, p->leg);
}

/*
 * Moves bytes until one side has no more: `from` is empty or at its end, or
 * `to` is full. Sets ret_moved to what reached `to`.
 */
static int
splice_some(struct pump_pipe *pp, int from, int to, bool *ret_end, size_t *ret_moved)
{
	ssize_t n;

	for (int i = 0; i < ROUNDS; i++) {
		if (pp->held == 0) {
			n = splice(from, NULL, pp->w, NULL, PUMP_PIPE_SIZE,
				   SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
			if (n < 0)
				return errno == EAGAIN || errno == EINTR ? 0 : -errno;
			if (n == 0) {
				*ret_end = true;
				return 0;
			}
			pp->held = (size_t)n;
		}
		n = splice(pp->r, NULL, to, NULL, pp->held,
			   SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
		if (n < 0)
			return errno == EAGAIN || errno == EINTR ? 0 : -errno;
		pp->held -= (size_t)n;
		*ret_moved += (size_t)n;
		if (pp->held > 0)
			return 0;
	}
	return 0;
}

/* A TLS handshake record with a ClientHello in it (RFC 8446, 5.1 and 4). */
static bool
is_client_hello(const uint8_t *data, size_t len)
{
	return len >= 6 && data[0] == 22 && data[1] == 3 && data[2] <= 4 &&
	       data[5] == 1;
}

static uint8_t *
slot(struct pump *p, size_t i)
{
	return p->shared->scratch.out + i * RECORD_LEN_MAX + RECORD_HEADER_LEN;
}

static int
turn_up_plain(struct pump *p)
{
	int err = leg_send(p->leg, RECORD_PLAIN, NULL, 0);

	if (err < 0)
		return err;
	p->up = PUMP_PLAIN;
	p->was_plain = true;
	p->turns_plain = false;
	return 0;
}

/* Sends `len` bytes that lie in the slots of the scratch, all but the last full. */
static int
send_slots(struct pump *p, size_t len)
{
	uint8_t *out = p->shared->scratch.out;
	size_t total = 0;
	size_t rec_len;
	int err;

	for (size_t i = 0; len > 0; i++) {
		size_t part = min_size(len, RECORD_PAYLOAD_MAX);

		err = record_seal(&p->leg->seal, RECORD_DATA,
				  slot(p, i) - RECORD_HEADER_LEN, part, &rec_len);
		if (err < 0)
			return err;
		total += rec_len;
		len -= part;
	}
	return leg_write(p->leg, out, total);
}

/* The first bytes decide whether the client's direction turns plain. */
static int
send_first(struct pump *p, size_t len)
{
	int err;

	p->offers_plain = false;
	if (!is_client_hello(slot(p, 0), len))
		return send_slots(p, len);
	err = turn_up_plain(p);
	if (err < 0)
		return err;
	return leg_write(p->leg, slot(p, 0), len);
}

static int
end_up(struct pump *p)
{
	enum pump_flow flow = p->up;

	p->up = PUMP_ENDED;
	if (flow == PUMP_SEALED)
		return leg_send(p->leg, RECORD_FIN, NULL, 0);
	return shutdown(p->leg->fd, SHUT_WR) < 0 ? -errno : 0;
}

static int
pull_sealed(struct pump *p)
{
	struct iovec iov[SCRATCH_RECORDS];
	size_t slots = p->offers_plain ? 1 : SCRATCH_RECORDS;
	ssize_t n;

	for (size_t i = 0; i < slots; i++)
		iov[i] = (struct iovec){slot(p, i), RECORD_PAYLOAD_MAX};
	n = readv(p->fd, iov, (int)slots);
	if (n < 0)
		return -errno;
	if (n == 0)
		return end_up(p);
	p->bytes_up += (uint64_t)n;
	return p->offers_plain ? send_first(p, (size_t)n) : send_slots(p, (size_t)n);
}

int
pump_early(struct pump *p, const uint8_t *early, size_t len)
{
	int err;

	while (len > 0) {
		size_t part = min_size(len, RECORD_PAYLOAD_MAX);

		memcpy(slot(p, 0), early, part);
		err = p->up == PUMP_PLAIN ? leg_write(p->leg, early, part)
		      : p->offers_plain   ? send_first(p, part)
					  : send_slots(p, part);
		if (err < 0)
			return err;
		p->bytes_up += part;
		early += part;
		len -= part;
	}
	return 0;
}

static int
pull_plain(struct pump *p)
{
	bool end = false;
	size_t moved = 0;
	int err;

	err = pipe_take(p->shared, &p->up_pipe);
	if (err < 0)
		return err;
	err = splice_some(&p->up_pipe, p->fd, p->leg->fd, &end, &moved);
	p->bytes_up += moved;
	if (err == 0 && end)
		err = end_up(p);
	pipe_give_back(p->shared, &p->up_pipe);
	return err;
}

int
pump_pull(struct pump *p)
{
	int err = 0;

	for (int i = 0; err == 0 && i < ROUNDS; i++) {
		if (!leg_is_flushed(p->leg) || p->up == PUMP_ENDED)
			return 0;
		if (p->turns_plain)
			err = turn_up_plain(p);
		else if (p->up == PUMP_PLAIN)
			return pull_plain(p);
		else
			err = pull_sealed(p);
	}
	return err == -EAGAIN || err == -EINTR ? 0 : err;
}

static int
keep_late(struct pump *p, const struct iovec *parts, size_t n, size_t skip)
{
	size_t total = p->late_len;
	uint8_t *grown;

	for (size_t i = 0; i < n; i++)
		total += parts[i].iov_len;
	grown = realloc(p->late, total - skip);
	if (grown == NULL)
		return -ENOMEM;
	p->late = grown;
	for (size_t i = 0; i < n; i++) {
		size_t gone = min_size(skip, parts[i].iov_len);

		memcpy(p->late + p->late_len, (uint8_t *)parts[i].iov_base + gone,
		       parts[i].iov_len - gone);
		p->late_len += parts[i].iov_len - gone;
		skip -= gone;
	}
	return 0;
}

static bool
has_late(const struct pump *p)
{
	return p->late_len > 0;
}

static int
flush_late(struct pump *p)
{
	ssize_t n;

	if (!has_late(p) || p->fd < 0)
		return 0;
	n = send(p->fd, p->late + p->late_off, p->late_len - p->late_off, MSG_NOSIGNAL);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	p->late_off += (size_t)n;
	p->bytes_down += (uint64_t)n;
	if (p->late_off < p->late_len)
		return 0;
	free(p->late);
	p->late = NULL;
	p->late_off = 0;
	p->late_len = 0;
	return 0;
}

static int
write_parts(struct pump *p)
{
	struct pump_shared *sh = p->shared;
	struct msghdr msg = {.msg_iov = sh->parts, .msg_iovlen = sh->n_parts};
	size_t n_parts = sh->n_parts;
	size_t total = 0;
	ssize_t n = 0;

	sh->n_parts = 0;
	for (size_t i = 0; i < n_parts; i++)
		total += sh->parts[i].iov_len;
	if (p->fd >= 0 && !has_late(p)) {
		n = sendmsg(p->fd, &msg, MSG_NOSIGNAL);
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return -errno;
		n = n < 0 ? 0 : n;
		p->bytes_down += (uint64_t)n;
	}
	if ((size_t)n == total) {
		p->read_budget = min_size(p->read_budget * 2, SCRATCH_SIZE);
		return 0;
	}
	p->read_budget = PUMP_READ_MIN;
	return keep_late(p, sh->parts, n_parts, (size_t)n);
}

int
pump_push(struct pump *p, uint8_t *bytes, size_t len)
{
	struct pump_shared *sh = p->shared;
	int err = 0;

	if (p->down == PUMP_ENDED)
		return -EPROTO;
	if (len == 0)
		return 0;
	if (sh->n_parts == PUMP_PARTS_MAX)
		err = write_parts(p);
	sh->parts[sh->n_parts++] = (struct iovec){bytes, len};
	return err;
}

static int
shut_local(struct pump *p)
{
	if (p->down != PUMP_ENDED || p->shut || p->fd < 0 || has_late(p))
		return 0;
	p->shut = true;
	/* ENOTCONN: the application is gone already, and read() will tell. */
	return shutdown(p->fd, SHUT_WR) < 0 && errno != ENOTCONN ? -errno : 0;
}

int
pump_flush(struct pump *p)
{
	int err = 0;

	if (p->shared->n_parts > 0)
		err = write_parts(p);
	else
		err = flush_late(p);
	if (err == 0)
		err = shut_local(p);
	return err;
}

int
pump_down_is_plain(struct pump *p, bool server)
{
	/* The client is the one who says that a stream need not be sealed. */
	if (p->down != PUMP_SEALED || (!server && !p->was_plain))
		return -EPROTO;
	p->down = PUMP_PLAIN;
	p->turns_plain = server && p->up == PUMP_SEALED;
	return 0;
}

int
pump_down_ends(struct pump *p)
{
	p->down = PUMP_ENDED;
	return shut_local(p);
}

int
pump_flush_leg(struct pump *p)
{
	int err = leg_flush(p->leg);

	if (err < 0 || !leg_is_flushed(p->leg))
		return err;
	return p->up_pipe.held > 0 ? pull_plain(p) : 0;
}

bool
pump_wants_leg_read(const struct pump *p)
{
	/* Plain bytes wait in the kernel until there is a socket. */
	if (p->down == PUMP_PLAIN && p->fd < 0)
		return false;
	return p->down != PUMP_ENDED && !has_late(p);
}

void
pump_want(struct pump *p, bool leg_read)
{
	bool leg_waits = !leg_is_flushed(p->leg) || p->up_pipe.held > 0;

	watch_want(&p->leg->watch,
		   (leg_read ? LOOP_READ : 0) | (leg_waits ? LOOP_WRITE : 0));
	if (p->fd >= 0)
		watch_want(&p->watch,
			   (p->up != PUMP_ENDED && !leg_waits ? LOOP_READ : 0) |
				   (has_late(p) ? LOOP_WRITE : 0));
}

bool
pump_is_done(const struct pump *p)
{
	return p->up == PUMP_ENDED && p->shut && leg_is_flushed(p->leg) &&
	       p->up_pipe.held == 0;
}
