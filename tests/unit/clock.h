/*
 * clock - the daemon's clock, moved on by hand.
 *
 * Model:   whoever asks for the time is told a later one; timers of the loop
 *          still take as long as they are set to.
 */
#ifndef TESTS_UNIT_CLOCK_H
#define TESTS_UNIT_CLOCK_H

#include "common/base.h"

void clock_skip(ns_t span);

#endif
