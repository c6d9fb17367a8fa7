#include "daemon/udp_carriers.h"

#include "daemon/core/wire.h"

#include <stdlib.h>

struct udp_carrier {
	struct list node; /* of its bucket */
	struct udp_carriers *all;
	struct carrier carrier;
	struct addr local, remote;
	uint32_t via, session;
	ns_t heard_at;
	struct deferred bury;
};

static struct list *
bucket(struct udp_carriers *cs, uint32_t via)
{
	return &cs->by_via[via % UDP_CARRIER_BUCKETS];
}

static struct udp_carrier *
find(struct udp_carriers *cs, uint32_t via)
{
	list_for_each (it, bucket(cs, via)) {
		struct udp_carrier *uc = list_entry(it, struct udp_carrier, node);

		if (uc->via == via)
			return uc;
	}
	return NULL;
}

static void
bury(struct deferred *d)
{
	free(container_of(d, struct udp_carrier, bury));
}

/* Freed at the end of the turn: its own callback may be running. */
static void
end(struct udp_carrier *uc)
{
	carrier_done(&uc->carrier);
	list_remove(&uc->node);
	loop_defer(uc->all->loop, &uc->bury, bury);
}

static void
on_datagram(void *arg, uint8_t *data, size_t len)
{
	struct udp_carrier *uc = arg;
	const struct burst b = {
		.local = uc->local,
		.remote = uc->remote,
		.via = uc->via,
		.data = data,
		.len = len,
		.packet = len,
	};
	struct packet_header h;

	uc->heard_at = loop_now(uc->all->loop);
	if (packet_header_get(data, len, &h) == 0 && h.session == uc->session)
		uc->all->on_burst(uc->all->arg, &b);
}

static void
on_end(void *arg, int err)
{
	(void)err;
	end(arg);
}

/* The session has as many as it may: the one silent longest makes room. */
static void
make_room(struct udp_carriers *cs, uint32_t session)
{
	struct udp_carrier *oldest = NULL;
	unsigned n = 0;

	for (size_t i = 0; i < UDP_CARRIER_BUCKETS; i++) {
		list_for_each (it, &cs->by_via[i]) {
			struct udp_carrier *uc =
				list_entry(it, struct udp_carrier, node);

			if (uc->session != session)
				continue;
			n++;
			if (oldest == NULL || uc->heard_at < oldest->heard_at)
				oldest = uc;
		}
	}
	if (n >= UDP_CARRIERS_OF_SESSION)
		end(oldest);
}

uint32_t
udp_carriers_next(const struct udp_carriers *cs)
{
	return cs->last_via == UINT32_MAX ? 1 : cs->last_via + 1;
}

int
udp_carriers_take(struct udp_carriers *cs, uint32_t session, const struct door_knock *k,
		  const struct addr *local)
{
	const struct carrier_early early = {k->rest, k->rest_len};
	struct udp_carrier *uc = calloc(1, sizeof(*uc));
	const struct carrier_handler h = {NULL, on_datagram, on_end, uc};
	int err = -ENOMEM;

	/* The session has heard of this number: nobody else may get it. */
	cs->last_via = udp_carriers_next(cs);
	if (uc != NULL)
		err = carrier_take(&uc->carrier, cs->loop, k->fd, &early, &h);
	if (err < 0) {
		free(uc);
		return err;
	}
	make_room(cs, session);
	uc->all = cs;
	uc->via = cs->last_via;
	uc->session = session;
	uc->local = *local;
	uc->remote = k->remote;
	uc->heard_at = loop_now(cs->loop);
	list_append(bucket(cs, uc->via), &uc->node);
	return 0;
}

void
udp_carriers_send(struct udp_carriers *cs, const struct burst *b)
{
	struct udp_carrier *uc = find(cs, b->via);

	if (uc != NULL)
		carrier_send(&uc->carrier, b->data, b->len, b->packet);
}

/* Those of this session, or silent since before `since`. */
static void
end_some(struct udp_carriers *cs, uint32_t session, ns_t since)
{
	for (size_t i = 0; i < UDP_CARRIER_BUCKETS; i++) {
		list_for_each_safe (it, &cs->by_via[i]) {
			struct udp_carrier *uc =
				list_entry(it, struct udp_carrier, node);

			if (uc->session == session || uc->heard_at < since)
				end(uc);
		}
	}
}

void
udp_carriers_expire(struct udp_carriers *cs, ns_t now)
{
	end_some(cs, UINT32_MAX, now - UDP_CARRIER_SILENT);
}

void
udp_carriers_end(struct udp_carriers *cs, uint32_t session)
{
	end_some(cs, session, 0);
}

void
udp_carriers_init(struct udp_carriers *cs, struct loop *l,
		  void (*on_burst)(void *arg, const struct burst *b), void *arg)
{
	cs->loop = l;
	cs->on_burst = on_burst;
	cs->arg = arg;
	cs->last_via = 0;
	for (size_t i = 0; i < UDP_CARRIER_BUCKETS; i++)
		list_init(&cs->by_via[i]);
}

void
udp_carriers_done(struct udp_carriers *cs)
{
	end_some(cs, UINT32_MAX, INT64_MAX);
}
