#include "daemon/mptcp_stream.h"

#include "daemon/io/tcp.h"
#include "daemon/mptcp_client.h"
#include "daemon/mptcp_server.h"
#include "daemon/open_request.h"
#include "daemon/tunnel_mptcp.h"

#include <stdlib.h>
#include <string.h>

/* The server's own deadline comes first, and its answer needs a way back. */
#define OPENING_LIFE     (CONNECT_DEADLINE + 5 * NS_PER_SEC)
#define LEAVING_LIFE     (2 * NS_PER_SEC)
#define HALF_CLOSED_LOOK (1 * NS_PER_SEC)

/* transport.c frees it. */
_Static_assert(offsetof(struct mptcp_stream, base) == 0, "begins with it");

static void on_leg_ready(void *arg, int what);
static void on_local_ready(void *arg, int what);

void
mptcp_stream_end(struct mptcp_stream *s, bool reset)
{
	struct tunnel_mptcp *t = s->mptcp;

	if (s->state == STREAM_CLOSED)
		return;
	if (t->client != NULL)
		mptcp_client_stream_ends(t->client, s);
	else
		mptcp_server_stream_ends(s);
	if (s->state == STREAM_OPEN && reset)
		t->base.counters.streams_reset++;
	t->base.counters.bytes_up +=
		t->client != NULL ? s->pump.bytes_up : s->pump.bytes_down;
	t->base.counters.bytes_down +=
		t->client != NULL ? s->pump.bytes_down : s->pump.bytes_up;
	s->state = STREAM_CLOSED;
	if (s->watched)
		subflows_remove(t->subflows, &s->subflows);
	timer_done(&s->timer);
	pump_done(&s->pump, reset);
	leg_done(&s->leg, reset);
	list_remove(&s->pool);
	transport_bury(&s->base);
}

/* Sets what the stream waits for, or ends it when it is over. */
static void
settle(struct mptcp_stream *s)
{
	bool reads;

	if (s->state == STREAM_CLOSED || s->state == STREAM_LEAVING)
		return;
	if (pump_is_done(&s->pump)) {
		mptcp_stream_end(s, false);
		return;
	}
	reads = pump_wants_leg_read(&s->pump);
	pump_want(&s->pump, reads);
	if (s->state == STREAM_OPEN &&
	    (s->pump.up == PUMP_ENDED || s->pump.down == PUMP_ENDED) &&
	    !timer_is_set(&s->timer))
		timer_set(&s->timer, HALF_CLOSED_LOOK);
}

static void
on_timer(void *arg)
{
	struct mptcp_stream *s = arg;
	uint64_t bytes = s->pump.bytes_up + s->pump.bytes_down;

	switch (s->state) {
	case STREAM_CONNECTING:
	case STREAM_GREETING: mptcp_client_stream_timeout(s->mptcp->client, s); return;
	case STREAM_OPENING: transport_refuse(&s->base, OPEN_TIMED_OUT); return;
	case STREAM_LEAVING: mptcp_stream_end(s, true); return;
	case STREAM_IDLE:
	case STREAM_OPEN:
	case STREAM_CLOSED: break;
	}
	/* Half closed: who is not read from any more can still reset. */
	if (bytes != s->bytes_seen)
		s->quiet_looks = 0;
	s->bytes_seen = bytes;
	if (++s->quiet_looks >= HALF_CLOSED_LIFE / HALF_CLOSED_LOOK ||
	    tcp_is_reset(s->pump.fd) || tcp_is_reset(s->leg.fd))
		mptcp_stream_end(s, true);
	else
		timer_set(&s->timer, HALF_CLOSED_LOOK);
}

static void
sent(struct mptcp_stream *s)
{
	if (s->watched)
		subflows_sent(s->mptcp->subflows, &s->subflows);
}

int
mptcp_stream_set_leg(struct mptcp_stream *s, int fd)
{
	return leg_start(&s->leg, s->mptcp->base.loop, fd, on_leg_ready, s);
}

int
mptcp_stream_greet(struct mptcp_stream *s, const struct leg_header *header,
		   const struct leg_hello *hello)
{
	uint8_t head[LEG_HEADER_LEN];
	uint8_t body[LEG_HELLO_LEN];
	int err;

	leg_header_write(header, head);
	leg_hello_write(hello, body);
	s->number = header->number;
	s->state = STREAM_GREETING;
	err = leg_write(&s->leg, head, sizeof(head));
	if (err == 0)
		err = leg_send(&s->leg, RECORD_HELLO, body, sizeof(body));
	if (err == 0 && s->base.user.on_closed != NULL)
		err = mptcp_stream_send_open(s);
	if (err == 0)
		settle(s);
	return err;
}

int
mptcp_stream_send_open(struct mptcp_stream *s)
{
	uint8_t open[OPEN_REQUEST_MAX];
	size_t len = open_request_put(open, &s->dest,
				      s->may_be_plain ? OPEN_REQUEST_MAY_BE_PLAIN : 0);
	int err = leg_send(&s->leg, RECORD_OPEN, open, len);

	if (err < 0)
		return err;
	s->pump.offers_plain = s->may_be_plain;
	s->state = STREAM_OPENING;
	timer_set(&s->timer, OPENING_LIFE);
	/* Attached before the leg was there: what waits locally may go now. */
	if (s->pump.fd >= 0)
		err = pump_pull(&s->pump);
	if (err == 0)
		settle(s);
	sent(s);
	return err;
}

static int
take_open(struct mptcp_stream *s, const struct record *r)
{
	uint8_t flags;

	if (open_request_get(r->payload, r->len, &s->dest, &flags) < 0)
		return -EPROTO;
	s->may_be_plain = (flags & OPEN_REQUEST_MAY_BE_PLAIN) != 0;
	s->state = STREAM_OPENING;
	s->id = transport_next_id(&s->mptcp->base);
	mptcp_server_stream_opens(s->mptcp->server, s);
	return 0;
}

static int
take_opened(struct mptcp_stream *s, const struct record *r)
{
	if (r->len < 1)
		return -EPROTO;
	if (r->payload[0] != OPEN_OK) {
		transport_refuse(&s->base, r->payload[0] < OPEN_STATUS_COUNT
						   ? (enum open_status)r->payload[0]
						   : OPEN_FAILED);
		return 0;
	}
	s->state = STREAM_OPEN;
	timer_stop(&s->timer);
	transport_opened(&s->base);
	return 0;
}

/* The server's HELLO: the leg is authenticated, and MPTCP fully established. */
static int
take_hello(struct mptcp_stream *s)
{
	int err;

	err = subflows_add(s->mptcp->subflows, &s->subflows, s->leg.fd, s->uplink);
	if (err < 0 && err != -EOPNOTSUPP)
		return err;
	s->watched = err == 0;
	s->fallback = s->mptcp->stripped = err < 0;
	if (s->fallback)
		s->mptcp->base.counters.fallbacks++;
	mptcp_client_stream_greeted(s->mptcp->client, s);
	if (s->state == STREAM_GREETING) {
		s->state = STREAM_IDLE;
		mptcp_client_stream_is_idle(s->mptcp->client, s);
	}
	return 0;
}

static int
take_fin(struct mptcp_stream *s)
{
	int err;

	if (s->pump.down != PUMP_SEALED)
		return -EPROTO;
	err = pump_flush(&s->pump);
	return err < 0 ? err : pump_down_ends(&s->pump);
}

static int
take_plain_bytes(struct mptcp_stream *s)
{
	uint8_t *bytes;
	size_t n = leg_rest(&s->mptcp->shared.scratch, &bytes);
	int err = pump_push(&s->pump, bytes, n);

	return err < 0 ? err : pump_flush(&s->pump);
}

static int
take_plain(struct mptcp_stream *s)
{
	int err;

	if (!s->may_be_plain ||
	    (s->peer != NULL && !mptcp_server_allows_plain(s->peer)))
		return -EPROTO;
	err = pump_down_is_plain(&s->pump, s->peer != NULL);
	return err < 0 ? err : take_plain_bytes(s);
}

/* Bytes go up while the destination is connected to, and never down by then. */
static bool
may_carry(const struct mptcp_stream *s)
{
	return s->state == STREAM_OPEN ||
	       (s->peer != NULL && s->state == STREAM_OPENING);
}

/* Whether a record of that type has its place here and now. */
static bool
is_in_place(const struct mptcp_stream *s, enum record_type type)
{
	bool greeted = s->peer != NULL || s->watched || s->fallback;

	switch (type) {
	case RECORD_HELLO: return !greeted;
	case RECORD_OPEN: return s->peer != NULL && s->state == STREAM_IDLE;
	case RECORD_OPENED:
		return s->peer == NULL && greeted && s->state == STREAM_OPENING;
	case RECORD_DATA:
	case RECORD_FIN:
	case RECORD_PLAIN: return may_carry(s);
	case RECORD_PING:
	case RECORD_PONG:
	case RECORD_LOST:
	case RECORD_TYPE_COUNT: break;
	}
	return false;
}

static int
take_record(struct mptcp_stream *s, const struct record *r)
{
	if (s->state == STREAM_LEAVING)
		return 0;
	if (!is_in_place(s, r->type))
		return -EPROTO;
	switch (r->type) {
	case RECORD_HELLO: return take_hello(s);
	case RECORD_OPEN: return take_open(s, r);
	case RECORD_OPENED: return take_opened(s, r);
	case RECORD_DATA: return pump_push(&s->pump, r->payload, r->len);
	case RECORD_FIN: return take_fin(s);
	case RECORD_PLAIN: return take_plain(s);
	case RECORD_PING:
	case RECORD_PONG:
	case RECORD_LOST:
	case RECORD_TYPE_COUNT: break;
	}
	return -EPROTO;
}

/* Opens what is in the scratch and moves it on. */
static int
take_records(struct mptcp_stream *s)
{
	struct scratch *sc = &s->mptcp->shared.scratch;
	struct record r;
	int err;

	while ((err = leg_next(&s->leg, sc, &r)) == 0) {
		err = take_record(s, &r);
		if (err < 0 || s->state == STREAM_CLOSED)
			break;
	}
	if (err < 0 && err != -EAGAIN)
		return err;
	if (s->state == STREAM_CLOSED)
		return 0;
	err = leg_keep(&s->leg, sc);
	return err < 0 ? err : pump_flush(&s->pump);
}

static int
read_leg(struct mptcp_stream *s)
{
	struct scratch *sc = &s->mptcp->shared.scratch;
	bool plain = s->pump.down == PUMP_PLAIN;
	int err;

	err = leg_fill(&s->leg, sc, s->pump.read_budget);
	if (plain && err == -ECONNABORTED)
		return pump_down_ends(&s->pump);
	if (err < 0)
		return err == -EAGAIN ? 0 : err;
	err = plain ? take_plain_bytes(s) : take_records(s);
	/* Whatever an early end left behind must not reach the next leg. */
	sc->in_off = sc->in_len;
	s->mptcp->shared.n_parts = 0;
	return err;
}

/* A refused stream waits for the client to close, so that its answer arrives. */
static void
leave(struct mptcp_stream *s)
{
	struct scratch *sc = &s->mptcp->shared.scratch;
	int err = leg_fill(&s->leg, sc, PUMP_READ_MIN);

	sc->in_off = sc->in_len;
	if (err < 0 && err != -EAGAIN)
		mptcp_stream_end(s, false);
}

static void
on_leg_ready(void *arg, int what)
{
	struct mptcp_stream *s = arg;
	int err = 0;

	if (s->state == STREAM_CONNECTING) {
		mptcp_client_stream_connected(s->mptcp->client, s);
		return;
	}
	if (s->state == STREAM_LEAVING) {
		leave(s);
		return;
	}
	if (what & LOOP_WRITE)
		err = pump_flush_leg(&s->pump);
	if (err == 0 && (what & LOOP_READ) && pump_wants_leg_read(&s->pump))
		err = read_leg(s);
	if (err < 0)
		mptcp_stream_end(s, true);
	settle(s);
}

static void
on_local_ready(void *arg, int what)
{
	struct mptcp_stream *s = arg;
	int err = 0;

	if (what & LOOP_WRITE)
		err = pump_flush(&s->pump);
	if (err == 0 && (what & LOOP_READ)) {
		err = pump_pull(&s->pump);
		sent(s);
	}
	if (err < 0)
		mptcp_stream_end(s, true);
	settle(s);
}

void
mptcp_stream_take_leg(struct mptcp_stream *s, struct leg *leg)
{
	struct scratch *sc = &s->mptcp->shared.scratch;
	int err;

	assert(leg->watch.event == NULL);
	s->leg = *leg;
	leg_init(leg);
	err = mptcp_stream_set_leg(s, s->leg.fd);
	if (err == 0) {
		err = subflows_add(s->mptcp->subflows, &s->subflows, s->leg.fd, NULL);
		s->watched = err == 0;
		s->fallback = s->mptcp->stripped = err == -EOPNOTSUPP;
		if (s->fallback)
			s->mptcp->base.counters.fallbacks++;
		err = err == -EOPNOTSUPP ? 0 : err;
	}
	if (err == 0)
		err = leg_send(&s->leg, RECORD_HELLO, NULL, 0);
	if (err == 0 && s->leg.in_len > 0) {
		leg_unkeep(&s->leg, sc);
		err = take_records(s);
		sc->in_off = sc->in_len;
		s->mptcp->shared.n_parts = 0;
	}
	if (err < 0)
		mptcp_stream_end(s, true);
	settle(s);
}

static void
attach(struct tunnel_stream *base, int fd, const uint8_t *early, size_t early_len)
{
	struct mptcp_stream *s = container_of(base, struct mptcp_stream, base);
	int err;

	if (s->state == STREAM_CLOSED) {
		tcp_reset(fd);
		return;
	}
	tcp_set_nodelay(fd, true);
	err = pump_attach(&s->pump, s->mptcp->base.loop, fd, on_local_ready, s);
	if (err < 0) {
		tcp_reset(fd);
		mptcp_stream_end(s, true);
		return;
	}
	if (s->state != STREAM_OPENING && s->state != STREAM_OPEN) {
		/* No leg yet: the socket is read once OPEN is on its way. */
		assert(early_len == 0);
		return;
	}
	if (early_len > 0)
		err = pump_early(&s->pump, early, early_len);
	if (err == 0 && s->mptcp->shared.n_parts == 0)
		err = pump_flush(&s->pump);
	if (err < 0)
		mptcp_stream_end(s, true);
	settle(s);
}

static void
answer(struct tunnel_stream *base, enum open_status status)
{
	struct mptcp_stream *s = container_of(base, struct mptcp_stream, base);
	uint8_t byte = (uint8_t)status;
	int err;

	assert(s->peer != NULL && s->state == STREAM_OPENING);
	err = leg_send(&s->leg, RECORD_OPENED, &byte, 1);
	if (err < 0) {
		mptcp_stream_end(s, true);
		return;
	}
	if (status != OPEN_OK) {
		s->mptcp->base.counters.streams_refused++;
		s->state = STREAM_LEAVING;
		mptcp_server_stream_leaves(s);
		timer_set(&s->timer, LEAVING_LIFE);
		watch_want(&s->leg.watch, LOOP_READ);
		return;
	}
	s->state = STREAM_OPEN;
	transport_opened(&s->base);
}

static void
end(struct tunnel_stream *base, bool reset)
{
	mptcp_stream_end(container_of(base, struct mptcp_stream, base), reset);
}

static bool
let_go(struct tunnel_stream *base, struct tunnel_request *ret_request)
{
	struct mptcp_stream *s = container_of(base, struct mptcp_stream, base);

	if (s->state != STREAM_CONNECTING)
		return false;
	*ret_request = (struct tunnel_request){&s->dest, s->from, s->pump.fd};
	s->pump.fd = -1;
	mptcp_stream_end(s, true);
	return true;
}

static const struct tunnel_ops ops = {
	.answer = answer,
	.attach = attach,
	.end = end,
	.let_go = let_go,
};

struct mptcp_stream *
mptcp_stream_new(struct tunnel_mptcp *t, enum stream_state state)
{
	struct mptcp_stream *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	if (timer_init(&s->timer, t->base.loop, on_timer, s) < 0) {
		free(s);
		return NULL;
	}
	s->mptcp = t;
	s->state = state;
	s->created_at = loop_now(t->base.loop);
	leg_init(&s->leg);
	pump_init(&s->pump, &t->shared, &s->leg);
	list_init(&s->pool);
	transport_add(&t->base, &s->base, &ops);
	return s;
}
