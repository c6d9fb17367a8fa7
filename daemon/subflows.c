#include "daemon/subflows.h"

#include "common/log.h"
#include "daemon/io/tcp.h"
#include "daemon/subflows_table.h"

#include <stdlib.h>
#include <string.h>

/* A late REMOVE_ADDR on a slow path must not meet the next subflow of that id. */
#define REJOIN_AFTER NS_PER_SEC
#define BACKOFF_MAX  (60 * NS_PER_SEC)
/* Up for so long, a failure is the first one. */
#define PROVEN_AFTER (60 * NS_PER_SEC)

enum {
	SEGMENT = 1448,         /* bytes of a full packet, as cwnd counts */
	AHEAD_MIN = 200 * 1000, /* a near subflow takes nearly all of it at first */
	AHEAD_MAX = 64 * 1024 * 1024,
};

/* The table */

static struct list *
bucket(struct subflows *s, uint32_t token)
{
	return &s->by_token[token % SUBFLOWS_BUCKETS];
}

static struct leg_subflows *
find_leg(struct subflows *s, uint32_t token)
{
	list_for_each (it, bucket(s, token)) {
		struct leg_subflows *ls = list_entry(it, struct leg_subflows, by_token);

		if (ls->token == token)
			return ls;
	}
	return NULL;
}

struct subflow *
subflows_place(struct leg_subflows *ls)
{
	if (ls->n < SUBFLOWS_MAX)
		return &ls->sf[ls->n++];
	for (size_t i = 0; i < ls->n; i++) {
		if (ls->sf[i].state == SUBFLOW_NONE)
			return &ls->sf[i];
	}
	return NULL;
}

void
subflows_enter(struct subflow *sf, enum subflow_state next, ns_t now)
{
	assert(next != sf->state);
	assert(next != SUBFLOW_JOINING || sf->state == SUBFLOW_NONE);

	sf->state = next;
	sf->since = now;
	sf->delivered = 0;
	sf->progress_at = 0;
}

static struct subflow *
find_up(struct leg_subflows *ls, const struct addr *local, const struct addr *remote)
{
	for (size_t i = 0; i < ls->n; i++) {
		struct subflow *sf = &ls->sf[i];

		if (sf->state == SUBFLOW_UP && addr_equal(&sf->local, local) &&
		    (remote == NULL || addr_equal(&sf->remote, remote)))
			return sf;
	}
	return NULL;
}

/* Its port is not known before it is up. */
static struct subflow *
find_joining(struct leg_subflows *ls, const struct addr *local)
{
	for (size_t i = 0; i < ls->n; i++) {
		struct subflow *sf = &ls->sf[i];

		if (sf->state == SUBFLOW_JOINING && addr_same_ip(&sf->local, local))
			return sf;
	}
	return NULL;
}

static uint8_t
uplink_with(const struct subflows *s, const struct addr *local)
{
	for (size_t i = 0; s->uplinks != NULL && i < uplinks_count(s->uplinks); i++) {
		const struct uplink *u = uplinks_at(s->uplinks, i);
		const struct addr *a = uplink_addr(u, local->family);

		if (a != NULL && addr_same_ip(a, local))
			return u->id;
	}
	return 0;
}

/* Endings */

uint64_t
subflows_cookie(const struct leg_subflows *ls, const struct subflow *sf,
		enum mptcp_pm_op op)
{
	return (uint64_t)ls->token << 32 | (uint64_t)(sf - ls->sf) << 8 | op;
}

/* One that is still joining has a port all the same: the kernel knows it. */
static void
find_port(const struct leg_subflows *ls, struct addr *local)
{
	struct mptcp_info_all info;

	if (mptcp_info_get(ls->fd, &info) < 0)
		return;
	for (size_t i = 0; i < info.n_subflows; i++) {
		if (addr_same_ip(&info.subflows[i].local, local))
			*local = info.subflows[i].local;
	}
}

static int
ask_remove(struct subflows *s, const struct leg_subflows *ls, const struct subflow *sf)
{
	const struct mptcp_pm_request req = {
		.op = MPTCP_PM_REMOVE_ADDR,
		.token = ls->token,
		.cookie = subflows_cookie(ls, sf, MPTCP_PM_REMOVE_ADDR),
		.local_id = sf->local_id,
	};

	return mptcp_pm_send(s->pm, &req);
}

bool
subflows_end(struct subflows *s, struct leg_subflows *ls, struct subflow *sf, ns_t now)
{
	struct mptcp_pm_request req = {
		.op = MPTCP_PM_SUBFLOW_DESTROY,
		.token = ls->token,
		.cookie = subflows_cookie(ls, sf, MPTCP_PM_SUBFLOW_DESTROY),
		.local = sf->local,
		.remote = sf->remote,
	};

	if (s->uplinks != NULL && ask_remove(s, ls, sf) < 0)
		return false;
	if (req.local.port == 0)
		find_port(ls, &req.local);
	if (req.local.port != 0 && mptcp_pm_send(s->pm, &req) < 0)
		return false;
	sf->gone_port = req.local.port;
	sf->retry_at = max_ns(sf->retry_at, now + REJOIN_AFTER);
	subflows_enter(sf, SUBFLOW_NONE, now);
	return true;
}

static void
back_off(struct subflow *sf, ns_t now)
{
	if (sf->state == SUBFLOW_UP && now - sf->since >= PROVEN_AFTER)
		sf->failures = 0;
	sf->retry_at =
		now + min_ns(BACKOFF_MAX, NS_PER_SEC << min_size(sf->failures, 6));
	sf->failures++;
}

bool
subflows_end_dead(struct subflows *s, struct leg_subflows *ls, struct subflow *sf,
		  ns_t now)
{
	struct subflow before = *sf;

	back_off(sf, now);
	if (!subflows_end(s, ls, sf, now)) {
		*sf = before;
		return false;
	}
	sf->lost_at = now;
	return true;
}

void
subflows_failed(struct subflows *s, struct leg_subflows *ls, struct subflow *sf,
		ns_t now)
{
	if (sf->state == SUBFLOW_JOINING)
		s->counters.join_failed++;
	back_off(sf, now);
	/* The kernel keeps the address under its id, whatever the uplink gets next. */
	if (s->uplinks != NULL && s->pm != NULL && sf->local_id != 0)
		(void)!ask_remove(s, ls, sf);
	subflows_enter(sf, SUBFLOW_NONE, now);
}

/* Bringing the table in step with the kernel, where no events do */

static void
take_new(struct subflows *s, struct leg_subflows *ls,
	 const struct mptcp_subflow_info *k, ns_t now)
{
	struct subflow *sf = find_joining(ls, &k->local);

	if (sf == NULL)
		sf = subflows_place(ls);
	if (sf == NULL)
		return;
	if (sf->state == SUBFLOW_NONE)
		*sf = (struct subflow){.uplink = uplink_with(s, &k->local)};
	sf->local = k->local;
	sf->remote = k->remote;
	subflows_enter(sf, SUBFLOW_UP, now);
}

static bool
has_local(const struct mptcp_info_all *info, const struct subflow *sf)
{
	for (size_t i = 0; i < info->n_subflows; i++) {
		if (addr_same_ip(&info->subflows[i].local, &sf->local))
			return true;
	}
	return false;
}

static void
sync(struct subflows *s, struct leg_subflows *ls, const struct mptcp_info_all *info,
     ns_t now)
{
	for (size_t i = 0; i < ls->n; i++) {
		struct subflow *sf = &ls->sf[i];

		if ((sf->state == SUBFLOW_UP &&
		     subflows_watch_find(info, sf) == NULL) ||
		    (sf->state == SUBFLOW_JOINING && !has_local(info, sf)))
			subflows_failed(s, ls, sf, now);
	}
	for (size_t i = 0; i < info->n_subflows; i++) {
		const struct mptcp_subflow_info *k = &info->subflows[i];

		if (k->established && find_up(ls, &k->local, &k->remote) == NULL)
			take_new(s, ls, k, now);
	}
}

/* Looks */

static void
be_busy(struct subflows *s, struct leg_subflows *ls)
{
	if (!list_empty(&ls->busy))
		return;
	list_append(&s->busy, &ls->busy);
	if (!timer_is_set(&s->look_timer))
		timer_set(&s->look_timer, SUBFLOWS_TICK);
}

static void
bury(struct subflows *s, struct leg_subflows *ls, struct subflow *sf, ns_t now)
{
	struct subflow dead = *sf;

	if (s->pm == NULL) {
		/* Counted once a stall: the kernel alone decides. */
		sf->progress_at = now;
		s->counters.found_dead++;
		return;
	}
	if (!subflows_end_dead(s, ls, sf, now))
		return;
	s->counters.found_dead++;
	subflows_reconcile(s, ls, now);
	s->handler.on_dead(s->handler.arg, ls, &dead);
}

/*
 * What left and has no DATA_ACK, because it is under way or waits for what is. None
 * while losses are repaired: what waits for that needs no more company.
 */
static uint64_t
held(const struct leg_subflows *ls, const struct mptcp_info_all *info)
{
	int queued = tcp_unacked(ls->fd);
	uint64_t unsent = 0;

	for (size_t i = 0; i < info->n_subflows; i++) {
		if (info->subflows[i].lost > 0)
			return 0;
		unsent += info->subflows[i].unsent;
	}
	return queued > 0 && (uint64_t)queued > unsent ? (uint64_t)queued - unsent : 0;
}

/*
 * The kernel hands each subflow far more than it can send soon, up to its send
 * buffer. Two and a half windows of all keep every one of them busy, or where the
 * far ones keep the near ones waiting half a window more than is held, and half of
 * that again: room is told of when a third is free. So does what left since the last
 * look: fast subflows have small windows, and with less than the receive window they
 * stall, as a DATA_ACK may not come. The bound falls slowly: a window that is small
 * for a moment, as when BBR probes, proves nothing.
 */
static void
bound_ahead(struct leg_subflows *ls, const struct mptcp_info_all *info)
{
	uint64_t windows = 0, acked = 0, left, ahead;

	for (size_t i = 0; i < info->n_subflows; i++) {
		const struct mptcp_subflow_info *k = &info->subflows[i];

		windows += k->established ? (uint64_t)k->cwnd * SEGMENT : 0;
		acked += k->established ? k->bytes_acked : 0;
	}
	left = acked > ls->acked ? acked - ls->acked : 0;
	ls->acked = acked;
	ahead = max_u64(windows * 5 / 2, (held(ls, info) + windows / 2) * 3 / 2);
	ahead = max_u64(min_u64(max_u64(ahead, left), AHEAD_MAX), AHEAD_MIN);
	ahead = max_u64(ahead, ls->ahead - ls->ahead / 64);
	if (ahead >= ls->ahead && ahead - ls->ahead <= ls->ahead / 16)
		return;
	if (tcp_force_send_buffer(ls->fd, (size_t)ahead) == 0)
		ls->ahead = (size_t)ahead;
}

static void
look(struct subflows *s, struct leg_subflows *ls, ns_t now)
{
	struct mptcp_info_all info;
	struct subflow *dead;

	list_remove(&ls->busy);
	if (mptcp_info_get(ls->fd, &info) < 0)
		return;
	if (s->pm == NULL)
		sync(s, ls, &info, now);
	if (!subflows_watch_take(&s->watch, ls, &info, now))
		return;
	be_busy(s, ls);
	bound_ahead(ls, &info);
	dead = subflows_watch_dead(&s->watch, ls, &info, now);
	if (dead != NULL)
		bury(s, ls, dead, now);
}

static void
on_look(void *arg)
{
	struct subflows *s = arg;
	ns_t now = loop_now(s->loop);
	struct list due;

	/* A leg that is looked at again goes behind all others. */
	list_init(&due);
	list_splice(&due, &s->busy);
	for (int i = 0; i < SUBFLOWS_SAMPLE_MAX && !list_empty(&due); i++)
		look(s, list_entry(due.next, struct leg_subflows, busy), now);
	list_splice(&due, &s->busy);
	list_splice(&s->busy, &due);
	if (!list_empty(&s->busy))
		timer_set(&s->look_timer, SUBFLOWS_TICK);
}

void
subflows_sent(struct subflows *s, struct leg_subflows *ls)
{
	be_busy(s, ls);
}

/* Legs */

int
subflows_add(struct subflows *s, struct leg_subflows *ls, int fd,
	     const struct uplink *uplink)
{
	struct mptcp_info_all info;
	ns_t now = loop_now(s->loop);
	int err = mptcp_info_get(fd, &info);

	if (err < 0)
		return err;
	memset(ls, 0, sizeof(*ls));
	ls->fd = fd;
	ls->token = info.token;
	list_init(&ls->busy);
	list_init(&ls->wanting);
	list_append(&s->legs, &ls->node);
	list_append(bucket(s, ls->token), &ls->by_token);
	sync(s, ls, &info, now);
	if (ls->n > 0)
		ls->remote = ls->sf[0].remote;
	if (ls->n > 0 && uplink != NULL)
		ls->sf[0].uplink = uplink->id;
	subflows_reconcile(s, ls, now);
	return 0;
}

void
subflows_remove(struct subflows *s, struct leg_subflows *ls)
{
	(void)s;
	if (ls->node.next == NULL)
		return;
	list_remove(&ls->node);
	list_remove(&ls->by_token);
	list_remove(&ls->busy);
	list_remove(&ls->wanting);
	memset(ls, 0, sizeof(*ls));
}

/* News */

void
subflows_uplink_changed(struct subflows *s, const struct uplink *u)
{
	ns_t now = loop_now(s->loop);

	(void)u;
	list_for_each (it, &s->legs)
		subflows_reconcile(s, list_entry(it, struct leg_subflows, node), now);
}

void
subflows_peer_lost(struct subflows *s, struct leg_subflows *ls,
		   const struct addr *local)
{
	struct subflow *sf = find_up(ls, local, NULL);
	ns_t now = loop_now(s->loop);
	bool other = false;

	for (size_t i = 0; i < ls->n; i++)
		other |= &ls->sf[i] != sf && ls->sf[i].state == SUBFLOW_UP;
	if (sf == NULL || !other || s->pm == NULL || !subflows_end_dead(s, ls, sf, now))
		return;
	s->counters.peer_said_dead++;
	subflows_reconcile(s, ls, now);
}

void
subflows_on_result(struct subflows *s, const struct mptcp_pm_result *r)
{
	struct leg_subflows *ls = find_leg(s, (uint32_t)(r->cookie >> 32));
	size_t i = (r->cookie >> 8) & 0xff;
	enum mptcp_pm_op op = r->cookie & 0xff;
	ns_t now = loop_now(s->loop);

	if (ls == NULL || i >= ls->n)
		return;
	if (op != MPTCP_PM_SUBFLOW_CREATE || r->err == 0 ||
	    ls->sf[i].state != SUBFLOW_JOINING)
		return;
	log_debug("subflow not joined: uplink=%u reason=\"%s\"", ls->sf[i].uplink,
		  strerror(-r->err));
	subflows_failed(s, ls, &ls->sf[i], now);
	subflows_reconcile(s, ls, now);
}

static void
on_up(struct subflows *s, struct leg_subflows *ls, const struct mptcp_pm_event *ev)
{
	struct subflow *sf = find_joining(ls, &ev->local);
	ns_t now = loop_now(s->loop);

	if (sf == NULL) {
		if (find_up(ls, &ev->local, &ev->remote) != NULL)
			return; /* subflows_add() has seen it */
		sf = subflows_place(ls);
		if (sf == NULL)
			return;
		*sf = (struct subflow){.uplink = uplink_with(s, &ev->local)};
	}
	s->counters.joined++;
	sf->local = ev->local;
	sf->remote = ev->remote;
	sf->local_id = ev->local_id;
	sf->remote_id = ev->remote_id;
	if (s->uplinks == NULL)
		sf->backup = ev->backup;
	subflows_enter(sf, SUBFLOW_UP, now);
	be_busy(s, ls);
	subflows_reconcile(s, ls, now);
}

static void
on_down(struct subflows *s, struct leg_subflows *ls, const struct mptcp_pm_event *ev)
{
	struct subflow *sf = find_up(ls, &ev->local, &ev->remote);
	ns_t now = loop_now(s->loop);

	if (sf == NULL) {
		sf = find_joining(ls, &ev->local);
		if (sf != NULL && sf->gone_port == ev->local.port)
			return;
	}
	if (sf == NULL)
		return;
	subflows_failed(s, ls, sf, now);
	subflows_reconcile(s, ls, now);
}

static void
on_priority(struct subflows *s, struct leg_subflows *ls,
	    const struct mptcp_pm_event *ev)
{
	struct subflow *sf = find_up(ls, &ev->local, &ev->remote);

	if (sf != NULL && s->uplinks == NULL)
		sf->backup = ev->backup;
}

static void
look_at_all(struct subflows *s)
{
	ns_t now = loop_now(s->loop);
	struct mptcp_info_all info;

	list_for_each (it, &s->legs) {
		struct leg_subflows *ls = list_entry(it, struct leg_subflows, node);

		if (mptcp_info_get(ls->fd, &info) < 0)
			continue;
		sync(s, ls, &info, now);
		subflows_reconcile(s, ls, now);
	}
}

void
subflows_on_event(struct subflows *s, const struct mptcp_pm_event *ev)
{
	struct leg_subflows *ls;

	if (ev->type == MPTCP_PM_EVENT_OVERRUN) {
		look_at_all(s);
		return;
	}
	ls = find_leg(s, ev->token);
	if (ls == NULL)
		return;
	switch (ev->type) {
	case MPTCP_PM_EVENT_SUBFLOW_UP: on_up(s, ls, ev); break;
	case MPTCP_PM_EVENT_SUBFLOW_DOWN: on_down(s, ls, ev); break;
	case MPTCP_PM_EVENT_PRIORITY: on_priority(s, ls, ev); break;
	case MPTCP_PM_EVENT_CREATED:
	case MPTCP_PM_EVENT_ESTABLISHED:
	case MPTCP_PM_EVENT_CLOSED:
	case MPTCP_PM_EVENT_OVERRUN: break;
	}
}

const struct subflows_counters *
subflows_counters(const struct subflows *s)
{
	return &s->counters;
}

/* The object */

struct subflows *
subflows_new(struct loop *l, struct uplinks *uplinks,
	     const struct subflows_handler *handler)
{
	struct subflows *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->loop = l;
	s->uplinks = uplinks;
	s->handler = *handler;
	list_init(&s->legs);
	list_init(&s->busy);
	list_init(&s->wanting);
	for (size_t i = 0; i < SUBFLOWS_BUCKETS; i++)
		list_init(&s->by_token[i]);
	if (timer_init(&s->look_timer, l, on_look, s) < 0 ||
	    timer_init(&s->retry_timer, l, subflows_retry, s) < 0) {
		subflows_free(s);
		return NULL;
	}
	return s;
}

void
subflows_set_pm(struct subflows *s, struct mptcp_pm *pm)
{
	s->pm = pm;
}

void
subflows_free(struct subflows *s)
{
	if (s == NULL)
		return;
	timer_done(&s->look_timer);
	timer_done(&s->retry_timer);
	free(s);
}
