/*
 * print - JSON as people read it: tables with aligned columns, lines, errors.
 *
 * Model:   a column names the field it shows and how; a field that is absent
 *          or null is "-". Text from the daemon is escaped, so that it cannot
 *          command the terminal.
 * Source:  https://no-color.org for when there are no colours.
 */
#ifndef CLIENT_PRINT_H
#define CLIENT_PRINT_H

#include "common/base.h"

#include <jansson.h>

enum print_format {
	PRINT_TEXT,
	PRINT_STATE, /* coloured */
	PRINT_LIST,  /* an array of strings */
	PRINT_COUNT,
	PRINT_BYTES,
	PRINT_RATE,    /* of bit/s */
	PRINT_MS,      /* of milliseconds */
	PRINT_SECONDS, /* of seconds */
	PRINT_YES,     /* true: "yes" */
};

struct print_column {
	const char *title;
	const char *field;
	enum print_format format;
};

void print_table(const struct print_column *columns, size_t n_columns, json_t *rows);

/* One value, cut to `cap`, without colour. Returns `dst`. */
const char *
print_value(char *dst, size_t cap, enum print_format format, const json_t *value);

/* "label         text" with the sentence after the label's column. */
void print_line(const char *label, const char *fmt, ...) PRINTF_LIKE(2, 3);

void print_json(const json_t *value); /* one line */

/* "mpproxyctl: ..." to standard error. */
void print_error(const char *fmt, ...) PRINTF_LIKE(1, 2);

#endif
