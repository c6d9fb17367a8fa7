/*
 * params - the parameters of a lane, as text.
 *
 * Model:   "key=value" words: rate=50mbit queue=50ms|64kb delay=10ms
 *          jitter=2ms order=free|keep loss=1% burst=5 reorder=1%
 *          reorder_by=5ms duplicate=1% corrupt=1% mtu=1400
 *          state=up|down|nocarrier|silent
 */
#ifndef TESTS_LAB_PARAMS_H
#define TESTS_LAB_PARAMS_H

#include "tests/lab/lane.h"

/* -EINVAL: not such a word; nothing is changed. */
int params_set(struct lane_params *params, const char *word) MUST_CHECK;
/* All of them, as params_set() reads them. */
void params_format(const struct lane_params *params, char *buf, size_t size);

#endif
