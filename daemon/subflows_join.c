/*
 * The client's half of subflows.h: what each leg should have, and the requests
 * that bring it there.
 */
#include "daemon/subflows_table.h"

#define RETRY_TICK (100 * NS_PER_MS)

/* So often a join may fail before an uplink without a place gets this one. */
enum { TRIES_OF_ONE = 4 };

/* MP_PRIO rides on a bare acknowledgement, which nobody sends again. */
enum { PRIORITY_REPEATS = 3 };

static const struct uplink *
uplink_of(const struct subflows *s, const struct subflow *sf)
{
	return uplinks_by_id(s->uplinks, sf->uplink);
}

/* On a usable uplink, and from an address that it still has. */
static bool
is_wanted(const struct subflows *s, const struct subflow *sf)
{
	const struct uplink *u = uplink_of(s, sf);
	const struct addr *a;

	if (u == NULL || !uplink_is_heard(u, TRANSPORT_MPTCP))
		return false;
	a = uplink_addr(u, sf->local.family);
	return a != NULL && addr_same_ip(a, &sf->local);
}

/*
 * Ends what should not be there. As long as nothing better is up nothing is
 * ended: one of them may be the first to work again.
 */
static bool
end_unwanted(struct subflows *s, struct leg_subflows *ls, ns_t now)
{
	bool complete = true, any_good = false;

	for (size_t i = 0; i < ls->n; i++)
		any_good |= ls->sf[i].state == SUBFLOW_UP && is_wanted(s, &ls->sf[i]);
	for (size_t i = 0; i < ls->n && any_good; i++) {
		if (ls->sf[i].state != SUBFLOW_NONE && !is_wanted(s, &ls->sf[i]))
			complete &= subflows_end(s, ls, &ls->sf[i], now);
	}
	return complete;
}

static bool
wants_backup(const struct uplink *u)
{
	return u->priority == PRIORITY_BACKUP;
}

static bool
set_backup(struct subflows *s, struct leg_subflows *ls, struct subflow *sf, bool backup)
{
	const struct mptcp_pm_request req = {
		.op = MPTCP_PM_SET_BACKUP,
		.token = ls->token,
		.cookie = subflows_cookie(ls, sf, MPTCP_PM_SET_BACKUP),
		.local = sf->local,
		.remote = sf->remote,
		.backup = backup,
	};

	if (mptcp_pm_send(s->pm, &req) < 0)
		return false;
	sf->backup = backup;
	return true;
}

static bool
set_priority(struct subflows *s, struct leg_subflows *ls, struct subflow *sf,
	     const struct uplink *u)
{
	bool is_new = sf->backup != wants_backup(u);

	if (!is_new && sf->repeats == 0)
		return true;
	if (!set_backup(s, ls, sf, wants_backup(u)))
		return false;
	s->counters.priority_set += is_new;
	sf->repeats = is_new ? PRIORITY_REPEATS : sf->repeats - 1;
	return sf->repeats == 0;
}

static bool
set_priorities(struct subflows *s, struct leg_subflows *ls)
{
	bool complete = true;

	for (size_t i = 0; i < ls->n; i++) {
		struct subflow *sf = &ls->sf[i];
		const struct uplink *u = uplink_of(s, sf);

		if (sf->state == SUBFLOW_UP && u != NULL)
			complete &= set_priority(s, ls, sf, u);
	}
	return complete;
}

static struct subflow *
find_by_uplink(struct leg_subflows *ls, uint8_t id)
{
	for (size_t i = 0; i < ls->n; i++) {
		if (ls->sf[i].uplink == id)
			return &ls->sf[i];
	}
	return NULL;
}

static bool
may_join(const struct subflow *sf, const struct uplink *u, ns_t now)
{
	return now >= sf->retry_at &&
	       (sf->lost_at == 0 ||
		u->hearing.by[TRANSPORT_MPTCP].heard_at > sf->lost_at);
}

static bool
join(struct subflows *s, struct leg_subflows *ls, struct subflow *sf,
     const struct uplink *u, ns_t now)
{
	const struct addr *local = uplink_addr(u, ls->remote.family);
	const struct mptcp_pm_request req = {
		.op = MPTCP_PM_SUBFLOW_CREATE,
		.token = ls->token,
		.cookie = subflows_cookie(ls, sf, MPTCP_PM_SUBFLOW_CREATE),
		.local = *local,
		.local_id = u->id,
		.remote = ls->remote,
		.ifindex = u->ifindex,
		.backup = wants_backup(u),
	};

	if (mptcp_pm_send(s->pm, &req) < 0)
		return false;
	sf->local = *local;
	sf->remote = ls->remote;
	sf->local_id = u->id;
	sf->remote_id = 0;
	sf->backup = req.backup;
	sf->repeats = 0;
	subflows_enter(sf, SUBFLOW_JOINING, now);
	return true;
}

/*
 * A place for `u`: a new one, or that of an uplink which cannot use it. It keeps
 * the time it has to wait, or two that fail would take turns without end.
 */
static struct subflow *
place_for(const struct subflows *s, struct leg_subflows *ls, const struct uplink *u)
{
	struct subflow *found = ls->n < SUBFLOWS_MAX ? subflows_place(ls) : NULL;

	for (size_t i = 0; i < ls->n && found == NULL; i++) {
		struct subflow *sf = &ls->sf[i];
		const struct uplink *owner = uplink_of(s, sf);

		if (sf->state == SUBFLOW_NONE &&
		    (owner == NULL || !uplink_is_heard(owner, TRANSPORT_MPTCP) ||
		     sf->failures >= TRIES_OF_ONE))
			found = sf;
	}
	if (found != NULL)
		*found = (struct subflow){.uplink = u->id, .retry_at = found->retry_at};
	return found;
}

static bool
join_over(struct subflows *s, struct leg_subflows *ls, const struct uplink *u, ns_t now)
{
	struct subflow *sf = find_by_uplink(ls, u->id);

	if (sf == NULL)
		sf = place_for(s, ls, u);
	/* More uplinks than a leg takes: the later ones stay out. */
	if (sf == NULL)
		return true;
	if (sf->state != SUBFLOW_NONE)
		return true;
	return may_join(sf, u, now) && join(s, ls, sf, u, now);
}

static bool
join_missing(struct subflows *s, struct leg_subflows *ls, ns_t now)
{
	bool complete = true;

	for (size_t i = 0; i < uplinks_count(s->uplinks); i++) {
		const struct uplink *u = uplinks_at(s->uplinks, i);

		if (uplink_is_heard(u, TRANSPORT_MPTCP) &&
		    uplink_addr(u, ls->remote.family) != NULL)
			complete &= join_over(s, ls, u, now);
	}
	return complete;
}

void
subflows_reconcile(struct subflows *s, struct leg_subflows *ls, ns_t now)
{
	bool complete;

	if (s->uplinks == NULL || s->pm == NULL)
		return;
	complete = end_unwanted(s, ls, now);
	complete &= set_priorities(s, ls);
	complete &= join_missing(s, ls, now);
	list_remove(&ls->wanting);
	if (complete)
		return;
	list_append(&s->wanting, &ls->wanting);
	if (!timer_is_set(&s->retry_timer))
		timer_set(&s->retry_timer, RETRY_TICK);
}

void
subflows_retry(void *arg)
{
	struct subflows *s = arg;
	ns_t now = loop_now(s->loop);
	struct list again;

	list_init(&again);
	list_splice(&again, &s->wanting);
	while (!list_empty(&again)) {
		struct list *first = again.next;

		list_remove(first);
		subflows_reconcile(s, list_entry(first, struct leg_subflows, wanting),
				   now);
	}
}
