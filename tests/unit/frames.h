/*
 * frames - whether two frames say the same.
 */
#ifndef TESTS_UNIT_FRAMES_H
#define TESTS_UNIT_FRAMES_H

#include "daemon/core/wire.h"

/* All that a frame of this type has, the bytes included that it points to. */
bool frames_same(const struct frame *a, const struct frame *b);

#endif
