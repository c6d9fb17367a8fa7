/*
 * config_value - turns the text of one key into what is stored.
 */
#ifndef DAEMON_CONFIG_VALUE_H
#define DAEMON_CONFIG_VALUE_H

#include "common/errmsg.h"
#include "daemon/config_table.h"

/*
 * Stores `text` in the field of `key` in the struct at `base`.
 * -EINVAL: `why` quotes what does not fit, and says what would.
 */
int config_value_set(const struct config_key *key, void *base, const char *text,
		     struct errmsg *why) MUST_CHECK;

#endif
