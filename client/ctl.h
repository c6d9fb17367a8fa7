/*
 * ctl - one request to the daemon, and its reply.
 *
 * Bounds:  CTL_TIMEOUT for each step; a reply of CTLMSG_REPLY_MAX bytes.
 * Errors:  printed here, with what to do about them.
 */
#ifndef CLIENT_CTL_H
#define CLIENT_CTL_H

#include "client/cmd.h"

#include <jansson.h>

#define CTL_TIMEOUT (5 * NS_PER_SEC)

/*
 * Sends `request` (its "cmd" set) and gives the reply's result, which the
 * caller ends with json_decref(). Takes `request` over.
 */
enum cmd_exit
ctl_ask(const struct cmd_options *o, json_t *request, json_t **ret_result) MUST_CHECK;

#endif
