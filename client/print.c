#include "client/print.h"

#include "common/errmsg.h"
#include "common/units.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CELL_MAX = 300, COLUMNS_MAX = 20, LABEL_WIDTH = 14 };

static const struct {
	const char *state;
	const char *colour;
} state_colours[] = {
	{"suspect", "\033[33m"}, {"active", "\033[32m"},  {"up", "\033[32m"},
	{"open", "\033[32m"},    {"dead", "\033[31m"},    {"absent", "\033[31m"},
	{"down", "\033[31m"},    {"waiting", "\033[33m"}, {"off", "\033[2m"},
};

static bool
colours_wanted(void)
{
	const char *no_color = getenv("NO_COLOR");
	const char *term = getenv("TERM");

	return isatty(STDOUT_FILENO) && (no_color == NULL || *no_color == '\0') &&
	       term != NULL && strcmp(term, "dumb") != 0;
}

static const char *
state_colour(const char *state)
{
	for (size_t i = 0; i < ARRAY_LEN(state_colours); i++) {
		if (strcmp(state, state_colours[i].state) == 0)
			return state_colours[i].colour;
	}
	return NULL;
}

static uint64_t
count_of(const json_t *value)
{
	json_int_t n = json_integer_value(value);

	return n < 0 ? 0 : (uint64_t)n;
}

/* Seconds above 30 years are nonsense, and would not fit. */
static ns_t
span_of(const json_t *value, ns_t unit)
{
	double n = json_number_value(value);

	if (n < 0)
		return 0;
	return n > 1e9 ? NS_PER_SEC * 1000000000 : (ns_t)(n * (double)unit);
}

static void
list_value(char *dst, size_t cap, const json_t *list)
{
	size_t i, n = 0;
	json_t *item;

	dst[0] = '\0';
	json_array_foreach(list, i, item)
	{
		if (n + 2 >= cap || !json_is_string(item))
			return;
		if (i > 0)
			dst[n++] = ' ';
		errmsg_escape(dst + n, cap - n, json_string_value(item),
			      json_string_length(item));
		n += strlen(dst + n);
	}
}

const char *
print_value(char *dst, size_t cap, enum print_format format, const json_t *value)
{
	if (value == NULL || json_is_null(value)) {
		snprintf(dst, cap, "-");
		return dst;
	}
	switch (format) {
	case PRINT_TEXT:
	case PRINT_STATE:
		errmsg_escape(dst, cap,
			      json_is_string(value) ? json_string_value(value) : "?",
			      json_is_string(value) ? json_string_length(value) : 1);
		break;
	case PRINT_LIST: list_value(dst, cap, value); break;
	case PRINT_COUNT:
		snprintf(dst, cap, "%llu", (unsigned long long)count_of(value));
		break;
	case PRINT_BYTES:
		snprintf(dst, cap, "%s", units_format_size(count_of(value)).s);
		break;
	case PRINT_RATE:
		snprintf(dst, cap, "%s", units_format_rate(count_of(value)).s);
		break;
	case PRINT_MS:
		snprintf(dst, cap, "%s",
			 units_format_duration(span_of(value, NS_PER_MS)).s);
		break;
	case PRINT_SECONDS:
		snprintf(dst, cap, "%s",
			 units_format_duration(span_of(value, NS_PER_SEC)).s);
		break;
	case PRINT_YES: snprintf(dst, cap, json_is_true(value) ? "yes" : "no"); break;
	}
	if (dst[0] == '\0')
		snprintf(dst, cap, "-");
	return dst;
}

static bool
is_figure(enum print_format format)
{
	return format >= PRINT_COUNT && format <= PRINT_SECONDS;
}

static void
print_cell(enum print_format format, const char *text, size_t width, bool colours)
{
	const char *colour = NULL;

	if (colours && format == PRINT_STATE)
		colour = state_colour(text);
	if (colour != NULL)
		fputs(colour, stdout);
	printf(is_figure(format) ? "%*s" : "%-*s", (int)width, text);
	if (colour != NULL)
		fputs("\033[0m", stdout);
}

static const char *
cell_text(char cell[CELL_MAX], const struct print_column *c, const json_t *row)
{
	return print_value(cell, CELL_MAX, c->format, json_object_get(row, c->field));
}

static size_t
width_of(const struct print_column *c, json_t *rows)
{
	size_t i, width = strlen(c->title);
	char cell[CELL_MAX];
	json_t *row;

	json_array_foreach(rows, i, row)
	{
		width = max_size(width, strlen(cell_text(cell, c, row)));
	}
	return width;
}

void
print_table(const struct print_column *columns, size_t n_columns, json_t *rows)
{
	const bool colours = colours_wanted();
	const size_t last = n_columns - 1;
	size_t i, width[COLUMNS_MAX];
	char cell[CELL_MAX];
	json_t *row;

	assert(n_columns > 0 && n_columns <= COLUMNS_MAX);
	for (size_t k = 0; k < n_columns; k++) {
		const struct print_column *c = &columns[k];

		/* No spaces behind the last text of a line. */
		width[k] = k == last && !is_figure(c->format) ? 0 : width_of(c, rows);
		print_cell(c->format, c->title, width[k], false);
		fputs(k == last ? "\n" : "  ", stdout);
	}
	json_array_foreach(rows, i, row)
	{
		for (size_t k = 0; k < n_columns; k++) {
			print_cell(columns[k].format, cell_text(cell, &columns[k], row),
				   width[k], colours);
			fputs(k == last ? "\n" : "  ", stdout);
		}
	}
}

void
print_line(const char *label, const char *fmt, ...)
{
	va_list ap;

	printf("%-*s", LABEL_WIDTH, label);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
}

void
print_json(const json_t *value)
{
	json_dumpf(value, stdout, JSON_COMPACT | JSON_REAL_PRECISION(12));
	putchar('\n');
}

void
print_error(const char *fmt, ...)
{
	char text[1024], shown[2048];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	fprintf(stderr, "mpproxyctl: %s\n",
		errmsg_escape(shown, sizeof(shown), text, strlen(text)));
}
