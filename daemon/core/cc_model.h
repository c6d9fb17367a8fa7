/*
 * cc_model - what a subflow's acknowledgements say of its uplinks: rate, RTT, loss.
 *
 * Model:   `bw` is the highest rate of this cycle and the one before. The least
 *          RTT of a round trip, above the least RTT known, is the queue that
 *          stands. What packets take on average beyond the least of their
 *          round trip is jitter, and no queue.
 * Units:   bytes, bytes a second, ns; shares of lost bytes in 1/65536.
 * Owner:   inside a struct cc_bbr.
 * Source:  draft-ietf-ccwg-bbr, 5.5 (its filters).
 */
#ifndef DAEMON_CORE_CC_MODEL_H
#define DAEMON_CORE_CC_MODEL_H

#include "common/base.h"

struct loss_sample;

/* What was seen since the round trip began. */
struct cc_round {
	ns_t at;
	uint64_t end;    /* it ends when a packet sent after this is acknowledged */
	uint64_t rate;   /* highest that the application did not limit */
	ns_t rtt;        /* least; NS_NEVER: none */
	ns_t packets_ns; /* how long all packets took */
	uint32_t packets;
	bool app_limited;
};

/* Losses, judged over a round trip or some more. */
struct cc_losses {
	uint64_t lost, acked;   /* bytes */
	uint32_t usual;         /* share that this subflow loses without congestion */
	ns_t first_at, last_at; /* when the first and the last one were sent */
	bool is_suspect;        /* they looked like congestion last time */
	unsigned deaf;          /* round trips to go in which they prove nothing */
};

/* Bytes that acknowledgements came early, as when a radio link gathers them. */
struct cc_extra {
	uint64_t most[2]; /* in this window, in the last one */
	ns_t window_at, epoch_at;
	uint64_t acked; /* since epoch_at */
};

struct cc_model {
	struct cc_round round;
	struct cc_losses loss;
	struct cc_extra extra;
	uint64_t bw[2];   /* highest in this cycle, in the last one */
	uint64_t bw_from; /* bytes delivered: samples from before do not count */
	ns_t min_rtt;     /* 0: none */
	ns_t met_at;      /* when an RTT was that low last */
	ns_t jitter, jitter_last; /* smoothed; in the last round that was judged */
	int jitter_rounds;        /* that it is smoothed over */
	bool is_guessed;          /* jitter, from the first round trips */
};

void cc_model_init(struct cc_model *m, ns_t now);
/* Nothing was in flight from `since` on: that time has shown nothing. */
void cc_model_idle(struct cc_model *m, ns_t since, ns_t now);

/* True: a round trip is over. It is to be judged before another one begins. */
bool cc_model_take(struct cc_model *m, const struct loss_sample *s, uint64_t max_rate);
void cc_model_take_extra(struct cc_model *m, const struct loss_sample *s);
/* At the end of a round trip whose packets were sent when nothing was tried. */
void cc_model_judge_jitter(struct cc_model *m);
/* At the end of a round trip of STARTUP: what holds until it is judged. */
void cc_model_guess_jitter(struct cc_model *m);
void cc_model_begin_round(struct cc_model *m, uint64_t delivered, ns_t now);

uint64_t cc_model_bw(const struct cc_model *m);
void cc_model_set_bw(struct cc_model *m, uint64_t bw);
/* What was seen before the last cycle is forgotten. */
void cc_model_begin_cycle(struct cc_model *m);

/*
 * The queue that is allowed: a quarter of min_rtt, from 5 to 25 ms; or of the jitter,
 * because so far above the least a round trip of few packets may be.
 */
ns_t cc_model_q(const struct cc_model *m);
/* What a packet takes that meets no queue. */
ns_t cc_model_base_rtt(const struct cc_model *m);
/* The queue that stood in this round trip. */
ns_t cc_model_queue(const struct cc_model *m);
/* Whether this RTT is the least one, or as good as. */
bool cc_model_is_least(const struct cc_model *m, ns_t rtt);
/* Bytes that must be in flight for the full rate, and what some RTTs take more. */
uint64_t cc_model_pipe(const struct cc_model *m);
uint64_t cc_model_extra(const struct cc_model *m);

/* Whether so much is lost that it means congestion. */
bool cc_model_is_lossy(const struct cc_model *m, uint32_t mss);
/* Whether a fifth is lost: that is neither chance nor reordering. */
bool cc_model_is_flooded(const struct cc_model *m, uint32_t mss);
/* Whether there is enough to judge losses by. */
bool cc_model_has_losses(const struct cc_model *m, uint32_t mss);
/* These were losses as usual. */
void cc_model_learn_losses(struct cc_model *m);

#endif
