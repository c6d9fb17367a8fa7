#include "common/log.h"

#include "common/errmsg.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static enum log_level threshold = LOG_LEVEL_INFO;
static bool journal;

static const struct {
	const char *name;
	const char *journal;
} levels[] = {
	[LOG_LEVEL_ERROR] = {"error", "<3>"},
	[LOG_LEVEL_WARN] = {"warn", "<4>"},
	[LOG_LEVEL_INFO] = {"info", "<6>"},
	[LOG_LEVEL_DEBUG] = {"debug", "<7>"},
};

void
log_set_level(enum log_level level)
{
	threshold = level;
}

void
log_to_journal(bool on)
{
	journal = on;
}

static size_t
write_prefix(char *line, size_t cap, enum log_level level)
{
	struct timespec ts;
	struct tm tm;
	size_t n;

	if (journal)
		return (size_t)snprintf(line, cap, "%s", levels[level].journal);
	clock_gettime(CLOCK_REALTIME, &ts);
	localtime_r(&ts.tv_sec, &tm);
	n = strftime(line, cap, "%F %T", &tm);
	return n + (size_t)snprintf(line + n, cap - n, ".%03ld %-5s ",
				    ts.tv_nsec / 1000000, levels[level].name);
}

static void
	PRINTF_LIKE(2, 0) write_line(enum log_level level, const char *fmt, va_list ap)
{
	char text[LOG_LINE_MAX];
	char line[LOG_LINE_MAX + 64];
	size_t n;

	vsnprintf(text, sizeof(text), fmt, ap);
	n = write_prefix(line, sizeof(line), level);
	errmsg_escape(line + n, sizeof(line) - n - 1, text, strlen(text));
	n = strlen(line);
	line[n++] = '\n';
	/* A log that cannot be written has nowhere to say so. */
	if (write(STDERR_FILENO, line, n) < 0)
		return;
}

#define DEFINE_LOG(name, level)             \
	void name(const char *fmt, ...)     \
	{                                   \
		va_list ap;                 \
                                            \
		if (level > threshold)      \
			return;             \
		va_start(ap, fmt);          \
		write_line(level, fmt, ap); \
		va_end(ap);                 \
	}

DEFINE_LOG(log_error, LOG_LEVEL_ERROR)
DEFINE_LOG(log_warn, LOG_LEVEL_WARN)
DEFINE_LOG(log_info, LOG_LEVEL_INFO)
DEFINE_LOG(log_debug, LOG_LEVEL_DEBUG)

void
log_warn_limited(struct log_limit *limit, ns_t now, const char *fmt, ...)
{
	char text[LOG_LINE_MAX];
	va_list ap;

	if (now < limit->next_at) {
		limit->left_out++;
		return;
	}
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (limit->left_out > 0)
		log_warn("%s (left out since the last such line: %lu)", text,
			 limit->left_out);
	else
		log_warn("%s", text);
	limit->left_out = 0;
	limit->next_at = now + limit->interval;
}
