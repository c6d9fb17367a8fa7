/*
 * choice - which transport carries a stream that leaves it open (`auto`).
 *
 * Model:   pure: what each transport says of itself, and what it has carried in
 *          its best second of late, decide; the first line that applies:
 *
 *	only one has a session                   that one
 *	none has                                 whichever has one first
 *	one is less than it could be             the other one
 *	CHOICE_TRIAL passed without one          a trial of the other, to measure it
 *	MPTCP's best second beats udp's by 1/4   kernel MPTCP
 *	else                                     udp: it fails over faster
 *
 * Units:   bytes, ns. A best second fades by half in about 7 minutes.
 * Source:  ARCHITECTURE.md, "Which transport".
 */
#ifndef DAEMON_CHOICE_H
#define DAEMON_CHOICE_H

#include "common/base.h"
#include "daemon/config.h"

#define CHOICE_SECOND NS_PER_SEC
#define CHOICE_TRIAL  (60 * NS_PER_SEC)

enum choice_reason {
	CHOICE_CONFIGURED, /* nobody chose */
	CHOICE_NEITHER,
	CHOICE_ONLY,
	CHOICE_SOUND,
	CHOICE_TRIED,
	CHOICE_FASTER,
	CHOICE_DEFAULT,
};

/* What a transport says of itself. */
struct transport_health {
	bool works;           /* a stream would not have to wait for a session */
	const char *handicap; /* why it does not, or less than it could; or NULL */
};

struct choice {
	struct {
		uint64_t total; /* bytes carried, when it was measured */
		uint64_t best;  /* bytes in its best second of late */
	} of[TRANSPORT_COUNT];
	ns_t measured_at; /* 0: never */
	ns_t tried_at;
};

/* Once a second or so: what each has carried in all. */
void choice_measure(struct choice *c, const uint64_t totals[TRANSPORT_COUNT], ns_t now);

/* Which one is better now, and why; trials are choice_take()'s. */
enum config_transport
choice_look(const struct choice *c, const struct transport_health of[TRANSPORT_COUNT],
	    enum choice_reason *ret_reason);
/* Which one is to carry a stream. */
enum config_transport
choice_take(struct choice *c, const struct transport_health of[TRANSPORT_COUNT],
	    enum choice_reason *ret_reason);

/* "it fails over faster": of the one that was chosen. */
const char *choice_reason_text(enum choice_reason r);

#endif
