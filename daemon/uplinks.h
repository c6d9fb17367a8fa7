/*
 * uplinks - the interfaces that may be used, their policy and their state.
 *
 * Model:   an uplink per [uplink NAME], and one per interface that [uplinks]
 *          allow matches; netmon tells what the interface can do, each
 *          transport whether it hears the server over it (hearing.h).
 *
 *	           interface there   up and carrier    has an address
 *	  ABSENT ----------------> DOWN -----------> NO_ADDRESS ------> PROBING
 *	                                                   any hears it  |
 *	                                                                 v
 *	  OFF: priority never, whatever the rest      DEAD <- SUSPECT <-> ACTIVE
 *
 *          DEAD -> ACTIVE when it is heard again. Any state goes back to the
 *          left when the interface does.
 * Owner:   uplinks live as long as the daemon; their ids are never reused.
 */
#ifndef DAEMON_UPLINKS_H
#define DAEMON_UPLINKS_H

#include "common/addr.h"
#include "daemon/config.h"
#include "daemon/hearing.h"
#include "daemon/io/loop.h"
#include "daemon/io/netmon.h"

enum uplink_state {
	UPLINK_ABSENT,
	UPLINK_DOWN,
	UPLINK_NO_ADDRESS,
	UPLINK_PROBING,
	UPLINK_ACTIVE,
	UPLINK_SUSPECT,
	UPLINK_DEAD,
	UPLINK_OFF,
};

struct uplink {
	uint8_t id; /* 1 to UPLINKS_MAX; also its MPTCP address id */
	char name[NAME_MAX_LEN];
	char interface[IF_NAMESIZE];
	int ifindex;        /* 0: absent */
	struct addr v4, v6; /* what a subflow is bound to; family 0: none */
	enum config_priority priority;
	enum uplink_state state;
	ns_t state_at;
	char reason[96];        /* of a state before PROBING, in plain words */
	struct hearing hearing; /* what the others come from */
};

struct uplinks;

struct uplinks_handler {
	/* State, addresses, priority or who hears `u` changed; not from inside a
	 * call. */
	void (*on_change)(void *arg, struct uplink *u);
	void *arg;
};

struct uplinks *uplinks_new(struct loop *l, const struct config *c, struct netmon *m,
			    const struct uplinks_handler *handler, struct errmsg *why);
void uplinks_free(struct uplinks *us);

size_t uplinks_count(const struct uplinks *us);
struct uplink *uplinks_at(struct uplinks *us, size_t i);
struct uplink *uplinks_by_id(struct uplinks *us, uint8_t id); /* or NULL */
struct uplink *uplinks_find(struct uplinks *us, const char *name_or_interface);

/* The interface is fit; the server's answers say what the uplink is. */
bool uplink_is_judged(const struct uplink *u);
/* This transport hears the server over it, and so may use it. */
bool uplink_is_heard(const struct uplink *u, enum config_transport by);
/* Its address of that family, port 0, or NULL. */
const struct addr *uplink_addr(const struct uplink *u, uint8_t family);
const char *uplink_state_name(enum uplink_state s); /* "no-address" */
/* Why it is in its state, in plain words. */
struct hearing_text uplink_reason(const struct uplink *u, ns_t now);

void uplinks_set_priority(struct uplinks *us, struct uplink *u, enum config_priority p);

/* What a transport hears over `u`; see hearing.h. */
void uplinks_heard(struct uplinks *us, struct uplink *u, enum config_transport by,
		   const struct hearing_answer *a);
void uplinks_doubted(struct uplinks *us, struct uplink *u, enum config_transport by,
		     ns_t asked_at);
void uplinks_silent(struct uplinks *us, struct uplink *u, enum config_transport by,
		    ns_t asked_at, const char *why);
/* netmon's on_change ends here. */
void uplinks_refresh(struct uplinks *us);

#endif
