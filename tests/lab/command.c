/*
 * command - what the requests of control.h do.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lab/control.h"
#include "tests/lab/params.h"

#define WORDS_MAX 48

struct words {
	char *at[WORDS_MAX];
	int n;
};

/* Both lanes of a link, or one. */
struct which {
	struct link *link;
	int first, last;
};

static const char *const LANE_NAMES[] = {[LINK_UP] = "up", [LINK_DOWN] = "down"};

static void
split(char *line, struct words *w)
{
	char *rest = line;
	char *word;

	w->n = 0;
	while (w->n < WORDS_MAX && (word = strsep(&rest, " \t\r")) != NULL)
		if (*word != '\0')
			w->at[w->n++] = word;
}

static bool PRINTF_LIKE(2, 3) fail(FILE *out, const char *fmt, ...)
{
	va_list ap;

	fputs("error: ", out);
	va_start(ap, fmt);
	vfprintf(out, fmt, ap);
	va_end(ap);
	fputc('\n', out);
	return false;
}

static bool
find(struct linkem *em, const char *text, struct which *w, FILE *out)
{
	char name[LINK_NAME_MAX + 8];
	char *slash;

	snprintf(name, sizeof(name), "%s", text);
	slash = strchr(name, '/');
	if (slash != NULL)
		*slash++ = '\0';
	w->link = linkem_find(em, name);
	w->first = LINK_UP;
	w->last = LINK_DOWN;
	if (w->link == NULL)
		return fail(out, "no link \"%s\"", name);
	if (slash == NULL)
		return true;
	for (int i = LINK_UP; i <= LINK_DOWN; i++) {
		if (strcmp(slash, LANE_NAMES[i]) == 0) {
			w->first = w->last = i;
			return true;
		}
	}
	return fail(out, "\"%s\" is neither up nor down", slash);
}

/* Reads the words from `from` on; nothing is changed unless all are good. */
static bool
configure(const struct which *w, const struct words *words, int from, FILE *out)
{
	struct lane_params params[LINK_LANES];

	for (int i = w->first; i <= w->last; i++) {
		params[i] = w->link->lanes[i].params;
		for (int j = from; j < words->n; j++) {
			const char *word = words->at[j];
			size_t len = strlen(LANE_NAMES[i]);
			bool other = strncmp(word, LANE_NAMES[!i],
					     strlen(LANE_NAMES[!i])) == 0;

			if (other && word[strlen(LANE_NAMES[!i])] == ':')
				continue;
			if (strncmp(word, LANE_NAMES[i], len) == 0 && word[len] == ':')
				word += len + 1;
			if (params_set(&params[i], word) < 0)
				return fail(out, "\"%s\" is no parameter", word);
		}
	}
	for (int i = w->first; i <= w->last; i++) {
		int err = linkem_configure(w->link, i, &params[i]);

		if (err < 0)
			return fail(out, "%s: %s", w->link->ends[i].name,
				    strerror(-err));
	}
	return true;
}

static bool
do_link(struct linkem *em, const struct words *words, FILE *out)
{
	struct which w = {.first = LINK_UP, .last = LINK_DOWN};
	const char *const *ends = (const char *const *)&words->at[2];
	int err;

	if (words->n < 6)
		return fail(out, "link NAME NETNS DEVICE NETNS DEVICE [KEY=VALUE ...]");
	err = linkem_add(em, words->at[1], ends, &w.link);
	if (err < 0)
		return fail(out, "link %s: %s", words->at[1], strerror(-err));
	if (configure(&w, words, 6, out))
		return true;
	linkem_remove(w.link);
	return false;
}

static bool
do_unlink(struct linkem *em, const struct words *words, FILE *out)
{
	struct which w;

	if (words->n != 2)
		return fail(out, "unlink NAME");
	if (!find(em, words->at[1], &w, out))
		return false;
	linkem_remove(w.link);
	return true;
}

static bool
do_set(struct linkem *em, const struct words *words, FILE *out)
{
	struct which w;

	if (words->n < 3)
		return fail(out, "set WHICH KEY=VALUE ...");
	return find(em, words->at[1], &w, out) && configure(&w, words, 2, out);
}

static bool
do_recent(struct linkem *em, const struct words *words, FILE *out)
{
	struct which w;
	long ms;

	if (words->n != 3 || (ms = strtol(words->at[2], NULL, 10)) <= 0)
		return fail(out, "recent WHICH MS");
	if (!find(em, words->at[1], &w, out))
		return false;
	for (int i = w.first; i <= w.last; i++)
		fprintf(out, "%s/%s bytes=%llu\n", w.link->name, LANE_NAMES[i],
			(unsigned long long)lane_recent(&w.link->lanes[i],
							ms * NS_PER_MS, linkem_now()));
	return true;
}

static void
print_params(const struct lane *lane, FILE *out)
{
	char text[512];

	params_format(&lane->params, text, sizeof(text));
	fputs(text, out);
}

static void
print_stats(const struct lane *lane, FILE *out)
{
	const struct lane_counters *c = &lane->counters;
	const struct {
		const char *name;
		uint64_t value;
	} fields[] = {
		{"in_packets", c->in_packets},
		{"in_bytes", c->in_bytes},
		{"out_packets", c->out_packets},
		{"out_bytes", c->out_bytes},
		{"dropped_queue", c->dropped_queue},
		{"dropped_loss", c->dropped_loss},
		{"dropped_mtu", c->dropped_mtu},
		{"dropped_state", c->dropped_state},
		{"dropped_error", c->dropped_error},
		{"duplicated", c->duplicated},
		{"reordered", c->reordered},
		{"corrupted", c->corrupted},
		{"queue_packets", lane->queue_packets},
		{"queue_bytes", lane->queue_bytes},
		{"flight_packets", lane->n_flight},
	};

	for (size_t i = 0; i < ARRAY_LEN(fields); i++)
		fprintf(out, "%s%s=%llu", i > 0 ? " " : "", fields[i].name,
			(unsigned long long)fields[i].value);
}

static bool
print(struct linkem *em, const struct words *words, FILE *out,
      void (*print_lane)(const struct lane *, FILE *))
{
	struct which only = {0};

	if (words->n > 1 && !find(em, words->at[1], &only, out))
		return false;
	list_for_each (it, &em->links) {
		struct link *link = list_entry(it, struct link, node);

		for (int i = LINK_UP; i <= LINK_DOWN; i++) {
			if (only.link != NULL &&
			    (link != only.link || i < only.first || i > only.last))
				continue;
			fprintf(out, "%s/%s ", link->name, LANE_NAMES[i]);
			print_lane(&link->lanes[i], out);
			fputc('\n', out);
		}
	}
	return true;
}

static bool
do_show(struct linkem *em, const struct words *words, FILE *out)
{
	return print(em, words, out, print_params);
}

static bool
do_stats(struct linkem *em, const struct words *words, FILE *out)
{
	return print(em, words, out, print_stats);
}

static const struct {
	const char *name;
	bool (*execute)(struct linkem *em, const struct words *words, FILE *out);
} COMMANDS[] = {
	{"link", do_link},     {"unlink", do_unlink}, {"set", do_set},
	{"recent", do_recent}, {"show", do_show},     {"stats", do_stats},
};

static bool
execute(struct linkem *em, const struct words *words, FILE *out)
{
	for (size_t i = 0; words->n > 0 && i < ARRAY_LEN(COMMANDS); i++)
		if (strcmp(words->at[0], COMMANDS[i].name) == 0)
			return COMMANDS[i].execute(em, words, out);
	return fail(out, "no such command");
}

void
control_execute(struct linkem *em, char *line, struct answer *ret_answer)
{
	FILE *out = open_memstream(&ret_answer->text, &ret_answer->len);
	struct words words;

	/* A test tool that is out of memory has nothing left to say. */
	if (out == NULL)
		abort();
	split(line, &words);
	if (execute(em, &words, out))
		fputs("ok\n", out);
	if (fclose(out) != 0)
		abort();
}
