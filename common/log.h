/*
 * log - sentences to standard error, for a person or for the journal.
 *
 * Model:   "subflow up: uplink=lte rtt_ms=43", one line each, without its
 *          newline. With log_to_journal() each line begins with the "<6>"
 *          that systemd reads as a priority; else with a time and a word.
 * Bounds:  a line is cut at LOG_LINE_MAX bytes; control characters are escaped.
 */
#ifndef COMMON_LOG_H
#define COMMON_LOG_H

#include "common/base.h"

#define LOG_LINE_MAX 1024

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

void log_set_level(enum log_level level);
void log_to_journal(bool on);

void log_error(const char *fmt, ...) PRINTF_LIKE(1, 2);
void log_warn(const char *fmt, ...) PRINTF_LIKE(1, 2);
void log_info(const char *fmt, ...) PRINTF_LIKE(1, 2);
void log_debug(const char *fmt, ...) PRINTF_LIKE(1, 2);

/*
 * For lines that somebody outside can trigger: at most one per `interval`;
 * the next line that passes says how many were left out.
 */
struct log_limit {
	ns_t interval;
	ns_t next_at;
	unsigned long left_out;
};

void log_warn_limited(struct log_limit *limit, ns_t now, const char *fmt, ...)
	PRINTF_LIKE(3, 4);

#endif
