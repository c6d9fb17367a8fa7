/*
 * sock - what sockets of TCP and of UDP have in common.
 *
 * Owner:   descriptors are the caller's.
 * Errors:  0 or -errno of the call.
 */
#ifndef DAEMON_IO_SOCK_H
#define DAEMON_IO_SOCK_H

#include "common/addr.h"

/* Where an option only helps, its failure may be passed over. */
int sock_set_int(int fd, int level, int name, int value);
/* -ENAMETOOLONG: `text` with its end is longer than `cap`. */
int sock_set_text(int fd, int level, int name, const char *text, size_t cap) MUST_CHECK;
int sock_set_device(int fd, const char *device) MUST_CHECK;
int sock_bind(int fd, const struct addr *at) MUST_CHECK;
int sock_local(int fd, struct addr *ret_addr) MUST_CHECK;

#endif
