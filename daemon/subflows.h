/*
 * subflows - the daemon's path manager: the subflows each leg has, and those
 * it should have.
 *
 * Model:   a leg is one kernel MPTCP connection between the daemons. On the
 *          client every leg should have one subflow per usable uplink, with
 *          B (backup) as the uplink's priority says; what is missing is
 *          joined, what is too much is removed, level by level, whenever
 *          something changed. A join that failed is tried again after 1, 2,
 *          4 ... 60 s. On either side the sending end watches every leg with
 *          bytes unacknowledged: a subflow with none acknowledged for
 *          200 to 300 ms or 3 srtt (subflows_watch.h) while it has some in
 *          flight is dead, and is removed (REMOVE_ADDR by whom the address
 *          belongs to, then DESTROY). A subflow is never destroyed when no
 *          other could take over. What a leg may hold unsent is bounded to
 *          some round trips of all its subflows: data that a dead subflow
 *          lost, or that another priority moves, has to go behind it.
 *
 *	  NONE -> JOINING -> UP -> (dead, closed, unwanted) -> NONE
 *
 * Bounds:  SUBFLOWS_MAX a leg; every SUBFLOWS_TICK at most
 *          SUBFLOWS_SAMPLE_MAX legs are looked at, in turn.
 * Owner:   struct leg_subflows is embedded in the leg, which calls
 *          subflows_remove() before it closes the socket.
 * Source:  RFC 8684, 3.2, 3.3.8, 3.4.2, 3.8.
 */
#ifndef DAEMON_SUBFLOWS_H
#define DAEMON_SUBFLOWS_H

#include "common/addr.h"
#include "common/list.h"
#include "daemon/core/limits.h"
#include "daemon/io/loop.h"
#include "daemon/io/mptcp_pm.h"
#include "daemon/uplinks.h"

#define SUBFLOWS_TICK (25 * NS_PER_MS)
enum { SUBFLOWS_SAMPLE_MAX = 64 };

enum subflow_state { SUBFLOW_NONE, SUBFLOW_JOINING, SUBFLOW_UP };

struct subflow {
	enum subflow_state state;
	struct addr local, remote;
	uint8_t uplink;   /* id on the client; 0 on the server */
	uint8_t local_id; /* 0: the leg's first subflow */
	uint8_t remote_id;
	bool backup;     /* as last asked for or told */
	uint8_t repeats; /* client: MP_PRIO may be lost, and is said so often again */
	uint32_t delivered; /* packets, as of the last look */
	ns_t progress_at;   /* the last time anything was acknowledged; 0: idle */
	ns_t since;         /* of the state */
	ns_t lost_at;  /* client: joined again once heard after that; 0: any time */
	ns_t retry_at; /* client: not joined again before */
	uint16_t gone_port; /* client: of the one that we ended; its end is no news */
	unsigned failures;
};

/* Zeroed before subflows_add(). */
struct leg_subflows {
	struct list node;     /* of all legs */
	struct list by_token; /* of those in the same place of the table */
	struct list busy;     /* of those to look at */
	struct list wanting;  /* client: of those that lack something */
	uint32_t token;
	struct addr remote; /* where joins go */
	int fd;
	struct subflow sf[SUBFLOWS_MAX];
	size_t n;
	size_t ahead;   /* bytes it may hold; 0: as the system has it */
	uint64_t acked; /* bytes, of all subflows, as of the last look */
};

struct subflows;

struct subflows_handler {
	/* Our sending end found `sf` of `ls` dead and has destroyed it. `ls` may
	 * be removed in the call, and so may others. */
	void (*on_dead)(void *arg, struct leg_subflows *ls, const struct subflow *sf);
	void *arg;
};

/*
 * `pm` NULL: in-kernel path manager; then nothing is joined or destroyed here,
 * only watched. `uplinks` NULL: this is the server.
 */
struct subflows *subflows_new(struct loop *l, struct uplinks *uplinks,
			      const struct subflows_handler *handler);
void subflows_set_pm(struct subflows *s, struct mptcp_pm *pm);
void subflows_free(struct subflows *s);

/*
 * Takes up a leg whose MPTCP connection is established. `uplink`: whose
 * device the first subflow is bound to (client). -EOPNOTSUPP: plain TCP.
 */
int subflows_add(struct subflows *s, struct leg_subflows *ls, int fd,
		 const struct uplink *uplink) MUST_CHECK;
void subflows_remove(struct subflows *s, struct leg_subflows *ls);
/* The leg has written to its socket: watch it. Cheap. */
void subflows_sent(struct subflows *s, struct leg_subflows *ls);

/* An uplink changed in any way: every leg is compared with what it should have. */
void subflows_uplink_changed(struct subflows *s, const struct uplink *u);
/* The peer's sending end says that its subflow to `local` (our address) is dead. */
void subflows_peer_lost(struct subflows *s, struct leg_subflows *ls,
			const struct addr *local);

/* mptcp_pm's results and events end here. */
void subflows_on_result(struct subflows *s, const struct mptcp_pm_result *r);
void subflows_on_event(struct subflows *s, const struct mptcp_pm_event *ev);

struct subflows_counters {
	uint64_t joined, join_failed, found_dead, peer_said_dead, priority_set;
};
const struct subflows_counters *subflows_counters(const struct subflows *s);

#endif
