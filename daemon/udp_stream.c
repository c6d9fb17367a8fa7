#include "daemon/udp_stream.h"

#include "daemon/io/tcp.h"
#include "daemon/open_request.h"
#include "daemon/tunnel_udp.h"
#include "daemon/udp_status.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* The server's own deadline comes first, and its answer needs a way back. */
#define OPENING_LIFE (CONNECT_DEADLINE + 5 * NS_PER_SEC)

enum { BLOCKS_A_TURN = 16 };

/* transport.c frees it. */
_Static_assert(offsetof(struct udp_stream, base) == 0, "begins with it");

static void on_ready(void *arg, int what);

static struct udp_stream *
of(struct tunnel_stream *base)
{
	return container_of(base, struct udp_stream, base);
}

/* Life */

/* Client: where nobody hears the server it is not the destination that is late. */
static enum open_status
why_late(const struct udp_stream *s)
{
	if (s->session == NULL || udp_status_active(s->session->core) == 0)
		return OPEN_NO_TUNNEL;
	return OPEN_TIMED_OUT;
}

static void
on_timer(void *arg)
{
	struct udp_stream *s = arg;
	ns_t quiet = loop_now(s->tunnel->base.loop) - s->active_at;

	if (s->state == UDP_STREAM_OPENING)
		transport_refuse(&s->base, why_late(s));
	else if (quiet >= HALF_CLOSED_LIFE)
		udp_stream_end(s, true);
	else
		timer_set(&s->timer, HALF_CLOSED_LIFE - quiet);
}

/* What it leaves in the core goes on until it has arrived, unless it is reset. */
static void
leave_core(struct udp_stream *s, bool reset)
{
	if (s->core == NULL)
		return;
	if (reset)
		session_reset(s->session->core, s->core, 0);
	session_release(s->session->core, s->core);
	s->core = NULL;
	udp_session_touch(s->session);
}

void
udp_stream_end(struct udp_stream *s, bool reset)
{
	struct tunnel_udp *t = s->tunnel;

	if (s->state == UDP_STREAM_CLOSED)
		return;
	if (s->state == UDP_STREAM_OPEN && reset)
		t->base.counters.streams_reset++;
	t->base.counters.bytes_up += t->is_client ? s->bytes_in : s->bytes_out;
	t->base.counters.bytes_down += t->is_client ? s->bytes_out : s->bytes_in;
	s->state = UDP_STREAM_CLOSED;
	leave_core(s, reset);
	timer_done(&s->timer);
	watch_done(&s->watch);
	if (s->fd >= 0) {
		tcp_set_reset_on_close(s->fd, reset);
		close(s->fd);
		s->fd = -1;
	}
	transport_bury(&s->base);
}

/* Bytes */

static void
want(struct udp_stream *s, bool room)
{
	size_t waiting = 0;

	if (s->fd < 0)
		return;
	if (s->core != NULL && s->state == UDP_STREAM_OPEN)
		(void)session_readable(s->core, &waiting);
	watch_want(&s->watch, (room && !s->read_ended ? LOOP_READ : 0) |
				      (waiting > 0 ? LOOP_WRITE : 0));
}

/* From the descriptor to the core. True: there is room for more. */
static bool
take_in(struct udp_stream *s)
{
	struct session *core = s->session->core;
	ns_t now = loop_now(s->tunnel->base.loop);

	for (int i = 0; i < BLOCKS_A_TURN && !s->read_ended; i++) {
		size_t room;
		uint8_t *at = session_room(core, s->core, &room);
		ssize_t n;

		if (at == NULL)
			return false;
		n = read(s->fd, at, room);
		session_written(core, s->core, n > 0 ? (size_t)n : 0, now);
		if (n < 0)
			return errno == EAGAIN || errno == EINTR ||
			       (udp_stream_end(s, true), false);
		s->active_at = now;
		if (n == 0) {
			s->read_ended = true;
			session_end(core, s->core);
		}
		s->bytes_in += (uint64_t)n;
		if ((size_t)n < room)
			return true;
	}
	return true;
}

/* From the core to the descriptor. */
static void
give_out(struct udp_stream *s)
{
	struct session *core = s->session->core;
	ns_t now = loop_now(s->tunnel->base.loop);
	const uint8_t *at;
	size_t len;

	while ((at = session_readable(s->core, &len)), len > 0) {
		ssize_t n = send(s->fd, at, len, MSG_NOSIGNAL);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n < 0) {
			udp_stream_end(s, true);
			return;
		}
		session_consumed(core, s->core, (size_t)n, now);
		s->bytes_out += (uint64_t)n;
		s->active_at = now;
	}
	if (!s->write_ended && reorder_is_done(&s->core->in)) {
		s->write_ended = true;
		if (shutdown(s->fd, SHUT_WR) < 0)
			udp_stream_end(s, true);
	}
}

static void
pump(struct udp_stream *s, int what)
{
	bool room = true;

	if (s->core == NULL || s->fd < 0 || s->state == UDP_STREAM_CLOSED)
		return;
	if ((what & LOOP_READ) != 0)
		room = take_in(s);
	if (s->state == UDP_STREAM_OPEN)
		give_out(s);
	if (s->state == UDP_STREAM_CLOSED)
		return;
	udp_session_touch(s->session);
	if (s->read_ended && s->write_ended) {
		udp_stream_end(s, false);
		return;
	}
	if ((s->read_ended || s->write_ended) && !timer_is_set(&s->timer))
		timer_set(&s->timer, HALF_CLOSED_LIFE);
	want(s, room);
}

static void
on_ready(void *arg, int what)
{
	pump(arg, what);
}

static int
write_early(struct udp_stream *s, const uint8_t *data, size_t len)
{
	while (len > 0) {
		size_t room;
		uint8_t *at = session_room(s->session->core, s->core, &room);

		if (at == NULL)
			return -ENOBUFS;
		room = min_size(room, len);
		memcpy(at, data, room);
		session_written(s->session->core, s->core, room,
				loop_now(s->tunnel->base.loop));
		data += room;
		len -= room;
		s->bytes_in += room;
	}
	return 0;
}

/* The calls of tunnel.h */

static void
attach(struct tunnel_stream *base, int fd, const uint8_t *early, size_t early_len)
{
	struct udp_stream *s = of(base);

	if (s->state == UDP_STREAM_CLOSED) {
		tcp_reset(fd);
		return;
	}
	s->fd = fd;
	tcp_set_nodelay(fd, true);
	tcp_set_reset_on_close(fd, true);
	if (watch_init(&s->watch, s->tunnel->base.loop, fd, on_ready, s) < 0 ||
	    (early_len > 0 && write_early(s, early, early_len) < 0)) {
		udp_stream_end(s, true);
		return;
	}
	if (s->core != NULL)
		pump(s, LOOP_READ | LOOP_WRITE);
}

static void
answer(struct tunnel_stream *base, enum open_status status)
{
	struct udp_stream *s = of(base);

	session_answer(s->session->core, s->core, (uint8_t)status);
	udp_session_touch(s->session);
	if (status != OPEN_OK) {
		s->tunnel->base.counters.streams_refused++;
		session_end(s->session->core, s->core);
		session_release(s->session->core, s->core);
		s->core = NULL;
		udp_stream_end(s, true);
		return;
	}
	s->state = UDP_STREAM_OPEN;
	timer_stop(&s->timer);
	transport_opened(&s->base);
}

static void
end(struct tunnel_stream *base, bool reset)
{
	udp_stream_end(of(base), reset);
}

static const struct tunnel_ops ops = {.answer = answer, .attach = attach, .end = end};

/* The session's side */

struct udp_stream *
udp_stream_new(struct tunnel_udp *t, const struct config_host *dest)
{
	struct udp_stream *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	if (timer_init(&s->timer, t->base.loop, on_timer, s) < 0) {
		free(s);
		return NULL;
	}
	s->tunnel = t;
	s->dest = *dest;
	s->fd = -1;
	s->id = transport_next_id(&t->base);
	s->created_at = loop_now(t->base.loop);
	transport_add(&t->base, &s->base, &ops);
	timer_set(&s->timer, CONNECT_DEADLINE);
	return s;
}

int
udp_stream_begin(struct udp_stream *s, struct udp_session *us)
{
	uint8_t request[OPEN_REQUEST_MAX];
	size_t len = open_request_put(request, &s->dest, 0);

	s->session = us;
	s->core = session_open(us->core, request, len, s);
	if (s->core == NULL)
		return -ENOBUFS;
	timer_set(&s->timer, OPENING_LIFE);
	udp_session_touch(us);
	pump(s, LOOP_READ | LOOP_WRITE);
	return 0;
}

void
udp_stream_take(struct udp_stream *s, struct udp_session *us, struct stream *core)
{
	s->session = us;
	s->core = core;
	core->user = s;
	timer_set(&s->timer, OPENING_LIFE);
}

static void
answered(struct udp_stream *s)
{
	enum open_status status = s->core->status < OPEN_STATUS_COUNT
					  ? (enum open_status)s->core->status
					  : OPEN_FAILED;

	if (s->state != UDP_STREAM_OPENING)
		return;
	if (status != OPEN_OK) {
		transport_refuse(&s->base, status);
		return;
	}
	s->state = UDP_STREAM_OPEN;
	timer_stop(&s->timer);
	transport_opened(&s->base);
}

void
udp_stream_news(struct udp_stream *s, uint8_t news)
{
	if ((news & STREAM_NEWS_ANSWER) != 0)
		answered(s);
	if (s->state == UDP_STREAM_CLOSED)
		return;
	if ((news & STREAM_NEWS_RESET) != 0) {
		if (s->state == UDP_STREAM_OPENING)
			transport_refuse(&s->base, OPEN_FAILED);
		else
			udp_stream_end(s, true);
		return;
	}
	if ((news &
	     (STREAM_NEWS_READABLE | STREAM_NEWS_WRITABLE | STREAM_NEWS_ANSWER)) != 0)
		pump(s, (news & STREAM_NEWS_WRITABLE) != 0 ? LOOP_READ | LOOP_WRITE
							   : LOOP_WRITE);
}
