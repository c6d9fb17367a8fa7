/*
 * world - two sessions over simulated links, and the programs at both ends.
 *
 * Model:   the real core on both ends; the world does what the daemon does: it
 *          carries bursts to the net and back, and moves the bytes of streams.
 *          A transfer is a stream whose bytes are a function of their offset:
 *
 *	client: writes `up` bytes, FIN     server: checks them, writes `down`, FIN
 *
 * Units:   ns of virtual time from 0; bytes.
 * Owner:   the caller owns the world; everything else belongs to it.
 * Errors:  a broken promise (a wrong byte, a session that ended) fails at once,
 *          with the seed; so does what watch.h looks for.
 */
#ifndef TESTS_SIM_WORLD_H
#define TESTS_SIM_WORLD_H

#include "daemon/core/session.h"
#include "tests/sim/net.h"

enum { WORLD_TRANSFERS_MAX = 512 };

struct world_options {
	uint64_t seed;
	enum cc_kind cc;
	enum scheduler_kind scheduler;
	size_t memory;                  /* 0: 32 MB */
	struct rekey_settings rekey[2]; /* by side; the static keys are the world's */
	bool may_end;                   /* a session, by its packets */
};

struct transfer {
	struct stream *at[2]; /* by enum sim_side; NULL: not yet, or no more */
	uint64_t size[2];     /* bytes that this side writes; UINT64_MAX: without end */
	uint64_t written[2];
	uint64_t read[2];      /* by this side */
	uint64_t read_rate[2]; /* bytes a second that it takes; 0: all */
	bool ended[2];         /* this side has read the other one's end */
	bool answered, accepted, reset;
	uint8_t status;
	ns_t opened_at, first_at,
		done_at;   /* first byte and end at the client; 0: not yet */
	ns_t last_at, gap; /* at the reading client: last byte, and the longest wait */
};

struct world;

struct world *world_new(const struct world_options *opt);
void world_free(struct world *w);

/* Of this rate and delay, with a queue of 100 ms. */
struct sim_lane world_lane(uint64_t mbit, ns_t delay_ms);
/* A link, and a subflow over it. */
unsigned
world_add_link(struct world *w, const struct sim_lane *up, const struct sim_lane *down);
uint8_t world_subflow(unsigned link); /* its id in both sessions */
/* One more, over a link that is there, to another address of the server. Its id. */
uint8_t world_join(struct world *w, unsigned link, const struct addr *server);
struct sim_net *world_net(struct world *w);
struct session *world_session(struct world *w, enum sim_side side);
ns_t world_now(const struct world *w);

struct transfer *world_transfer(struct world *w, uint64_t up, uint64_t down);
/* This side ends it; nothing happens where it has not come, or is over. */
void world_reset(struct world *w, struct transfer *t, enum sim_side side);

/* The client's uplink goes, and comes back, from another port. */
void world_set_uplink(struct world *w, unsigned link, bool up);
/* What goes up or down there disappears. */
void world_set_silent(struct world *w, unsigned link, bool up, bool down);

void world_run(struct world *w, ns_t span);
/* The clock goes ahead, and nothing happened meanwhile. */
void world_jump(struct world *w, ns_t span);
/* Until `t` is done; false: after `patience`. */
bool world_finish(struct world *w, const struct transfer *t, ns_t patience);
/* Bytes that arrive at the client within `span`; less time, if that is all of them. */
uint64_t world_during(struct world *w, const struct transfer *t, ns_t span);
bool world_is_done(const struct transfer *t);
/* Whether every transfer is done, or reset and forgotten by both sides. */
bool world_is_over(const struct world *w);
/* Nothing may be left of transfers that are over. */
void world_check_end(const struct world *w);
void world_fail(const struct world *w, const char *fmt, ...)
	__attribute__((format(printf, 2, 3), noreturn));

/* Bytes that went over a link from this side, as the link counts. */
uint64_t world_carried(struct world *w, unsigned link, enum sim_side from);

#endif
