/*
 * report_usage - what this process uses of the machine.
 */
#ifndef DAEMON_REPORT_USAGE_H
#define DAEMON_REPORT_USAGE_H

#include "common/base.h"

struct report_usage {
	uint64_t rss_bytes;
	uint64_t descriptors, descriptors_max;
};

/* Fields that the system does not tell are 0. */
void report_usage_get(struct report_usage *ret_usage);

#endif
