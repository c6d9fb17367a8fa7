/*
 * subflows_table - what subflows.c and subflows_join.c share: the one object,
 * and the only ways to change a subflow's state.
 */
#ifndef DAEMON_SUBFLOWS_TABLE_H
#define DAEMON_SUBFLOWS_TABLE_H

#include "daemon/subflows.h"
#include "daemon/subflows_watch.h"

enum { SUBFLOWS_BUCKETS = 1024 };

struct subflows {
	struct loop *loop;
	struct uplinks *uplinks; /* NULL: server */
	struct mptcp_pm *pm;     /* NULL: only watched */
	struct subflows_handler handler;
	struct timer look_timer;  /* set while a leg is busy */
	struct timer retry_timer; /* set while a leg is wanting */
	struct list legs, busy, wanting;
	struct list by_token[SUBFLOWS_BUCKETS];
	struct subflows_watch watch;
	struct subflows_counters counters;
};

/* A place for a new subflow, or NULL: there are SUBFLOWS_MAX. */
struct subflow *subflows_place(struct leg_subflows *ls);
/* What names the request in its result. */
uint64_t subflows_cookie(const struct leg_subflows *ls, const struct subflow *sf,
			 enum mptcp_pm_op op);
void subflows_enter(struct subflow *sf, enum subflow_state next, ns_t now);

/*
 * Asks the kernel to end `sf`, and forgets it: REMOVE_ADDR first where the
 * address is ours, so that the peer ends it as well. False: no room to ask.
 */
bool
subflows_end(struct subflows *s, struct leg_subflows *ls, struct subflow *sf, ns_t now);
/* The same for one that is dead. It comes back by subflows_reconcile(). */
bool subflows_end_dead(struct subflows *s, struct leg_subflows *ls, struct subflow *sf,
		       ns_t now);
/* It could not be joined, or was ended by the peer. */
void subflows_failed(struct subflows *s, struct leg_subflows *ls, struct subflow *sf,
		     ns_t now);

/* Client: compares the leg with what it should have; see to the rest later. */
void subflows_reconcile(struct subflows *s, struct leg_subflows *ls, ns_t now);
void subflows_retry(void *arg);

#endif
