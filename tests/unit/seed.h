/*
 * seed - where the random numbers of a test begin.
 */
#ifndef TESTS_UNIT_SEED_H
#define TESTS_UNIT_SEED_H

/* TEST_SEED of the environment, to run a failure again; else the time. Printed. */
unsigned seed_choose(void);

#endif
