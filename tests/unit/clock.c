#include "tests/unit/clock.h"

#include <time.h>

int __real_clock_gettime(clockid_t id, struct timespec *ts);
int __wrap_clock_gettime(clockid_t id, struct timespec *ts);

static ns_t skipped;

void
clock_skip(ns_t span)
{
	skipped += span;
}

int
__wrap_clock_gettime(clockid_t id, struct timespec *ts)
{
	int ret = __real_clock_gettime(id, ts);
	ns_t now = (ns_t)ts->tv_sec * NS_PER_SEC + ts->tv_nsec + skipped;

	ts->tv_sec = now / NS_PER_SEC;
	ts->tv_nsec = now % NS_PER_SEC;
	return ret;
}
