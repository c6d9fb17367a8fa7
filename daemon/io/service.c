#include "daemon/io/service.h"

#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#ifdef HAVE_SYSTEMD
#include <systemd/sd-daemon.h>
#include <time.h>

static void
notify(const char *message)
{
	(void)sd_notify(0, message);
}

/* The time tells the manager's own order apart (Type=notify-reload). */
void
service_reloading(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	(void)sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%lld",
			 (long long)ts.tv_sec * 1000000 + ts.tv_nsec / 1000);
}

ns_t
service_watchdog_interval(void)
{
	uint64_t us;

	if (sd_watchdog_enabled(0, &us) <= 0 || us > INT64_MAX / NS_PER_US)
		return NS_NEVER;
	return (ns_t)us * NS_PER_US / 2;
}
#else
static void
notify(const char *message)
{
	(void)message;
}

void
service_reloading(void)
{
}

ns_t
service_watchdog_interval(void)
{
	return NS_NEVER;
}
#endif

void
service_ready(void)
{
	notify("READY=1");
}

void
service_stopping(void)
{
	notify("STOPPING=1");
}

void
service_alive(void)
{
	notify("WATCHDOG=1");
}

/* A newline would begin another assignment of the protocol. */
void
service_status(const char *fmt, ...)
{
	static const char key[] = "STATUS=";
	char text[sizeof(key) + SERVICE_STATUS_MAX];
	va_list ap;

	memcpy(text, key, sizeof(key));
	va_start(ap, fmt);
	(void)vsnprintf(text + strlen(key), SERVICE_STATUS_MAX, fmt, ap);
	va_end(ap);
	for (char *c = text; *c != '\0'; c++)
		if (*c == '\n')
			*c = ' ';
	notify(text);
}

int
service_raise_files(void)
{
	struct rlimit rl;

	if (getrlimit(RLIMIT_NOFILE, &rl) < 0)
		return -errno;
	rl.rlim_cur = rl.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &rl) < 0)
		return -errno;
	return rl.rlim_cur < INT_MAX ? (int)rl.rlim_cur : INT_MAX;
}

int
service_hide_memory(void)
{
	const struct rlimit none = {0, 0};

	if (setrlimit(RLIMIT_CORE, &none) < 0)
		return -errno;
	return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ? -errno : 0;
}

int
service_ignore_sigpipe(void)
{
	struct sigaction sa = {.sa_handler = SIG_IGN};

	return sigaction(SIGPIPE, &sa, NULL) < 0 ? -errno : 0;
}
