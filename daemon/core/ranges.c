#include "daemon/core/ranges.h"

#include <stdlib.h>
#include <string.h>

enum { CAP_MIN = 4 };

void
ranges_init(struct ranges *r, uint32_t max)
{
	assert(max > 0 && max <= RANGES_MAX);

	memset(r, 0, sizeof(*r));
	r->max = max;
}

void
ranges_done(struct ranges *r)
{
	if (r->cap > 0)
		free(r->at - r->skip);
	r->at = NULL;
	r->n = r->cap = r->skip = 0;
}

uint32_t
ranges_find(const struct ranges *r, uint64_t number)
{
	uint32_t low = 0, high = r->n;

	/* Most often it is the last one. */
	if (high == 0 || r->at[high - 1].end < number)
		return high;
	high--;
	if (high == 0 || r->at[high - 1].end < number)
		return high;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (r->at[middle].end < number)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* The ranges from *ret_first to before *ret_past overlap or touch [start, end). */
static void
find_touching(const struct ranges *r, uint64_t start, uint64_t end, uint32_t *ret_first,
	      uint32_t *ret_past)
{
	uint32_t i = ranges_find(r, start);

	*ret_first = i;
	while (i < r->n && r->at[i].start <= end)
		i++;
	*ret_past = i;
}

static int
move_to(struct ranges *r, uint32_t cap)
{
	struct range *to = malloc(cap * sizeof(*to));

	if (to == NULL)
		return -ENOMEM;
	if (r->n > 0)
		memcpy(to, r->at, r->n * sizeof(*to));
	if (r->cap > 0)
		free(r->at - r->skip);
	r->at = to;
	r->cap = cap;
	r->skip = 0;
	return 0;
}

/* Makes a place after the last range. */
static int
make_place(struct ranges *r)
{
	struct range *base;

	if (r->n >= r->max)
		return -ENOBUFS;
	if (r->skip + r->n < r->cap)
		return 0;
	/* Moving down pays where it makes many places at once. */
	if (r->skip <= r->cap / 4 && move_to(r, r->cap > 0 ? 2 * r->cap : CAP_MIN) == 0)
		return 0;
	if (r->skip == 0)
		return -ENOMEM;
	base = r->at - r->skip;
	memmove(base, r->at, r->n * sizeof(*base));
	r->at = base;
	r->skip = 0;
	return 0;
}

/* Puts a range where make_place() has made room. */
static void
insert(struct ranges *r, uint32_t i, uint64_t start, uint64_t end)
{
	assert(r->skip + r->n < r->cap);

	memmove(&r->at[i + 1], &r->at[i], (r->n - i) * sizeof(*r->at));
	r->at[i] = (struct range){start, end};
	r->n++;
}

static void
erase(struct ranges *r, uint32_t first, uint32_t past)
{
	if (first == past)
		return;
	if (first == 0) {
		r->at += past;
		r->skip += past;
	} else {
		memmove(&r->at[first], &r->at[past], (r->n - past) * sizeof(*r->at));
	}
	r->n -= past - first;
	if (r->n == 0)
		ranges_done(r);
	else if (r->cap > CAP_MIN && r->n < r->cap / 4)
		/* Without memory it stays larger than it must be. */
		(void)move_to(r, r->n > CAP_MIN / 2 ? 2 * r->n : CAP_MIN);
}

int
ranges_prepare(struct ranges *r, uint64_t start, uint64_t end)
{
	uint32_t first, past;

	if (start >= end)
		return 0;
	find_touching(r, start, end, &first, &past);
	return first < past ? 0 : make_place(r);
}

int
ranges_add(struct ranges *r, uint64_t start, uint64_t end)
{
	uint32_t first, past;
	int err;

	if (start >= end)
		return 0;
	find_touching(r, start, end, &first, &past);
	if (first == past) {
		err = make_place(r);
		if (err < 0)
			return err;
		insert(r, first, start, end);
		return 0;
	}
	r->at[first].start = min_u64(r->at[first].start, start);
	r->at[first].end = max_u64(r->at[past - 1].end, end);
	erase(r, first + 1, past);
	return 0;
}

int
ranges_remove(struct ranges *r, uint64_t start, uint64_t end)
{
	uint32_t first, past;
	int err;

	if (start >= end)
		return 0;
	first = ranges_find(r, start);
	if (first < r->n && r->at[first].start < start) {
		if (r->at[first].end > end) {
			err = make_place(r);
			if (err < 0)
				return err;
			insert(r, first + 1, end, r->at[first].end);
		}
		r->at[first].end = start;
		first++;
	}
	past = first;
	while (past < r->n && r->at[past].end <= end)
		past++;
	if (past < r->n && r->at[past].start < end)
		r->at[past].start = end;
	erase(r, first, past);
	return 0;
}

void
ranges_remove_below(struct ranges *r, uint64_t edge)
{
	uint32_t past = 0;

	while (past < r->n && r->at[past].end <= edge)
		past++;
	if (past < r->n && r->at[past].start < edge)
		r->at[past].start = edge;
	erase(r, 0, past);
}

bool
ranges_contains(const struct ranges *r, uint64_t start, uint64_t end)
{
	uint32_t i;

	if (start >= end)
		return true;
	i = ranges_find(r, end);
	return i < r->n && r->at[i].start <= start;
}

struct range
ranges_gap(const struct ranges *r, uint64_t from, uint64_t limit)
{
	uint32_t i;

	if (from >= limit)
		return (struct range){limit, limit};
	i = ranges_find(r, from);
	if (i < r->n && r->at[i].start <= from)
		from = r->at[i++].end;
	if (from >= limit)
		return (struct range){limit, limit};
	return (struct range){from, i < r->n ? min_u64(r->at[i].start, limit) : limit};
}
