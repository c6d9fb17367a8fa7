#include "daemon/uplinks.h"

#include "common/log.h"

#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct slot {
	struct uplink uplink;
	bool changed; /* to be told in this turn */
	bool loud;    /* and worth a line in the log */
};

struct uplinks {
	struct loop *loop;
	const struct config *config;
	struct netmon *netmon;
	struct uplinks_handler handler;
	struct deferred tell;
	bool full_told;
	size_t n;
	struct slot slots[UPLINKS_MAX]; /* that of id i is at i - 1 */
};

static const char *const state_names[] = {
	[UPLINK_ABSENT] = "absent",
	[UPLINK_DOWN] = "down",
	[UPLINK_NO_ADDRESS] = "no-address",
	[UPLINK_PROBING] = "probing",
	[UPLINK_ACTIVE] = "active",
	[UPLINK_SUSPECT] = "suspect",
	[UPLINK_DEAD] = "dead",
	[UPLINK_OFF] = "off",
};

/* Changes are told at the end of the turn, never from inside a call. */

static void
log_state(const struct uplinks *us, const struct slot *slot)
{
	const struct uplink *u = &slot->uplink;
	__typeof__(log_info) *say = slot->loud ? log_info : log_debug;

	say("uplink %s: name=%s interface=%s priority=%s reason=\"%s\"",
	    uplink_state_name(u->state), u->name, u->interface,
	    config_priority_name(u->priority), uplink_reason(u, loop_now(us->loop)).s);
}

static void
tell_changes(struct deferred *d)
{
	struct uplinks *us = container_of(d, struct uplinks, tell);

	for (size_t i = 0; i < us->n; i++) {
		struct slot *slot = &us->slots[i];

		if (!slot->changed)
			continue;
		log_state(us, slot);
		slot->changed = false;
		slot->loud = false;
		us->handler.on_change(us->handler.arg, &slot->uplink);
	}
}

static void
note_change(struct uplinks *us, struct uplink *u, bool loud)
{
	struct slot *slot = container_of(u, struct slot, uplink);

	slot->changed = true;
	slot->loud |= loud;
	loop_defer(us->loop, &us->tell, tell_changes);
}

/* States */

static bool
is_edge(enum uplink_state from, enum uplink_state to)
{
	switch (to) {
	case UPLINK_ABSENT:
	case UPLINK_DOWN:
	case UPLINK_NO_ADDRESS:
	case UPLINK_PROBING:
	case UPLINK_OFF: return true;
	case UPLINK_ACTIVE:
		return from == UPLINK_PROBING || from == UPLINK_SUSPECT ||
		       from == UPLINK_DEAD;
	case UPLINK_SUSPECT: return from == UPLINK_ACTIVE || from == UPLINK_DEAD;
	case UPLINK_DEAD: return from == UPLINK_ACTIVE || from == UPLINK_SUSPECT;
	}
	return false;
}

static void
enter(struct uplinks *us, struct uplink *u, enum uplink_state next)
{
	assert(is_edge(u->state, next));

	u->state = next;
	u->state_at = loop_now(us->loop);
}

/* What the interface says. */
static void
enter_unheard(struct uplinks *us, struct uplink *u, enum uplink_state next,
	      const char *reason)
{
	snprintf(u->reason, sizeof(u->reason), "%.*s", (int)sizeof(u->reason) - 1,
		 reason);
	u->hearing = (struct hearing){0};
	enter(us, u, next);
	note_change(us, u, true);
}

bool
uplink_is_judged(const struct uplink *u)
{
	return u->state == UPLINK_PROBING || u->state == UPLINK_ACTIVE ||
	       u->state == UPLINK_SUSPECT || u->state == UPLINK_DEAD;
}

/* What the interface allows; PROBING stands for all that is judged by answers. */
static enum uplink_state
possible_state(const struct uplink *u, const struct netmon_interface *ifc,
	       struct errmsg *why)
{
	if (u->priority == PRIORITY_NEVER) {
		errmsg_set(why, 0, "priority is never");
		return UPLINK_OFF;
	}
	if (ifc == NULL) {
		errmsg_set(why, 0, "interface %s does not exist", u->interface);
		return UPLINK_ABSENT;
	}
	if (!ifc->up) {
		errmsg_set(why, 0, "interface %s is down", u->interface);
		return UPLINK_DOWN;
	}
	if (!ifc->carrier) {
		errmsg_set(why, 0, "no carrier on %s", u->interface);
		return UPLINK_DOWN;
	}
	if (u->v4.family == 0 && u->v6.family == 0) {
		errmsg_set(why, 0, "no address on %s", u->interface);
		return UPLINK_NO_ADDRESS;
	}
	why->text[0] = '\0'; /* for the transports to say */
	return UPLINK_PROBING;
}

/* Addresses */

static bool
is_public_v6(const struct addr *a)
{
	return (a->ip[0] & 0xe0) == 0x20; /* 2000::/3, RFC 4291, 2.4 */
}

static struct addr
pick_v4(const struct netmon_interface *ifc)
{
	for (size_t i = 0; i < ifc->n_addrs; i++) {
		if (ifc->addrs[i].family == AF_INET)
			return ifc->addrs[i];
	}
	return (struct addr){0};
}

/* A public one; else one of a private network; never a link-local one. */
static struct addr
pick_v6(const struct netmon_interface *ifc)
{
	struct addr other = {0};

	for (size_t i = 0; i < ifc->n_addrs; i++) {
		const struct addr *a = &ifc->addrs[i];

		if (a->family != AF_INET6 || a->scope != 0)
			continue;
		if (is_public_v6(a))
			return *a;
		if (other.family == 0)
			other = *a;
	}
	return other;
}

/* True: one that a subflow may be bound to is no longer there. */
static bool
replace_addr(struct addr *a, const struct addr *next, bool *changed)
{
	bool lost = a->family != 0 && !addr_equal(a, next);

	if (!addr_equal(a, next))
		*changed = true;
	*a = *next;
	return lost;
}

/* Brings the uplink in step with its interface. */
static void
refresh(struct uplinks *us, struct uplink *u)
{
	const struct netmon_interface *ifc = netmon_find(us->netmon, u->interface);
	const struct addr none = {0};
	struct addr v4 = ifc != NULL ? pick_v4(ifc) : none;
	struct addr v6 = ifc != NULL ? pick_v6(ifc) : none;
	int index = ifc != NULL ? ifc->index : 0;
	bool moved = u->ifindex != index, changed = moved;
	enum uplink_state possible;
	struct errmsg why;

	u->ifindex = index;
	moved |= replace_addr(&u->v4, &v4, &changed);
	moved |= replace_addr(&u->v6, &v6, &changed);
	if (changed)
		note_change(us, u, true);
	possible = possible_state(u, ifc, &why);
	if (possible == UPLINK_PROBING && uplink_is_judged(u) && !moved)
		return;
	if (possible == UPLINK_PROBING || possible != u->state ||
	    strcmp(why.text, u->reason) != 0)
		enter_unheard(us, u, possible, why.text);
}

/* The list */

static struct uplink *
add(struct uplinks *us, const char *name, const char *interface,
    enum config_priority priority)
{
	struct uplink *u;

	if (us->n == UPLINKS_MAX) {
		if (!us->full_told)
			log_warn("uplink left out: interface=%s reason=\"%d uplinks "
				 "are the most\"",
				 interface, UPLINKS_MAX);
		us->full_told = true;
		return NULL;
	}
	u = &us->slots[us->n++].uplink;
	u->id = (uint8_t)us->n;
	snprintf(u->name, sizeof(u->name), "%s", name);
	snprintf(u->interface, sizeof(u->interface), "%s", interface);
	u->priority = priority;
	u->state = UPLINK_ABSENT;
	return u;
}

static bool
matches(const char globs[][IF_NAMESIZE], size_t n, const char *interface)
{
	for (size_t i = 0; i < n; i++) {
		if (fnmatch(globs[i], interface, 0) == 0)
			return true;
	}
	return false;
}

static bool
is_interface_of_one(const struct uplinks *us, const char *interface)
{
	for (size_t i = 0; i < us->n; i++) {
		if (strcmp(us->slots[i].uplink.interface, interface) == 0)
			return true;
	}
	return false;
}

/* Interfaces that the globs allow and that are no uplink yet. */
static void
add_new_interfaces(struct uplinks *us)
{
	const struct config *c = us->config;

	for (size_t i = 0; i < netmon_count(us->netmon); i++) {
		const struct netmon_interface *ifc = netmon_at(us->netmon, i);

		if (!ifc->loopback &&
		    matches(c->uplinks_allow, c->n_uplinks_allow, ifc->name) &&
		    !matches(c->uplinks_deny, c->n_uplinks_deny, ifc->name) &&
		    !is_interface_of_one(us, ifc->name))
			add(us, ifc->name, ifc->name, PRIORITY_ALWAYS);
	}
}

void
uplinks_refresh(struct uplinks *us)
{
	add_new_interfaces(us);
	for (size_t i = 0; i < us->n; i++)
		refresh(us, &us->slots[i].uplink);
}

struct uplinks *
uplinks_new(struct loop *l, const struct config *c, struct netmon *m,
	    const struct uplinks_handler *handler, struct errmsg *why)
{
	struct uplinks *us = calloc(1, sizeof(*us));

	if (us == NULL) {
		errmsg_set(why, -ENOMEM, "no memory");
		return NULL;
	}
	us->loop = l;
	us->config = c;
	us->netmon = m;
	us->handler = *handler;
	for (size_t i = 0; i < c->n_uplinks; i++)
		add(us, c->uplinks[i].name, c->uplinks[i].interface,
		    c->uplinks[i].priority);
	uplinks_refresh(us);
	return us;
}

void
uplinks_free(struct uplinks *us)
{
	if (us == NULL)
		return;
	loop_undefer(&us->tell);
	free(us);
}

size_t
uplinks_count(const struct uplinks *us)
{
	return us->n;
}

struct uplink *
uplinks_at(struct uplinks *us, size_t i)
{
	assert(i < us->n);
	return &us->slots[i].uplink;
}

struct uplink *
uplinks_by_id(struct uplinks *us, uint8_t id)
{
	return id >= 1 && id <= us->n ? &us->slots[id - 1].uplink : NULL;
}

struct uplink *
uplinks_find(struct uplinks *us, const char *name_or_interface)
{
	/* A name that somebody chose wins over an interface of that name. */
	for (size_t i = 0; i < us->n; i++) {
		if (strcasecmp(us->slots[i].uplink.name, name_or_interface) == 0)
			return &us->slots[i].uplink;
	}
	for (size_t i = 0; i < us->n; i++) {
		if (strcmp(us->slots[i].uplink.interface, name_or_interface) == 0)
			return &us->slots[i].uplink;
	}
	return NULL;
}

bool
uplink_is_heard(const struct uplink *u, enum config_transport by)
{
	return u->hearing.by[by].state == HEARING_ANSWERS;
}

const struct addr *
uplink_addr(const struct uplink *u, uint8_t family)
{
	const struct addr *a = family == AF_INET6 ? &u->v6 : &u->v4;

	return a->family == family && family != 0 ? a : NULL;
}

const char *
uplink_state_name(enum uplink_state s)
{
	return state_names[s];
}

void
uplinks_set_priority(struct uplinks *us, struct uplink *u, enum config_priority p)
{
	if (u->priority == p)
		return;
	u->priority = p;
	note_change(us, u, true);
	refresh(us, u);
}

struct hearing_text
uplink_reason(const struct uplink *u, ns_t now)
{
	struct hearing_text t;

	if (uplink_is_judged(u))
		return hearing_format(&u->hearing, now);
	snprintf(t.s, sizeof(t.s), "%s", u->reason);
	return t;
}

static enum uplink_state
state_by(enum hearing_state verdict)
{
	switch (verdict) {
	case HEARING_NOTHING: return UPLINK_PROBING;
	case HEARING_ANSWERS: return UPLINK_ACTIVE;
	case HEARING_DOUBT: return UPLINK_SUSPECT;
	case HEARING_SILENCE: return UPLINK_DEAD;
	}
	return UPLINK_DEAD;
}

/* A transport said something. Doubts come and go: they are not for the log. */
static void
conclude(struct uplinks *us, struct uplink *u, bool changed, bool loud)
{
	enum uplink_state next = state_by(hearing_verdict(&u->hearing));

	if (next != u->state)
		enter(us, u, next);
	else if (!changed)
		return;
	note_change(us, u, loud);
}

void
uplinks_heard(struct uplinks *us, struct uplink *u, enum config_transport by,
	      const struct hearing_answer *a)
{
	bool was_in_doubt = u->hearing.by[by].state == HEARING_DOUBT;

	if (uplink_is_judged(u))
		conclude(us, u, hearing_answered(&u->hearing, by, a), !was_in_doubt);
}

void
uplinks_doubted(struct uplinks *us, struct uplink *u, enum config_transport by,
		ns_t asked_at)
{
	if (uplink_is_judged(u))
		conclude(us, u, hearing_doubted(&u->hearing, by, asked_at), false);
}

void
uplinks_silent(struct uplinks *us, struct uplink *u, enum config_transport by,
	       ns_t asked_at, const char *why)
{
	if (uplink_is_judged(u))
		conclude(us, u, hearing_silent(&u->hearing, by, asked_at, why), true);
}
