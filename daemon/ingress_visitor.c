#include "daemon/ingress_visitor.h"

#include "common/log.h"
#include "daemon/http_connect.h"
#include "daemon/io/tcp.h"
#include "daemon/socks5.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define LINGER_LIFE NS_PER_SEC
enum { LINGER_BYTES = 64 * 1024 };

struct visitor {
	struct list node; /* of host->visitors[state] */
	struct visitor_host *host;
	enum visitor_state state;
	int fd; /* -1: given to the tunnel */
	struct watch watch;
	struct timer timer;           /* HEADER and LINGERING */
	struct tunnel_stream *stream; /* NULL: none, or it has ended */
	union {
		struct socks5 socks5;
		struct http_connect http;
	} parser;
	uint8_t *in; /* INGRESS_HEADER_MAX bytes; NULL once attached */
	size_t len;
	size_t drained; /* in LINGERING */
	struct deferred release;
};

void
visitor_host_init(struct visitor_host *h)
{
	for (int i = 0; i < VISITOR_STATES; i++)
		list_init(&h->visitors[i]);
}

static void
enter(struct visitor *v, enum visitor_state next)
{
	struct visitor_host *h = v->host;

	assert(next > v->state);
	h->n[v->state]--;
	list_remove(&v->node);
	v->state = next;
	h->n[next]++;
	list_append(&h->visitors[next], &v->node);
}

static void
free_visitor(struct deferred *d)
{
	free(container_of(d, struct visitor, release));
}

static void
forget_socket(struct visitor *v)
{
	watch_done(&v->watch);
	timer_done(&v->timer);
	free(v->in);
	v->in = NULL;
	v->fd = -1;
}

/* The end; only the memory stays, for the other callbacks of this turn. */
static void
dismiss(struct visitor *v)
{
	const int fd = v->fd;

	forget_socket(v);
	if (fd >= 0 && v->state == VISITOR_HEADER)
		tcp_reset(fd);
	else if (fd >= 0)
		close(fd);
	if (v->stream != NULL)
		tunnel_stream_abort(v->stream);
	v->host->n[v->state]--;
	list_remove(&v->node);
	loop_defer(v->host->loop, &v->release, free_visitor);
}

static bool
dismiss_oldest(struct visitor_host *h, enum visitor_state state)
{
	if (list_empty(&h->visitors[state]))
		return false;
	dismiss(list_entry(h->visitors[state].next, struct visitor, node));
	return true;
}

/* Answers are short and the socket's buffer is empty: all or nothing. */
static bool
send_whole(struct visitor *v, const uint8_t *bytes, size_t len)
{
	return send(v->fd, bytes, len, MSG_NOSIGNAL) == (ssize_t)len;
}

/*
 * Says why not and hears the other side out: closing a socket with unread
 * bytes would send a reset, which may destroy the reply before it is read.
 */
static void
refuse(struct visitor *v, const uint8_t *bytes, size_t len)
{
	struct visitor_host *h = v->host;

	if (!send_whole(v, bytes, len) || shutdown(v->fd, SHUT_WR) < 0) {
		dismiss(v);
		return;
	}
	if (h->n[VISITOR_LINGERING] >= INGRESS_PENDING_MAX)
		dismiss_oldest(h, VISITOR_LINGERING);
	enter(v, VISITOR_LINGERING);
	timer_set(&v->timer, LINGER_LIFE);
	watch_want(&v->watch, LOOP_READ);
}

static size_t
write_answer(const struct visitor *v, enum open_status status,
	     uint8_t out[REQUEST_ANSWER_MAX])
{
	return v->host->from->type == INGRESS_HTTP ? http_connect_answer(status, out)
						   : socks5_answer(status, out);
}

static void
refuse_status(struct visitor *v, enum open_status status)
{
	uint8_t out[REQUEST_ANSWER_MAX];

	log_debug("stream refused: listener=%s why=\"%s\"", v->host->from->name,
		  open_status_text(status));
	refuse(v, out, write_answer(v, status, out));
}

static void
attach(struct visitor *v)
{
	uint8_t out[REQUEST_ANSWER_MAX];
	const int fd = v->fd;

	if (!send_whole(v, out, write_answer(v, OPEN_OK, out))) {
		dismiss(v);
		return;
	}
	enter(v, VISITOR_ATTACHED);
	watch_done(&v->watch);
	tunnel_stream_attach(v->stream, fd, v->in, v->len);
	forget_socket(v);
}

static void
stream_opened(void *arg, enum open_status status)
{
	struct visitor *v = arg;

	assert(v->state == VISITOR_OPENING);
	if (status == OPEN_OK)
		attach(v);
	else
		refuse_status(v, status);
}

static void
stream_closed(void *arg)
{
	struct visitor *v = arg;

	v->stream = NULL;
	switch (v->state) {
	case VISITOR_OPENING: refuse_status(v, OPEN_NO_TUNNEL); break;
	case VISITOR_ATTACHED: dismiss(v); break;
	case VISITOR_LINGERING: break;
	case VISITOR_HEADER:
	case VISITOR_STATES: assert(false);
	}
}

static void
stream_moved(void *arg, struct tunnel_stream *s)
{
	struct visitor *v = arg;

	assert(v->state == VISITOR_OPENING);
	v->stream = s;
	if (s == NULL)
		refuse_status(v, OPEN_LIMIT);
}

static void
open_stream(struct visitor *v, const struct config_host *dest)
{
	const struct tunnel_user user = {
		.on_opened = stream_opened,
		.on_closed = stream_closed,
		.arg = v,
		.on_moved = stream_moved,
	};

	enter(v, VISITOR_OPENING);
	timer_stop(&v->timer);
	watch_want(&v->watch, v->len < INGRESS_HEADER_MAX ? LOOP_READ : 0);
	v->stream = tunnel_open(v->host->tunnel, dest, v->host->from, &user);
	if (v->stream == NULL)
		refuse_status(v, OPEN_LIMIT);
}

static enum request_step
parse(struct visitor *v, struct request *ret)
{
	enum request_step step;

	if (v->host->from->type == INGRESS_HTTP)
		step = http_connect_parse(&v->parser.http, v->in, v->len, ret);
	else
		step = socks5_parse(&v->parser.socks5, v->in, v->len, ret);
	v->len -= ret->used;
	memmove(v->in, v->in + ret->used, v->len);
	return step;
}

static void
take_header(struct visitor *v)
{
	struct request r;

	for (;;) {
		switch (parse(v, &r)) {
		case REQUEST_MORE: return;
		case REQUEST_ANSWER:
			if (send_whole(v, r.answer, r.answer_len))
				break;
			dismiss(v);
			return;
		case REQUEST_OPEN: open_stream(v, &r.dest); return;
		case REQUEST_REFUSED:
			v->host->counters.refused_header++;
			log_debug("request refused: listener=%s", v->host->from->name);
			refuse(v, r.answer, r.answer_len);
			return;
		}
	}
}

static void
drain(struct visitor *v, size_t got)
{
	v->drained += got;
	if (v->drained > LINGER_BYTES)
		dismiss(v);
}

static void
socket_ready(void *arg, int what)
{
	struct visitor *v = arg;
	ssize_t got;

	(void)what;
	if (v->state == VISITOR_LINGERING)
		v->len = 0;
	assert(v->len < INGRESS_HEADER_MAX);
	got = recv(v->fd, v->in + v->len, INGRESS_HEADER_MAX - v->len, 0);
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got <= 0) {
		dismiss(v);
		return;
	}
	v->len += (size_t)got;
	switch (v->state) {
	case VISITOR_HEADER: take_header(v); break;
	case VISITOR_OPENING:
		if (v->len == INGRESS_HEADER_MAX)
			watch_want(&v->watch, 0);
		break;
	case VISITOR_LINGERING: drain(v, (size_t)got); break;
	case VISITOR_ATTACHED:
	case VISITOR_STATES: assert(false);
	}
}

static void
time_over(void *arg)
{
	struct visitor *v = arg;

	if (v->state == VISITOR_HEADER)
		v->host->counters.timed_out++;
	dismiss(v);
}

static struct visitor *
visitor_new(struct visitor_host *h, int fd)
{
	struct visitor *v = calloc(1, sizeof(*v));

	if (v == NULL)
		return NULL;
	v->in = malloc(INGRESS_HEADER_MAX);
	if (v->in == NULL || watch_init(&v->watch, h->loop, fd, socket_ready, v) < 0 ||
	    timer_init(&v->timer, h->loop, time_over, v) < 0) {
		forget_socket(v);
		free(v);
		return NULL;
	}
	v->host = h;
	v->fd = fd;
	if (h->from->type == INGRESS_HTTP)
		v->parser.http.login = h->login;
	else
		v->parser.socks5.login = h->login;
	return v;
}

void
visitor_start(struct visitor_host *h, int fd)
{
	struct visitor *v = visitor_new(h, fd);

	if (v == NULL) {
		tcp_reset(fd);
		return;
	}
	if (h->n[VISITOR_HEADER] >= INGRESS_PENDING_MAX)
		visitor_shed(h);
	h->n[VISITOR_HEADER]++;
	list_append(&h->visitors[VISITOR_HEADER], &v->node);
	timer_set(&v->timer, HEADER_DEADLINE);
	watch_want(&v->watch, LOOP_READ);
}

bool
visitor_shed(struct visitor_host *h)
{
	if (!dismiss_oldest(h, VISITOR_HEADER))
		return false;
	h->counters.shed++;
	return true;
}

void
visitor_end_all(struct visitor_host *h)
{
	for (int i = 0; i < VISITOR_STATES; i++) {
		while (dismiss_oldest(h, (enum visitor_state)i))
			;
	}
}
