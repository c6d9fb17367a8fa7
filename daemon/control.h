/*
 * control - the control socket: one JSON object a line, request and reply.
 *
 * Model:   two listeners: `path` (mode 0660, group mpproxy) for everything,
 *          and `path` with "-ro" in front of its last dot (group mpproxy-ro)
 *          for reading only. Where the group is not there, or is none of
 *          ours, it is the process's own. Requests are looked up in one table
 *          (control_cmds.c).
 * Bounds:  a line of 64 KiB, depth 16, CONTROL_CLIENTS_MAX connections to each
 *          socket. Requests are answered one after the other: a client that
 *          does not read its answers holds back its next requests, and is
 *          closed when it has read nothing for CONTROL_STALL.
 * Source:  docs/control.md.
 */
#ifndef DAEMON_CONTROL_H
#define DAEMON_CONTROL_H

#include "common/errmsg.h"
#include "daemon/io/loop.h"

enum { CONTROL_CLIENTS_MAX = 32 };
#define CONTROL_STALL (10 * NS_PER_SEC)

struct proxy;
struct control;

/* NULL and why: the path is taken by a living daemon, or cannot be made. */
struct control *
control_new(struct loop *l, const char *path, struct proxy *p, struct errmsg *why);
void control_free(struct control *c); /* removes the sockets */

#endif
