#include "tests/sim/flights.h"

#include <stdlib.h>
#include <string.h>

enum {
	HEAP_MIN = 64,
	BUFFER_MIN =
		1536, /* bytes: nearly every datagram, so that buffers seldom grow */
};

static void
flight_free(struct flight *f)
{
	free(f->dgram.data);
	free(f);
}

void
flights_done(struct flights *fs)
{
	struct flight *f;

	for (size_t i = 0; i < fs->n; i++)
		flight_free(fs->heap[i].flight);
	while ((f = fs->idle) != NULL) {
		fs->idle = f->next;
		flight_free(f);
	}
	free(fs->heap);
	*fs = (struct flights){0};
}

static bool
make_room(struct flights *fs)
{
	size_t cap = max_size(HEAP_MIN, 2 * fs->cap);
	struct flights_due *heap;

	if (fs->n_made < fs->cap)
		return true;
	heap = realloc(fs->heap, cap * sizeof(*heap));
	if (heap == NULL)
		return false;
	fs->heap = heap;
	fs->cap = cap;
	return true;
}

static struct flight *
make_flight(struct flights *fs)
{
	struct flight *f;

	if (fs->n_made == FLIGHTS_MAX || !make_room(fs))
		return NULL;
	f = calloc(1, sizeof(*f));
	if (f != NULL)
		fs->n_made++;
	return f;
}

static bool
fit_buffer(struct flight *f, size_t len)
{
	size_t cap = max_size(len, BUFFER_MIN);
	uint8_t *data;

	if (f->cap >= cap)
		return true;
	data = realloc(f->dgram.data, cap);
	if (data == NULL)
		return false;
	f->dgram.data = data;
	f->cap = cap;
	return true;
}

struct flight *
flights_take(struct flights *fs, const struct sim_dgram *d)
{
	struct flight *f = fs->idle;
	uint8_t *data;

	if (f != NULL)
		fs->idle = f->next;
	else
		f = make_flight(fs);
	if (f == NULL)
		return NULL;
	if (!fit_buffer(f, d->len)) {
		flights_put_back(fs, f);
		return NULL;
	}
	data = f->dgram.data;
	if (d->len > 0)
		memcpy(data, d->data, d->len);
	f->dgram = *d;
	f->dgram.data = data;
	f->injected = false;
	return f;
}

void
flights_put_back(struct flights *fs, struct flight *f)
{
	f->next = fs->idle;
	fs->idle = f;
}

static bool
is_before(const struct flights_due *a, const struct flights_due *b)
{
	return a->at != b->at ? a->at < b->at : a->turn < b->turn;
}

void
flights_push(struct flights *fs, struct flight *f, ns_t at)
{
	const struct flights_due due = {at, fs->turn++, f};
	size_t i = fs->n++;

	assert(fs->n <= fs->cap);
	while (i > 0 && is_before(&due, &fs->heap[(i - 1) / 2])) {
		fs->heap[i] = fs->heap[(i - 1) / 2];
		i = (i - 1) / 2;
	}
	fs->heap[i] = due;
}

ns_t
flights_first_at(const struct flights *fs)
{
	return fs->n > 0 ? fs->heap[0].at : NS_NEVER;
}

struct flight *
flights_pop(struct flights *fs)
{
	struct flight *first = fs->heap[0].flight;
	const struct flights_due last = fs->heap[--fs->n];
	size_t i = 0, child;

	while ((child = 2 * i + 1) < fs->n) {
		if (child + 1 < fs->n &&
		    is_before(&fs->heap[child + 1], &fs->heap[child]))
			child++;
		if (!is_before(&fs->heap[child], &last))
			break;
		fs->heap[i] = fs->heap[child];
		i = child;
	}
	fs->heap[i] = last;
	return first;
}
