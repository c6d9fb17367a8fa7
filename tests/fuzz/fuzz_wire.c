/*
 * fuzz_wire - whatever is read as a frame is written again and read back equal.
 *
 * The input is what is in a packet behind its header; and a packet, to the header.
 */
#include "daemon/core/wire.h"
#include "tests/unit/frames.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_header(const uint8_t *data, size_t size)
{
	struct packet_header h;
	uint8_t again[WIRE_HEADER_LEN];

	if (packet_header_get(data, size, &h) < 0)
		return;
	packet_header_put(again, &h);
	assert(memcmp(again, data, sizeof(again)) == 0);
}

static void
check_ack(const struct frame_ack *a)
{
	const struct range *at = a->ranges;

	assert(a->n_ranges >= 1 && a->n_ranges <= FRAME_ACK_RANGES_MAX);
	assert(at[0].end <= WIRE_NUMBER_MAX + 1);
	for (uint32_t i = 0; i < a->n_ranges; i++) {
		assert(at[i].start < at[i].end);
		assert(i == 0 || at[i].end < at[i - 1].start);
	}
}

static void
check_bounds(const struct frame *f, const uint8_t *at, const uint8_t *end)
{
	if (f->type == FRAME_ACK)
		check_ack(&f->ack);
	if (f->type == FRAME_OPEN)
		assert(f->open.len >= 1 && f->open.len <= FRAME_REQUEST_MAX);
	if (f->type == FRAME_STREAM) {
		assert(f->stream.off + f->stream.len <= WIRE_NUMBER_MAX);
		assert(f->stream.to_end ? at == end
					: f->stream.len <= FRAME_STREAM_LEN_MAX);
	}
}

/*
 * In a buffer of exact size, for the sanitizer to see overruns, and in one byte less.
 * Only the length of STREAM may be longer than it was: `room` has a byte for that.
 */
static void
check_again(const struct frame *f, size_t room)
{
	static struct frame again;
	uint8_t *large = malloc(room), *exact;
	const uint8_t *at;
	size_t len;

	assert(large != NULL);
	len = frame_put(large, room, f);
	assert(len > 0);
	exact = malloc(len);
	assert(exact != NULL);
	assert(frame_put(exact, len, f) == len && memcmp(exact, large, len) == 0);
	at = exact;
	assert(frame_get(&at, exact + len, &again) == 0);
	assert(at == exact + len && frames_same(f, &again));
	free(exact);
	exact = malloc(len);
	assert(exact != NULL && frame_put(exact, len - 1, f) == 0);
	free(exact);
	free(large);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct frame f;
	uint8_t *copy = malloc(size);
	const uint8_t *at = copy, *end = copy + size, *before = copy;

	assert(copy != NULL);
	memcpy(copy, data, size);
	check_header(copy, size);
	while (frame_get(&at, end, &f) == 0) {
		assert(at > before && at <= end);
		check_bounds(&f, at, end);
		check_again(&f, (size_t)(at - before) + 1);
		before = at;
	}
	assert(at == before);
	free(copy);
	return 0;
}
