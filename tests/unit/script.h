/*
 * script - a fuzzer's input, read as what is to be done next.
 *
 * Owner:   the bytes are the caller's.
 * Errors:  none: what is missing reads as 0.
 */
#ifndef TESTS_UNIT_SCRIPT_H
#define TESTS_UNIT_SCRIPT_H

#include "common/base.h"

struct script {
	const uint8_t *at, *end;
};

uint8_t script_byte(struct script *sc);
/* Any magnitude in two bytes, and what is worth trying in one. */
uint64_t script_number(struct script *sc);

#endif
