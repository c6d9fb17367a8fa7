#include "daemon/heartbeat.h"

#include "common/bytes.h"
#include "common/log.h"
#include "daemon/io/tcp.h"
#include "daemon/mptcp_client.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define CONNECT_LIFE (1 * NS_PER_SEC)
#define RETRY_SOON   (500 * NS_PER_MS)
#define RETRY_LATE   (2 * NS_PER_SEC)

enum { FAILURES_SOON = 10, LOST_LEN = 9 };

static void on_ready(void *arg, int what);
static void on_timer(void *arg);

int
heartbeat_init(struct heartbeat *h, struct mptcp_client *c)
{
	memset(h, 0, sizeof(*h));
	h->client = c;
	leg_init(&h->leg);
	return timer_init(&h->timer, c->loop, on_timer, h);
}

void
heartbeat_done(struct heartbeat *h)
{
	if (h->client == NULL)
		return;
	timer_done(&h->timer);
	leg_done(&h->leg, false);
}

static void
enter(struct heartbeat *h, enum heartbeat_state next)
{
	h->state = next;
	h->state_at = loop_now(h->client->loop);
}

static ns_t
patience(const struct heartbeat *h)
{
	return max_ns(NS_PER_SEC, 3 * h->srtt + 500 * NS_PER_MS);
}

static void
rest(struct heartbeat *h)
{
	leg_done(&h->leg, true);
	h->pinged_at = 0;
	enter(h, HEARTBEAT_REST);
	h->failures++;
	timer_set(&h->timer, h->failures < FAILURES_SOON ? RETRY_SOON : RETRY_LATE);
}

/* `why` NULL: nothing but silence. */
static void
fail(struct heartbeat *h, const char *why)
{
	ns_t asked_at = h->pinged_at != 0 ? h->pinged_at : h->state_at;

	rest(h);
	uplinks_silent(h->client->uplinks, h->uplink, TRANSPORT_MPTCP, asked_at, why);
}

static void
connect_now(struct heartbeat *h)
{
	struct mptcp_client *c = h->client;
	const struct addr *remote;
	struct tcp_connect tc = {.kind = TCP_PLAIN};
	char why[96];
	int fd;

	if (h->uplink == NULL || h->uplink->priority == PRIORITY_NEVER ||
	    h->uplink->ifindex == 0 || !c->session.up)
		return;
	remote = endpoints_for(&c->endpoints, h->uplink);
	if (remote == NULL)
		return;
	tc.remote = *remote;
	tc.device = h->uplink->interface;
	fd = tcp_connect_start(&tc);
	if (fd < 0 || leg_start(&h->leg, c->loop, fd, on_ready, h) < 0) {
		snprintf(why, sizeof(why), "no route: %s",
			 fd < 0 ? strerror(-fd) : "no memory");
		if (fd >= 0)
			close(fd);
		fail(h, why);
		return;
	}
	enter(h, HEARTBEAT_CONNECTING);
	watch_want(&h->leg.watch, LOOP_WRITE);
	timer_set(&h->timer, max_ns(CONNECT_LIFE, 3 * h->srtt));
}

static int
greet(struct heartbeat *h)
{
	struct mptcp_client *c = h->client;
	struct leg_header header = mptcp_client_next_header(c);
	struct leg_hello hello = {.kind = LEG_HEARTBEAT, .uplink = h->uplink->id};
	uint8_t head[LEG_HEADER_LEN], body[LEG_HELLO_LEN];
	int err;

	memcpy(hello.boot_id, c->me->boot_id, sizeof(hello.boot_id));
	leg_header_write(&header, head);
	leg_hello_write(&hello, body);
	tcp_set_nodelay(h->leg.fd, true);
	err = leg_set_keys(&h->leg, (enum aead_alg)c->session.answer.aead,
			   c->session.stream_secret, header.number, true);
	if (err == 0)
		err = leg_write(&h->leg, head, sizeof(head));
	if (err == 0)
		err = leg_send(&h->leg, RECORD_HELLO, body, sizeof(body));
	return err;
}

static int
ping(struct heartbeat *h)
{
	uint8_t seq[4];

	put_be32(seq, ++h->seq);
	h->pinged_at = loop_now(h->client->loop);
	timer_set(&h->timer, patience(h));
	return leg_send(&h->leg, RECORD_PING, seq, sizeof(seq));
}

static void
heard(struct heartbeat *h)
{
	ns_t rtt = loop_now(h->client->loop) - h->pinged_at;

	h->pinged_at = 0;
	/* Up slowly, down at once: a queue that has gone says nothing any more. */
	h->srtt = h->srtt == 0 || rtt < h->srtt ? rtt : h->srtt + (rtt - h->srtt) / 8;
	h->failures = 0;
	uplinks_heard(h->client->uplinks, h->uplink, TRANSPORT_MPTCP,
		      &(struct hearing_answer){.at = loop_now(h->client->loop),
					       .srtt = h->srtt});
	timer_set(&h->timer,
		  mptcp_client_is_busy(h->client) ? HEARTBEAT_BUSY : HEARTBEAT_IDLE);
}

static int
take_record(struct heartbeat *h, const struct record *r)
{
	if (h->state == HEARTBEAT_GREETING) {
		if (r->type != RECORD_HELLO)
			return -EPROTO;
		enter(h, HEARTBEAT_BEATING);
		return ping(h);
	}
	if (r->type == RECORD_PONG && r->len >= 4 && h->pinged_at != 0 &&
	    get_be32(r->payload) == h->seq) {
		heard(h);
		return 0;
	}
	if (r->type == RECORD_LOST && r->len >= LOST_LEN) {
		mptcp_client_peer_lost(h->client, get_be64(r->payload), r->payload[8]);
		return 0;
	}
	return r->type == RECORD_PONG ? 0 : -EPROTO;
}

static int
read_leg(struct heartbeat *h)
{
	struct scratch *sc = &h->client->mptcp.shared.scratch;
	struct record r;
	int err;

	err = leg_fill(&h->leg, sc, PUMP_READ_MIN);
	if (err < 0)
		return err == -EAGAIN ? 0 : err;
	while ((err = leg_next(&h->leg, sc, &r)) == 0) {
		err = take_record(h, &r);
		/* What LOST set off may have ended this very leg. */
		if (err < 0 || h->state == HEARTBEAT_REST)
			break;
	}
	if (err == -EAGAIN)
		err = leg_keep(&h->leg, sc);
	sc->in_off = sc->in_len;
	return err;
}

static void
on_connected(struct heartbeat *h)
{
	int err = tcp_connect_result(h->leg.fd);
	char why[96];

	if (err == -EINPROGRESS)
		return;
	if (err == 0)
		err = greet(h);
	if (err == 0) {
		enter(h, HEARTBEAT_GREETING);
		watch_want(&h->leg.watch, LOOP_READ);
		timer_set(&h->timer, patience(h));
		return;
	}
	snprintf(why, sizeof(why), "not reached: %s", strerror(-err));
	fail(h, why);
	if (err == -ECONNREFUSED)
		mptcp_client_session_doubtful(h->client, "it refuses connections");
}

static void
on_ready(void *arg, int what)
{
	struct heartbeat *h = arg;
	int err = 0;

	if (h->state == HEARTBEAT_CONNECTING) {
		on_connected(h);
		return;
	}
	if (what & LOOP_WRITE)
		err = leg_flush(&h->leg);
	if (err == 0 && (what & LOOP_READ))
		err = read_leg(h);
	if (err < 0) {
		fail(h, "the connection ended");
		if (err == -ECONNABORTED || err == -ECONNRESET)
			mptcp_client_session_doubtful(h->client,
						      "it closed a heartbeat");
		return;
	}
	if (h->leg.fd >= 0)
		watch_want(&h->leg.watch,
			   LOOP_READ | (leg_is_flushed(&h->leg) ? 0 : LOOP_WRITE));
}

static void
on_timer(void *arg)
{
	struct heartbeat *h = arg;

	switch (h->state) {
	case HEARTBEAT_REST: connect_now(h); return;
	case HEARTBEAT_CONNECTING: fail(h, NULL); return;
	case HEARTBEAT_GREETING:
		fail(h, "takes connections but does not answer");
		mptcp_client_session_doubtful(h->client, "it does not answer");
		return;
	case HEARTBEAT_BEATING: break;
	}
	if (h->pinged_at == 0) {
		if (ping(h) < 0)
			rest(h);
		return;
	}
	fail(h, NULL);
}

void
heartbeat_refresh(struct heartbeat *h, struct uplink *u, bool anew)
{
	h->uplink = u;
	if (anew) {
		leg_done(&h->leg, true);
		h->pinged_at = 0;
		h->failures = 0;
		enter(h, HEARTBEAT_REST);
	}
	if (h->state == HEARTBEAT_REST)
		connect_now(h);
}

void
heartbeat_hurry(struct heartbeat *h)
{
	if (h->state == HEARTBEAT_BEATING && h->pinged_at == 0 && ping(h) < 0)
		rest(h);
}
