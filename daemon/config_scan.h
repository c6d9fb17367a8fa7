/*
 * config_scan - reads a configuration line by line, before iniparser does.
 *
 * Model:   iniparser merges what is there twice, cuts unquoted values at ';'
 *          and '#', joins lines that end in a backslash, and forgets line
 *          numbers. So each line is looked at here first, strictly, and only
 *          text without a second reading reaches iniparser.
 * Bounds:  CONFIG_LINE_MAX bytes a line; iniparser's own bound is 1,022.
 * Errors:  the sentence is about line `s->line`, and does not name it.
 */
#ifndef DAEMON_CONFIG_SCAN_H
#define DAEMON_CONFIG_SCAN_H

#include "common/errmsg.h"
#include "daemon/config_table.h"

enum { CONFIG_LINE_MAX = 1000 };

struct config_scan {
	const char *text;
	size_t len;
	size_t at;
	unsigned line; /* counted from 1 */
};

struct config_line {
	enum { LINE_END, LINE_SECTION, LINE_KEY } what;
	char word[CONFIG_KEY_NAME_MAX]; /* the key, or the kind of section */
	char name[NAME_MAX_LEN];        /* the section's; "": none */
};

/* The next line with something on it. -EINVAL: it is not right, and why. */
int config_scan_next(struct config_scan *s, struct config_line *ret_line,
		     struct errmsg *why) MUST_CHECK;

#endif
