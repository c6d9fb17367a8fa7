#include "daemon/tunnel.h"

#include "daemon/io/tcp.h"
#include "daemon/transport.h"

#include <stdio.h>
#include <stdlib.h>

struct tunnel {
	struct transport *transports[TRANSPORT_COUNT]; /* NULL: there is none */
	struct choice choice;
	uint64_t last_id;
	unsigned n_streams, max_streams; /* client: of both transports */
};

static const char *const texts[] = {
	[OPEN_OK] = "connected",
	[OPEN_FAILED] = "the server could not connect to the destination",
	[OPEN_DENIED] = "the server does not permit this destination",
	[OPEN_NET_UNREACHABLE] = "the destination's network is unreachable",
	[OPEN_HOST_UNREACHABLE] = "the destination is unreachable",
	[OPEN_REFUSED] = "the destination refused the connection",
	[OPEN_TIMED_OUT] = "the destination did not answer in time",
	[OPEN_NO_SUCH_NAME] = "the destination's name does not exist",
	[OPEN_NAME_FAILED] = "no name server answered for the destination's name",
	[OPEN_LIMIT] = "too many streams are open or being opened",
	[OPEN_NO_TUNNEL] = "there is no session with the server",
};
_Static_assert(ARRAY_LEN(texts) == OPEN_STATUS_COUNT, "a text for every status");

const char *
open_status_text(enum open_status s)
{
	assert((unsigned)s < OPEN_STATUS_COUNT);
	return texts[s];
}

struct tunnel *
tunnel_new(unsigned max_streams)
{
	struct tunnel *t = calloc(1, sizeof(*t));

	if (t != NULL)
		t->max_streams = max_streams;
	return t;
}

void
tunnel_free(struct tunnel *t)
{
	if (t == NULL)
		return;
	for (size_t i = 0; i < TRANSPORT_COUNT; i++) {
		if (t->transports[i] != NULL)
			t->transports[i]->ops->free(t->transports[i]);
	}
	free(t);
}

void
tunnel_add(struct tunnel *t, enum config_transport kind, struct transport *transport)
{
	assert(kind != TRANSPORT_AUTO && t->transports[kind] == NULL);
	t->transports[kind] = transport;
	transport->tunnel = t;
}

uint64_t
transport_next_id(const struct transport *t)
{
	return ++t->tunnel->last_id;
}

void
transport_gone(const struct transport *t)
{
	assert(t->tunnel->n_streams > 0);
	t->tunnel->n_streams--;
}

static void
get_health(const struct tunnel *t, struct transport_health ret_of[TRANSPORT_COUNT])
{
	for (size_t i = 0; i < TRANSPORT_COUNT; i++) {
		const struct transport *tr = t->transports[i];

		ret_of[i] = tr != NULL ? tr->ops->health(tr)
				       : (struct transport_health){false, NULL};
	}
}

/* Which transport is to carry a stream that comes in by `from`. */
static struct transport *
choose(struct tunnel *t, const struct config_listener *from,
       enum choice_reason *ret_reason)
{
	struct transport_health of[TRANSPORT_COUNT];

	*ret_reason = CHOICE_CONFIGURED;
	if (from->transport != TRANSPORT_AUTO)
		return t->transports[from->transport];
	/* Bytes in the clear are spliced by kernel MPTCP only. */
	if (from->protect == PROTECT_AUTH)
		return t->transports[TRANSPORT_MPTCP];
	get_health(t, of);
	return t->transports[choice_take(&t->choice, of, ret_reason)];
}

static void
add_bytes(void *arg, const struct tunnel_stream_info *info)
{
	*(uint64_t *)arg += info->bytes_up + info->bytes_down;
}

void
tunnel_measure(struct tunnel *t, ns_t now)
{
	uint64_t totals[TRANSPORT_COUNT] = {0};
	struct tunnel_counters c;

	for (size_t i = 0; i < TRANSPORT_COUNT; i++) {
		struct transport *tr = t->transports[i];

		if (tr == NULL)
			continue;
		tr->ops->counters(tr, &c);
		totals[i] = c.bytes_up + c.bytes_down;
		tr->ops->each(tr, add_bytes, &totals[i]);
	}
	choice_measure(&t->choice, totals, now);
}

static const char *
mbit(const struct tunnel *t, enum config_transport kind, char *buf, size_t cap)
{
	uint64_t best = t->choice.of[kind].best;

	if (best < 125000)
		return "not measured";
	snprintf(buf, cap, "%.0f Mbit/s", (double)best * 8 / 1e6);
	return buf;
}

void
tunnel_choice_get(const struct tunnel *t, struct tunnel_choice *ret_choice)
{
	struct transport_health of[TRANSPORT_COUNT];
	const char *handicap;
	char udp[32], mptcp[32];
	enum choice_reason why;
	bool is_udp;

	get_health(t, of);
	is_udp = choice_look(&t->choice, of, &why) == TRANSPORT_UDP;
	ret_choice->transport = is_udp ? "udp" : "mptcp";
	handicap = of[is_udp ? TRANSPORT_MPTCP : TRANSPORT_UDP].handicap;
	if (why == CHOICE_FASTER || why == CHOICE_DEFAULT)
		snprintf(ret_choice->reason, sizeof(ret_choice->reason),
			 "%s; best second of late: udp %s, mptcp %s",
			 choice_reason_text(why),
			 mbit(t, TRANSPORT_UDP, udp, sizeof(udp)),
			 mbit(t, TRANSPORT_MPTCP, mptcp, sizeof(mptcp)));
	else
		snprintf(ret_choice->reason, sizeof(ret_choice->reason), "%s",
			 why != CHOICE_NEITHER && handicap != NULL
				 ? handicap
				 : choice_reason_text(why));
}

void
tunnel_uplink_changed(struct tunnel *t, struct uplink *u)
{
	for (size_t i = 0; i < TRANSPORT_COUNT; i++) {
		if (t->transports[i] != NULL)
			t->transports[i]->ops->uplink_changed(t->transports[i], u);
	}
}

static struct tunnel_stream *
open_by(struct transport *by, enum choice_reason why, const struct tunnel_request *r,
	const struct tunnel_user *user)
{
	struct tunnel_stream *s = by->ops->open(by, r->dest, r->from, user);

	if (s == NULL)
		return NULL;
	s->chosen = why;
	s->asked_for = true;
	by->tunnel->n_streams++;
	return s;
}

struct tunnel_stream *
tunnel_open(struct tunnel *t, const struct config_host *dest,
	    const struct config_listener *from, const struct tunnel_user *user)
{
	const struct tunnel_request r = {dest, from, -1};
	enum choice_reason why;
	struct transport *chosen;

	if (t->n_streams >= t->max_streams)
		return NULL;
	chosen = choose(t, from, &why);
	return chosen == NULL ? NULL : open_by(chosen, why, &r, user);
}

static void
move(struct tunnel_stream *s, struct transport *to)
{
	const struct tunnel_user user = s->user;
	struct tunnel_request r;

	if (s->chosen == CHOICE_CONFIGURED || !s->ops->let_go(s, &r))
		return;
	s->user = (struct tunnel_user){0};
	s = open_by(to, CHOICE_ONLY, &r, &user);
	if (user.on_moved != NULL)
		user.on_moved(user.arg, s);
	if (r.fd >= 0 && s != NULL)
		tunnel_stream_attach(s, r.fd, NULL, 0);
	else if (r.fd >= 0)
		tcp_reset(r.fd);
}

void
transport_works(struct transport *to)
{
	struct transport *first = to->tunnel->transports[TRANSPORT_MPTCP];

	/* Who waits because neither has a session waits there, and so does whoever it
	 * was chosen for just before it failed. */
	if (first == NULL || first == to || first->ops->health(first).works)
		return;
	list_for_each_safe (it, &first->streams)
		move(list_entry(it, struct tunnel_stream, node), to);
}

void
tunnel_stream_answer(struct tunnel_stream *s, enum open_status status)
{
	s->ops->answer(s, status);
}

void
tunnel_stream_attach(struct tunnel_stream *s, int fd, const uint8_t *early,
		     size_t early_len)
{
	s->ops->attach(s, fd, early, early_len);
}

void
tunnel_stream_abort(struct tunnel_stream *s)
{
	s->user = (struct tunnel_user){0};
	s->ops->end(s, true);
}

void
tunnel_each_stream(struct tunnel *t, tunnel_each_fn fn, void *arg)
{
	for (size_t i = 0; i < TRANSPORT_COUNT; i++) {
		if (t->transports[i] != NULL)
			t->transports[i]->ops->each(t->transports[i], fn, arg);
	}
}

void
tunnel_each_subflow(struct tunnel *t, subflow_info_fn fn, void *arg)
{
	for (size_t i = 0; i < TRANSPORT_COUNT; i++) {
		struct transport *tr = t->transports[i];

		if (tr != NULL && tr->ops->each_subflow != NULL)
			tr->ops->each_subflow(tr, fn, arg);
	}
}

static void
add(struct tunnel_counters *sum, const struct tunnel_counters *c)
{
	sum->streams_opened += c->streams_opened;
	sum->streams_refused += c->streams_refused;
	sum->streams_reset += c->streams_reset;
	sum->bytes_up += c->bytes_up;
	sum->bytes_down += c->bytes_down;
	sum->fallbacks += c->fallbacks;
	sum->strangers += c->strangers;
	sum->handshakes += c->handshakes;
	sum->streams += c->streams;
	sum->legs_waiting += c->legs_waiting;
	sum->half_open += c->half_open;
	sum->sent_bytes += c->sent_bytes;
	sum->resent_bytes += c->resent_bytes;
	sum->refused_packets += c->refused_packets;
	sum->rekeys += c->rekeys;
	sum->held_bytes += c->held_bytes;
	sum->sessions += c->sessions;
	sum->subflows_active += c->subflows_active;
}

void
tunnel_counters_get(const struct tunnel *t, struct tunnel_counters *ret_counters)
{
	struct tunnel_counters sum = {0}, c;

	for (size_t i = 0; i < TRANSPORT_COUNT; i++) {
		if (t->transports[i] == NULL)
			continue;
		t->transports[i]->ops->counters(t->transports[i], &c);
		add(&sum, &c);
	}
	*ret_counters = sum;
}

const char *
tunnel_state_text(const struct tunnel *t, enum config_transport kind)
{
	const struct transport *tr = t->transports[kind];

	return tr == NULL ? "down" : tr->ops->state_text(tr);
}
