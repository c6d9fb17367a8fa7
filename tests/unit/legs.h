/*
 * legs - streams of the mptcp transport and what the kernel knows of them, for tests of
 * what is reported.
 *
 * Model:   streams 1 to n, each with a leg of three subflows: one is up, one waits.
 *          The leg of stream 2 fell back to plain TCP, and has none. A leg's
 *          descriptor is how many subflows the kernel has of it.
 */
#ifndef TESTS_UNIT_LEGS_H
#define TESTS_UNIT_LEGS_H

#include "daemon/io/mptcp_info.h"
#include "daemon/tunnel.h"

void legs_each(unsigned n, int fd, tunnel_each_fn fn, void *arg);
/* As mptcp_info_get() is to answer. */
int legs_info(int fd, struct mptcp_info_all *ret_info);

#endif
