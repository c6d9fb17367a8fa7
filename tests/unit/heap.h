/*
 * heap - lets an allocation of the code under test fail.
 *
 * Model:   the linker leads malloc, calloc and realloc of our own objects here
 *          (--wrap, in the Makefile); libraries keep the real ones, but for
 *          libcrypto after heap_take_crypto().
 */
#ifndef TESTS_UNIT_HEAP_H
#define TESTS_UNIT_HEAP_H

#include <stdbool.h>

/* First of all in main(): libcrypto allows it before its first allocation only. */
void heap_take_crypto(void);
/* The allocation after the next `n` fails, and so do `times` - 1 after it. */
void heap_fail(unsigned n, unsigned times);
/* No more failures; whether there was one since heap_fail(). */
bool heap_heal(void);

#endif
