#include "daemon/core/session_addr.h"

#include "daemon/core/join.h"
#include "daemon/core/session_packet.h"

#include <string.h>

#define AGAIN_MIN NS_PER_SEC
#define AGAIN_MAX (60 * NS_PER_SEC)

static struct addrs_entry *
find(struct session *s, uint8_t id)
{
	for (size_t i = 0; i < SESSION_ADDRS_MAX; i++) {
		if (s->addrs.at[i].addr.id == id)
			return &s->addrs.at[i];
	}
	return NULL;
}

static bool
is_gone(const struct session *s, uint8_t id)
{
	return (s->addrs.gone[id / 8] & 1u << id % 8) != 0;
}

static void
set_gone(struct session *s, uint8_t id)
{
	s->addrs.gone[id / 8] |= (uint8_t)(1u << id % 8);
}

static void
say(struct session *s, struct addrs_entry *e, uint8_t word)
{
	e->word = word;
	s->addrs.talks = true;
}

/* The server speaks. */
static int
hmac(const struct session *s, const struct session_addr *a, uint8_t ret_mac[8])
{
	return join_addr_hmac(s->key_b, s->key_a, a->id, &a->at, ret_mac);
}

/* Server */

int
session_advertise(struct session *s, uint8_t id, const struct addr *at)
{
	struct addrs_entry *e = find(s, 0);

	assert(s->cfg.role == SESSION_SERVER && id != 0);
	if (is_gone(s, id) || find(s, id) != NULL)
		return -EEXIST;
	if (e == NULL)
		return -ENOSPC;
	*e = (struct addrs_entry){.addr = {id, *at}, .gap = AGAIN_MIN};
	e->say_at = NS_NEVER;
	say(s, e, FRAME_ADD_ADDR);
	return 0;
}

void
session_withdraw(struct session *s, uint8_t id)
{
	struct addrs_entry *e = find(s, id);

	assert(s->cfg.role == SESSION_SERVER && id != 0);
	if (e == NULL || e->leaves)
		return;
	set_gone(s, id);
	e->leaves = true;
	e->say_at = NS_NEVER;
	say(s, e, FRAME_REMOVE_ADDR);
}

static void
on_echo(struct session *s, const struct frame_addr *f)
{
	struct addrs_entry *e = find(s, f->id);

	if (e == NULL || e->leaves || !addr_equal(&e->addr.at, &f->addr))
		return;
	e->say_at = NS_NEVER;
	e->word = 0;
}

ns_t
session_addrs_deadline(const struct session *s)
{
	ns_t at = NS_NEVER;

	for (size_t i = 0; i < SESSION_ADDRS_MAX; i++) {
		if (s->addrs.at[i].addr.id != 0)
			at = min_ns(at, s->addrs.at[i].say_at);
	}
	return at;
}

void
session_addrs_expire(struct session *s, ns_t now)
{
	for (size_t i = 0; i < SESSION_ADDRS_MAX; i++) {
		struct addrs_entry *e = &s->addrs.at[i];

		if (e->addr.id == 0 || e->say_at > now)
			continue;
		e->say_at = NS_NEVER;
		say(s, e, FRAME_ADD_ADDR);
	}
}

/* Client */

size_t
session_addrs(const struct session *s, struct session_addr ret_addrs[SESSION_ADDRS_MAX])
{
	size_t n = 0;

	for (size_t i = 0; i < SESSION_ADDRS_MAX; i++) {
		if (s->addrs.at[i].addr.id != 0)
			ret_addrs[n++] = s->addrs.at[i].addr;
	}
	return n;
}

static bool
leads_to(const struct subflow *sf, const struct addr *at)
{
	return at->port != 0 ? addr_equal(&sf->remote, at)
			     : addr_same_ip(&sf->remote, at);
}

/* Whoever is alive there stays; who does not answer in time may go. */
static void
ask(struct subflow *sf, ns_t now)
{
	sf->end.leave_at = now + SUBFLOW_DEAD_AFTER;
	if (sf->state == SUBFLOW_DEAD && sf->probe_at != NS_NEVER)
		subflow_probe(sf, now);
	else
		sf->words |= SUBFLOW_PING;
}

static void
each_subflow(struct session *s, const struct addr *at, bool leaves, ns_t now)
{
	session_for_each (sf, s) {
		if (!leads_to(sf, at))
			continue;
		sf->end.leave_at = NS_NEVER;
		if (leaves)
			ask(sf, now);
	}
}

static void
on_add(struct session *s, const struct frame_addr *f, ns_t now)
{
	const struct session_addr a = {f->id, f->addr};
	struct addrs_entry *e = find(s, a.id);
	uint8_t mac[8];

	if (a.id == 0 || hmac(s, &a, mac) < 0 ||
	    !crypto_equal(mac, f->hmac, sizeof(mac)) ||
	    (e != NULL && !addr_equal(&e->addr.at, &a.at))) {
		s->stats.addrs_refused++;
		return;
	}
	/* A late one. */
	if (is_gone(s, a.id))
		return;
	if (e == NULL) {
		e = find(s, 0);
		if (e == NULL) {
			s->stats.addrs_refused++;
			return;
		}
		*e = (struct addrs_entry){.addr = a, .say_at = NS_NEVER};
		each_subflow(s, &a.at, false, now);
	}
	say(s, e, FRAME_ADD_ADDR_ECHO);
}

static void
on_remove(struct session *s, uint8_t id, ns_t now)
{
	struct addrs_entry *e = find(s, id);

	if (id == 0)
		return;
	set_gone(s, id);
	if (e == NULL)
		return;
	each_subflow(s, &e->addr.at, true, now);
	memset(e, 0, sizeof(*e));
}

/* Both */

void
session_on_addr(struct session *s, const struct frame *f, ns_t now)
{
	bool client = s->cfg.role == SESSION_CLIENT;

	if (f->type == FRAME_ADD_ADDR && client)
		on_add(s, &f->addr, now);
	else if (f->type == FRAME_REMOVE_ADDR && client)
		on_remove(s, f->addr.id, now);
	else if (f->type == FRAME_ADD_ADDR_ECHO && !client)
		on_echo(s, &f->addr);
	else
		s->stats.addrs_refused++;
}

/* False: the packet is full. */
static bool
put(struct session *s, struct outbound *p, struct addrs_entry *e)
{
	struct frame f = {.type = e->word};

	f.addr.id = e->addr.id;
	f.addr.addr = e->addr.at;
	if (e->word == FRAME_ADD_ADDR && hmac(s, &e->addr, f.addr.hmac) < 0)
		return true;
	if (!packet_has_items(p) || !packet_put(p, &f))
		return false;
	p->sent.wants_ack = true;
	if (e->word == FRAME_ADD_ADDR) {
		e->say_at = s->now + e->gap;
		e->gap = min_ns(2 * e->gap, AGAIN_MAX);
	} else if (e->word == FRAME_REMOVE_ADDR) {
		packet_note(p, (struct item){.kind = ITEM_REMOVE_ADDR,
					     .stream = e->addr.id});
	}
	e->word = 0;
	return true;
}

void
packet_put_addrs(struct session *s, struct outbound *p)
{
	for (size_t i = 0; i < SESSION_ADDRS_MAX; i++) {
		struct addrs_entry *e = &s->addrs.at[i];

		if (e->addr.id != 0 && e->word != 0 && !put(s, p, e))
			return;
	}
	s->addrs.talks = false;
}

void
session_addr_fate(struct session *s, uint8_t id, bool arrived)
{
	struct addrs_entry *e = find(s, id);

	if (e == NULL || !e->leaves)
		return;
	if (arrived)
		memset(e, 0, sizeof(*e));
	else
		say(s, e, FRAME_REMOVE_ADDR);
}
