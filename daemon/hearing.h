/*
 * hearing - which transports hear the server over one uplink.
 *
 * Model:   each transport asks the server over the uplink, and says what came of
 *          it. The verdict over all of them:
 *
 *	           any answers
 *	NOTHING -------------> ANSWERS <------------+
 *	                        |   ^               | any answers
 *	          asked in vain |   | any answers   |
 *	                        v   |               |
 *	                       DOUBT ----------> SILENCE
 *	                               all of them are silent
 *
 *          An answer that is older than a question which another transport
 *          asked in vain proves nothing: that one has to ask again.
 * Owner:   all zero is an uplink over which nobody was heard yet. Each transport
 *          writes its own part.
 */
#ifndef DAEMON_HEARING_H
#define DAEMON_HEARING_H

#include "common/base.h"
#include "daemon/config.h"

enum hearing_state {
	HEARING_NOTHING, /* not heard yet */
	HEARING_ANSWERS,
	HEARING_DOUBT, /* what was asked should have been answered by now */
	HEARING_SILENCE,
};

/* What came of it, from one transport. */
struct hearing_part {
	enum hearing_state state;
	ns_t asked_at; /* in vain; DOUBT and SILENCE */
	ns_t heard_at; /* the last answer; 0: none */
	ns_t srtt;     /* 0: not measured yet */
	bool over_tcp; /* udp: its datagrams go over a TCP connection */
	char why[80];  /* NOTHING and SILENCE: other than plain silence; "" */
};

struct hearing {
	struct hearing_part by[TRANSPORT_COUNT];
};

struct hearing_answer {
	ns_t at, srtt;
	bool over_tcp;
};

/* These three return whether the part has got another state. */
bool hearing_answered(struct hearing *h, enum config_transport by,
		      const struct hearing_answer *a);
/* Only where there were answers. */
bool hearing_doubted(struct hearing *h, enum config_transport by, ns_t asked_at);
/* `why` NULL: nothing but silence. Where nothing was heard yet that stays so. */
bool hearing_silent(struct hearing *h, enum config_transport by, ns_t asked_at,
		    const char *why);

enum hearing_state hearing_verdict(const struct hearing *h);
/* The least round trip of those that answer; 0: none does, or not measured. */
ns_t hearing_srtt(const struct hearing *h);

struct hearing_text {
	char s[256];
};
/* "udp: answers, 31 ms; mptcp: no answer for 3 s" */
struct hearing_text hearing_format(const struct hearing *h, ns_t now);

#endif
