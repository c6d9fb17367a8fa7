/*
 * control - the control socket: one JSON object a line, request and reply.
 *
 * Model:   two listeners: `path` (mode 0660) for everything and `path` with
 *          "-ro" in front of its last dot for reading only. Requests are
 *          looked up in one table (control_cmds.c).
 * Bounds:  a line of 64 KiB, depth 16, CONTROL_CLIENTS_MAX connections; a
 *          client that does not read its answers is closed at 1 MiB.
 * Source:  docs/control.md.
 */
#ifndef DAEMON_CONTROL_H
#define DAEMON_CONTROL_H

#include "common/errmsg.h"
#include "daemon/io/loop.h"

enum { CONTROL_CLIENTS_MAX = 32 };

struct proxy;
struct control;

/* NULL and why: the path is taken by a living daemon, or cannot be made. */
struct control *
control_new(struct loop *l, const char *path, struct proxy *p, struct errmsg *why);
void control_free(struct control *c); /* removes the sockets */

#endif
