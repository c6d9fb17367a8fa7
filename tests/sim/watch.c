#include "tests/sim/watch.h"

#include "daemon/core/session_parts.h"
#include "daemon/core/subflow.h"
#include "daemon/core/wire.h"
#include "tests/sim/nat.h"

#include <string.h>

enum {
	AMPLIFICATION = 3,
	STEPS_BETWEEN = 16, /* between two looks at every packet in flight */
};

void
watch_init(struct watch *w, const struct session *client, const struct session *server)
{
	memset(w, 0, sizeof(*w));
	w->s[SIM_CLIENT] = client;
	w->s[SIM_SERVER] = server;
}

void
watch_begin(struct watch *w, enum sim_side side)
{
	session_stats_get(w->s[side], &w->before);
}

/* Addresses */

static struct watch_address *
address(struct watch *w, const struct addr *at)
{
	struct watch_address *a;

	for (unsigned i = w->n_addresses; i > 0; i--) {
		if (addr_equal(&w->addresses[i - 1].at, at))
			return &w->addresses[i - 1];
	}
	if (w->n_addresses == WATCH_ADDRESSES_MAX)
		return NULL;
	a = &w->addresses[w->n_addresses++];
	a->at = *at;
	return a;
}

static const char *
check_address(struct watch *w, const struct subflow *sf, const struct burst *b)
{
	struct watch_address *a = address(w, &b->remote);

	if (a == NULL)
		return "more addresses than the watch remembers";
	a->proven |= sf->proven && addr_equal(&sf->remote, &b->remote);
	if (a->proven && nat_link_of(&a->at) < 0)
		return "an address that is not the client's is proven";
	a->out += b->len;
	if (!a->proven && a->out > AMPLIFICATION * a->in)
		return "more than three times the bytes to an unproven address";
	return NULL;
}

const char *
watch_heard(struct watch *w, enum sim_side side, const struct burst *b)
{
	struct session_stats now;
	struct watch_address *a;

	session_stats_get(w->s[side], &now);
	if (side == SIM_CLIENT || now.packets_in == w->before.packets_in)
		return NULL;
	a = address(w, &b->remote);
	if (a == NULL)
		return "more addresses than the watch remembers";
	a->in += now.bytes_in - w->before.bytes_in;
	return NULL;
}

/* What goes out */

static const char *
check_headers(struct watch *w, enum sim_side side, const struct burst *b,
	      const struct subflow **ret_sf)
{
	for (size_t at = 0; at < b->len; at += b->packet) {
		size_t len = min_size(b->packet, b->len - at);
		struct packet_header h;
		uint64_t *next;

		if (packet_header_get(b->data + at, len, &h) < 0)
			return "what goes out is no packet";
		*ret_sf = session_subflow(w->s[side], h.subflow);
		if (*ret_sf == NULL)
			return "a packet of a subflow that is not there";
		next = &w->counters[side][h.subflow];
		if (h.counter < *next)
			return "a counter was used twice";
		*next = (uint64_t)h.counter + 1;
		if (h.generation != w->generation[side] &&
		    h.generation != (w->generation[side] + 1) % REKEY_GENERATIONS)
			return "a generation of keys that is not the next one";
		w->generation[side] = h.generation;
	}
	return NULL;
}

static bool
has_better(const struct session *s, const struct subflow *sf)
{
	uint8_t tier = max_u64(sf->tier, sf->tier_peer);

	for (uint8_t id = 1; id < SESSION_SUBFLOWS_MAX; id++) {
		const struct subflow *other = session_subflow(s, id);

		if (other == NULL || other == sf || other->state != SUBFLOW_ACTIVE)
			continue;
		if (sf->state != SUBFLOW_ACTIVE)
			return true;
		if (tier == TIER_BACKUP &&
		    max_u64(other->tier, other->tier_peer) < TIER_BACKUP)
			return true;
	}
	return false;
}

const char *
watch_sent(struct watch *w, enum sim_side side, const struct burst *b)
{
	const struct subflow *sf = NULL;
	struct session_stats now;
	const char *wrong;

	if (b->len == 0)
		return NULL;
	wrong = check_headers(w, side, b, &sf);
	if (wrong != NULL)
		return wrong;
	session_stats_get(w->s[side], &now);
	if (now.stream_bytes_out + now.resent !=
		    w->before.stream_bytes_out + w->before.resent &&
	    (sf->state == SUBFLOW_ENDED || has_better(w->s[side], sf)))
		return sf->state == SUBFLOW_ACTIVE ? "data on a backup beside others"
						   : "data on a subflow in doubt";
	return side == SIM_SERVER ? check_address(w, sf, b) : NULL;
}

/* Sums */

static const char *
check_flight(const struct session *s)
{
	for (uint8_t id = 1; id < SESSION_SUBFLOWS_MAX; id++) {
		const struct subflow *sf = session_subflow(s, id);
		uint64_t sum = 0;

		if (sf == NULL)
			continue;
		for (const struct sent *p = loss_oldest(&sf->loss); p != NULL;
		     p = loss_after(&sf->loss, p))
			sum += p->size;
		if (sum != sf->loss.in_flight)
			return "the bytes in flight do not add up";
	}
	return NULL;
}

static const char *
check_sums(const struct session *s)
{
	if (s->held_in.used > s->held_in.max || s->held_out.used > s->held_out.max)
		return "more memory than the budget has";
	if (s->in_total > s->in_limit || s->in_consumed > s->in_total)
		return "more bytes came than the window has, or were consumed";
	if (s->out_total > s->out_limit)
		return "more bytes went out than the window has";
	return NULL;
}

const char *
watch_step(struct watch *w)
{
	uint64_t behind = w->s[SIM_CLIENT]->rekey.turns - w->s[SIM_SERVER]->rekey.turns;
	bool look = w->steps++ % STEPS_BETWEEN == 0;

	if (behind > 1)
		return "both sides have got new keys in another order";

	for (int side = 0; side < 2; side++) {
		const char *wrong = check_sums(w->s[side]);

		if (wrong == NULL && look)
			wrong = check_flight(w->s[side]);
		if (wrong != NULL)
			return wrong;
	}
	return NULL;
}

const char *
watch_end(const struct watch *w)
{
	for (int side = 0; side < 2; side++) {
		const struct session *s = w->s[side], *peer = w->s[1 - side];

		if (s->n_streams > 0)
			return "a stream stays for ever";
		if (s->held_in.used > 0 || s->held_out.used > 0)
			return "memory is held for nobody";
		if (s->in_total != peer->out_total)
			return "the windows of both sides have counted differently";
		if (s->in_consumed != s->in_total)
			return "bytes of the window were not given back";
	}
	return check_flight(w->s[SIM_CLIENT]) != NULL
		       ? "the client's bytes in flight do not add up"
		       : check_flight(w->s[SIM_SERVER]);
}
