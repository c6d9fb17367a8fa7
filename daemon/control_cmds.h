/*
 * control_cmds - the commands of the control socket, in one table.
 */
#ifndef DAEMON_CONTROL_CMDS_H
#define DAEMON_CONTROL_CMDS_H

#include "common/ctlmsg.h"

struct proxy;

/*
 * Runs the command of `r`. The result is the caller's to json_decref(); NULL:
 * refused, and `ret_error` says why. On the read-only socket `read_only` is
 * set, and what changes anything is refused.
 */
json_t *control_cmds_run(struct proxy *p, const struct ctlmsg_request *r,
			 bool read_only, struct ctlmsg_error *ret_error) MUST_CHECK;

#endif
