/*
 * clock - the daemon's clock, moved on by hand.
 *
 * Model:   whoever asks for the time is told a later one, libraries as well: a
 *          timer of the loop that is due by then expires in its next turn.
 */
#ifndef TESTS_UNIT_CLOCK_H
#define TESTS_UNIT_CLOCK_H

#include "common/base.h"

void clock_skip(ns_t span);
/* From here on monotonic time passes by clock_skip() only. */
void clock_freeze(void);

#endif
