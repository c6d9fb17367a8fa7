#include "tests/unit/clock.h"

#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static ns_t skipped;
static ns_t frozen_at; /* 0: it runs */

static ns_t
kernel_time(clockid_t id)
{
	struct timespec ts = {0};

	if (syscall(SYS_clock_gettime, id, &ts) < 0)
		return -1;
	return (ns_t)ts.tv_sec * NS_PER_SEC + ts.tv_nsec;
}

void
clock_skip(ns_t span)
{
	skipped += span;
}

void
clock_freeze(void)
{
	frozen_at = kernel_time(CLOCK_MONOTONIC);
}

/* In the C library's place, for libraries as well. */
int
clock_gettime(clockid_t id, struct timespec *ts)
{
	ns_t now = kernel_time(id);

	if (now < 0)
		return -1;
	if (id == CLOCK_MONOTONIC && frozen_at != 0)
		now = frozen_at;
	now += skipped;
	ts->tv_sec = now / NS_PER_SEC;
	ts->tv_nsec = now % NS_PER_SEC;
	return 0;
}
