#include "daemon/subflows_watch.h"

#include <string.h>

/* A path on which others get through is given this many times as long. */
enum { PATIENCE_WITH_ONE = 5 };

const struct mptcp_subflow_info *
subflows_watch_find(const struct mptcp_info_all *info, const struct subflow *sf)
{
	for (size_t i = 0; i < info->n_subflows; i++) {
		if (addr_equal(&info->subflows[i].local, &sf->local) &&
		    addr_equal(&info->subflows[i].remote, &sf->remote))
			return &info->subflows[i];
	}
	return NULL;
}

static size_t
pair_index(const struct subflow *sf)
{
	uint32_t h = 2166136261; /* FNV-1a; collisions only cost precision */

	for (size_t i = 0; i < sizeof(sf->local.ip); i++)
		h = (h ^ sf->local.ip[i]) * 16777619;
	for (size_t i = 0; i < sizeof(sf->remote.ip); i++)
		h = (h ^ sf->remote.ip[i]) * 16777619;
	return h % WATCH_PAIRS_MAX;
}

static void
note_progress(struct subflows_watch *w, const struct subflow *sf, ns_t now)
{
	w->pairs[pair_index(sf)] = (struct watch_pair){sf->local, sf->remote, now};
}

static bool
others_get_through(const struct subflows_watch *w, const struct subflow *sf, ns_t since)
{
	const struct watch_pair *p = &w->pairs[pair_index(sf)];

	return p->progress_at > since && addr_same_ip(&p->local, &sf->local) &&
	       addr_same_ip(&p->remote, &sf->remote);
}

/* One figure more for `sf`; true while it has bytes in flight. */
static bool
take(struct subflows_watch *w, struct subflow *sf, const struct mptcp_subflow_info *k,
     ns_t now)
{
	/* Selective acknowledgements count: in recovery there are no others. */
	bool progress = k->delivered != sf->delivered;

	sf->delivered = k->delivered;
	if (progress)
		note_progress(w, sf, now);
	if (k->unacked == 0)
		sf->progress_at = 0;
	else if (sf->progress_at == 0)
		sf->progress_at = now;
	else if (progress)
		sf->progress_at = max_ns(sf->progress_at, now - k->since_ack);
	return k->unacked != 0;
}

bool
subflows_watch_take(struct subflows_watch *w, struct leg_subflows *ls,
		    const struct mptcp_info_all *info, ns_t now)
{
	bool in_flight = false;

	for (size_t i = 0; i < ls->n; i++) {
		struct subflow *sf = &ls->sf[i];
		const struct mptcp_subflow_info *k;

		if (sf->state != SUBFLOW_UP)
			continue;
		k = subflows_watch_find(info, sf);
		if (k != NULL)
			in_flight |= take(w, sf, k, now);
	}
	return in_flight;
}

static ns_t
stall_limit(const struct mptcp_subflow_info *k)
{
	ns_t limit = max_ns(3 * k->srtt, WATCH_STALL_MIN);

	if (k->in_flight >= WATCH_BULK)
		return limit;
	return max_ns(limit, min_ns(k->rto + k->srtt, WATCH_STALL_RTO));
}

static bool
has_stalled(const struct subflow *sf, const struct mptcp_subflow_info *k, ns_t now)
{
	return sf->progress_at != 0 && now - sf->progress_at >= stall_limit(k);
}

/* Whether another one could carry what `dead` does not. */
static bool
has_other(const struct leg_subflows *ls, const struct mptcp_info_all *info,
	  const struct subflow *dead, ns_t now)
{
	for (size_t i = 0; i < ls->n; i++) {
		const struct subflow *sf = &ls->sf[i];
		const struct mptcp_subflow_info *k;

		if (sf == dead || sf->state != SUBFLOW_UP)
			continue;
		k = subflows_watch_find(info, sf);
		if (k != NULL && !has_stalled(sf, k, now))
			return true;
	}
	return false;
}

static bool
is_dead(const struct subflows_watch *w, const struct subflow *sf,
	const struct mptcp_subflow_info *k, ns_t now)
{
	ns_t limit = stall_limit(k);

	if (!has_stalled(sf, k, now))
		return false;
	return !others_get_through(w, sf, now - limit) ||
	       now - sf->progress_at >= PATIENCE_WITH_ONE * limit;
}

struct subflow *
subflows_watch_dead(const struct subflows_watch *w, struct leg_subflows *ls,
		    const struct mptcp_info_all *info, ns_t now)
{
	for (size_t i = 0; i < ls->n; i++) {
		struct subflow *sf = &ls->sf[i];
		const struct mptcp_subflow_info *k;

		if (sf->state != SUBFLOW_UP)
			continue;
		k = subflows_watch_find(info, sf);
		if (k != NULL && is_dead(w, sf, k, now) && has_other(ls, info, sf, now))
			return sf;
	}
	return NULL;
}
