/*
 * scheduler_kinds - the schedulers themselves, one file each.
 *
 * Model:   each is asked about one tier at a time, best first; -1 for none that
 *          takes the packet now, SCHEDULER_HOLD when it is to wait for one of them.
 */
#ifndef DAEMON_CORE_SCHEDULER_KINDS_H
#define DAEMON_CORE_SCHEDULER_KINDS_H

#include "daemon/core/scheduler.h"

enum { SCHEDULER_HOLD = -2 };

/* When a packet sent on `c` now, or as soon as it may, arrives: from now on. */
ns_t scheduler_eta(const struct candidate *c, uint32_t bytes);

int scheduler_earliest(const struct question *q, uint8_t tier);
int scheduler_minrtt(const struct question *q, uint8_t tier);
int scheduler_lowest_latency(const struct question *q, uint8_t tier);

#endif
