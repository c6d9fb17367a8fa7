/*
 * spin - runs a loop for a while, or until something is so.
 *
 * Units:   ns; it looks once a millisecond, the first time at once.
 * Errors:  a loop that fails fails the test.
 */
#ifndef TESTS_UNIT_SPIN_H
#define TESTS_UNIT_SPIN_H

#include "common/base.h"
#include "daemon/io/loop.h"

/* False: `done` did not say so within `patience`, or somebody stopped the loop. */
bool spin_until(struct loop *l, bool (*done)(void *arg), void *arg, ns_t patience);
/* Less, if somebody stops the loop. 0: what is there to be done. */
void spin_for(struct loop *l, ns_t span);

#endif
