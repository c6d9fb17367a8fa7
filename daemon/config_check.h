/*
 * config_check - what must hold between keys, once each is right by itself.
 */
#ifndef DAEMON_CONFIG_CHECK_H
#define DAEMON_CONFIG_CHECK_H

#include "daemon/config.h"

/* -EINVAL: `why` names section and key, and says what to do. */
int config_check(const struct config *c, struct errmsg *why) MUST_CHECK;

/* Something legal that can hardly be meant; NULL: nothing of the kind. */
const char *config_check_doubt(const struct config *c);

#endif
