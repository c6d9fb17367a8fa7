/*
 * service - what a daemon tells and asks of its service manager and kernel.
 *
 * Model:   with libsystemd, messages to whoever set NOTIFY_SOCKET; without it,
 *          or without such a manager, nothing.
 * Errors:  notifications are best effort; the others are 0 or -errno.
 * Source:  sd_notify(3), sd_watchdog_enabled(3).
 */
#ifndef DAEMON_IO_SERVICE_H
#define DAEMON_IO_SERVICE_H

#include "common/base.h"

enum { SERVICE_STATUS_MAX = 256 };

void service_ready(void); /* started, or done with a reload */
void service_reloading(void);
void service_stopping(void);
/* A sentence for `systemctl status`, cut at SERVICE_STATUS_MAX. */
void service_status(const char *fmt, ...) PRINTF_LIKE(1, 2);

/* How often to call service_alive(): half of what is allowed. NS_NEVER: no watchdog. */
ns_t service_watchdog_interval(void);
void service_alive(void);

/* Raises the limit of open files as far as allowed; the limit, or -errno. */
int service_raise_files(void) MUST_CHECK;

/* No core dumps and no ptrace by others of the same user: there are keys inside. */
int service_hide_memory(void) MUST_CHECK;

/* A write to a closed socket is an error to look at, not the end of the process. */
int service_ignore_sigpipe(void) MUST_CHECK;

#endif
