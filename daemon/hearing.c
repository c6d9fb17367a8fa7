#include "daemon/hearing.h"

#include "common/units.h"

#include <stdio.h>
#include <string.h>

/* In this order they are told. */
static const struct {
	enum config_transport by;
	const char *name;
} transports[] = {{TRANSPORT_UDP, "udp"}, {TRANSPORT_MPTCP, "mptcp"}};

bool
hearing_answered(struct hearing *h, enum config_transport by,
		 const struct hearing_answer *a)
{
	struct hearing_part *p = &h->by[by];
	bool changed = p->state != HEARING_ANSWERS || p->over_tcp != a->over_tcp;

	p->state = HEARING_ANSWERS;
	p->heard_at = a->at;
	p->srtt = a->srtt;
	p->over_tcp = a->over_tcp;
	p->why[0] = '\0';
	return changed;
}

bool
hearing_doubted(struct hearing *h, enum config_transport by, ns_t asked_at)
{
	struct hearing_part *p = &h->by[by];

	if (p->state != HEARING_ANSWERS)
		return false;
	p->state = HEARING_DOUBT;
	p->asked_at = asked_at;
	return true;
}

bool
hearing_silent(struct hearing *h, enum config_transport by, ns_t asked_at,
	       const char *why)
{
	struct hearing_part *p = &h->by[by];
	enum hearing_state before = p->state;

	snprintf(p->why, sizeof(p->why), "%s", why != NULL ? why : "");
	if (before == HEARING_ANSWERS)
		p->asked_at = asked_at;
	if (before != HEARING_NOTHING)
		p->state = HEARING_SILENCE;
	return p->state != before;
}

/* Whether it was heard since others asked in vain. */
static bool
is_fresh(const struct hearing *h, const struct hearing_part *p)
{
	for (size_t i = 0; i < TRANSPORT_COUNT; i++) {
		const struct hearing_part *other = &h->by[i];

		if ((other->state == HEARING_DOUBT ||
		     other->state == HEARING_SILENCE) &&
		    p->heard_at < other->asked_at)
			return false;
	}
	return true;
}

enum hearing_state
hearing_verdict(const struct hearing *h)
{
	bool doubt = false, silence = false;

	for (size_t i = 0; i < TRANSPORT_COUNT; i++) {
		const struct hearing_part *p = &h->by[i];

		if (p->state == HEARING_ANSWERS && is_fresh(h, p))
			return HEARING_ANSWERS;
		doubt |= p->state == HEARING_ANSWERS || p->state == HEARING_DOUBT;
		silence |= p->state == HEARING_SILENCE;
	}
	if (doubt)
		return HEARING_DOUBT;
	return silence ? HEARING_SILENCE : HEARING_NOTHING;
}

ns_t
hearing_srtt(const struct hearing *h)
{
	ns_t least = 0;

	for (size_t i = 0; i < TRANSPORT_COUNT; i++) {
		const struct hearing_part *p = &h->by[i];

		if (p->state == HEARING_ANSWERS && p->srtt != 0 &&
		    (least == 0 || p->srtt < least))
			least = p->srtt;
	}
	return least;
}

static size_t
put_answers(char *dst, size_t cap, const struct hearing_part *p)
{
	const char *how = p->over_tcp ? " over TCP" : "";

	if (p->srtt == 0)
		return (size_t)snprintf(dst, cap, "answers%s", how);
	return (size_t)snprintf(dst, cap, "answers%s, %s", how,
				units_format_duration(p->srtt).s);
}

static size_t
put_part(char *dst, size_t cap, const struct hearing_part *p, ns_t now)
{
	switch (p->state) {
	case HEARING_ANSWERS: return put_answers(dst, cap, p);
	case HEARING_NOTHING:
	case HEARING_SILENCE:
		if (p->why[0] != '\0')
			return (size_t)snprintf(dst, cap, "%s", p->why);
		break;
	case HEARING_DOUBT: break;
	}
	if (p->heard_at == 0)
		return (size_t)snprintf(dst, cap, "no answer yet");
	return (size_t)snprintf(dst, cap, "no answer for %s",
				units_format_duration(now - p->heard_at).s);
}

struct hearing_text
hearing_format(const struct hearing *h, ns_t now)
{
	struct hearing_text t;
	size_t len = 0;

	for (size_t i = 0; i < ARRAY_LEN(transports); i++) {
		len += (size_t)snprintf(t.s + len, sizeof(t.s) - len,
					"%s%s: ", i == 0 ? "" : "; ",
					transports[i].name);
		len += put_part(t.s + len, sizeof(t.s) - len, &h->by[transports[i].by],
				now);
	}
	/* Two of the longest fit, or this were cut. */
	assert(len < sizeof(t.s));
	return t;
}
