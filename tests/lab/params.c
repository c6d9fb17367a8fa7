#include "tests/lab/params.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct unit {
	const char *name;
	double factor;
};

static const struct unit RATES[] = {
	{"bit", 1}, {"kbit", 1e3}, {"mbit", 1e6}, {"gbit", 1e9}, {NULL, 0}};
static const struct unit TIMES[] = {{"us", 1e3}, {"ms", 1e6}, {"s", 1e9}, {NULL, 0}};
static const struct unit SIZES[] = {{"b", 1}, {"kb", 1e3}, {"mb", 1e6}, {NULL, 0}};
static const struct unit PARTS[] = {{"%", 0.01}, {NULL, 0}};
static const struct unit PLAIN[] = {{"", 1}, {NULL, 0}};

static const char *const STATES[] = {
	[LANE_UP] = "up",
	[LANE_DOWN] = "down",
	[LANE_NOCARRIER] = "nocarrier",
	[LANE_SILENT] = "silent",
};

/* A number of at least 0 and at most `max` in one of `units`; 0 needs none. */
static int
parse(const char *text, const struct unit *units, double max, double *ret)
{
	char *end;
	double v = strtod(text, &end);

	if (end == text || !isfinite(v) || v < 0)
		return -EINVAL;
	if (v == 0 && *end == '\0') {
		*ret = 0;
		return 0;
	}
	for (; units->name != NULL; units++) {
		if (strcasecmp(end, units->name) != 0)
			continue;
		if (v * units->factor > max)
			return -EINVAL;
		*ret = v * units->factor;
		return 0;
	}
	return -EINVAL;
}

static int
parse_time(const char *text, ns_t *ret)
{
	double v;
	int err = parse(text, TIMES, 60e9, &v);

	if (err == 0)
		*ret = (ns_t)v;
	return err;
}

static int
set_queue(struct lane_params *p, const char *text)
{
	if (parse_time(text, &p->queue_ns) == 0) {
		p->queue_bytes = 0;
		return 0;
	}
	return parse(text, SIZES, 64e6, &p->queue_bytes);
}

static int
set_order(struct lane_params *p, const char *text)
{
	if (strcmp(text, "keep") != 0 && strcmp(text, "free") != 0)
		return -EINVAL;
	p->ordered = text[0] == 'k';
	return 0;
}

static int
set_mtu(struct lane_params *p, const char *text)
{
	double v;
	int err = parse(text, PLAIN, 65535, &v);

	if (err == 0)
		p->mtu = (size_t)v;
	return err;
}

static int
set_state(struct lane_params *p, const char *text)
{
	for (size_t i = 0; i < ARRAY_LEN(STATES); i++) {
		if (strcmp(text, STATES[i]) == 0) {
			p->state = (enum lane_state)i;
			return 0;
		}
	}
	return -EINVAL;
}

static int
set_value(struct lane_params *p, const char *key, const char *text)
{
	struct {
		const char *key;
		double *part;
	} parts[] = {{"loss", &p->loss},
		     {"reorder", &p->reorder},
		     {"duplicate", &p->duplicate},
		     {"corrupt", &p->corrupt}};
	struct {
		const char *key;
		ns_t *time;
	} times[] = {{"delay", &p->delay},
		     {"jitter", &p->jitter},
		     {"reorder_by", &p->reorder_by}};
	struct {
		const char *key;
		int (*set)(struct lane_params *, const char *);
	} others[] = {{"queue", set_queue},
		      {"order", set_order},
		      {"mtu", set_mtu},
		      {"state", set_state}};

	for (size_t i = 0; i < ARRAY_LEN(parts); i++)
		if (strcmp(key, parts[i].key) == 0)
			return parse(text, PARTS, 1, parts[i].part);
	for (size_t i = 0; i < ARRAY_LEN(times); i++)
		if (strcmp(key, times[i].key) == 0)
			return parse_time(text, times[i].time);
	for (size_t i = 0; i < ARRAY_LEN(others); i++)
		if (strcmp(key, others[i].key) == 0)
			return others[i].set(p, text);
	if (strcmp(key, "rate") == 0)
		return parse(text, RATES, 100e9, &p->rate);
	if (strcmp(key, "burst") == 0)
		return parse(text, PLAIN, 1e6, &p->burst);
	return -EINVAL;
}

int
params_set(struct lane_params *params, const char *word)
{
	char key[16];
	const char *equals = strchr(word, '=');

	if (equals == NULL || (size_t)(equals - word) >= sizeof(key))
		return -EINVAL;
	memcpy(key, word, (size_t)(equals - word));
	key[equals - word] = '\0';
	return set_value(params, key, equals + 1);
}

void
params_format(const struct lane_params *p, char *buf, size_t size)
{
	char queue[32];

	if (p->queue_bytes > 0)
		snprintf(queue, sizeof(queue), "%.0fb", p->queue_bytes);
	else
		snprintf(queue, sizeof(queue), "%gms", (double)p->queue_ns / 1e6);
	snprintf(buf, size,
		 "rate=%gmbit queue=%s delay=%gms jitter=%gms order=%s loss=%g%% "
		 "burst=%g reorder=%g%% reorder_by=%gms duplicate=%g%% corrupt=%g%% "
		 "mtu=%zu state=%s",
		 p->rate / 1e6, queue, (double)p->delay / 1e6, (double)p->jitter / 1e6,
		 p->ordered ? "keep" : "free", p->loss * 100, p->burst,
		 p->reorder * 100, (double)p->reorder_by / 1e6, p->duplicate * 100,
		 p->corrupt * 100, p->mtu, STATES[p->state]);
}
