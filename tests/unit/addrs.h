/*
 * addrs - addresses from text, for tests; a text that is none fails the test.
 */
#ifndef TESTS_UNIT_ADDRS_H
#define TESTS_UNIT_ADDRS_H

#include "common/addr.h"

struct addr addrs_of(const char *text); /* ADDRESS:PORT */
struct addr addrs_ip(const char *text, uint16_t port);

#endif
