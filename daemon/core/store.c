#include "daemon/core/store.h"

#include <stdlib.h>
#include <string.h>

enum { SLOTS_MIN = 4 };

void
store_init(struct store *s, struct budget *budget)
{
	memset(s, 0, sizeof(*s));
	s->budget = budget;
}

void
store_done(struct store *s)
{
	store_clear(s, s->low * STORE_BLOCK);
}

static uint8_t **
slot_of(const struct store *s, uint64_t block)
{
	return &s->blocks[block & (s->n_slots - 1)];
}

static uint8_t *
block_of(const struct store *s, uint64_t block)
{
	if (block < s->low || block >= s->high)
		return NULL;
	return *slot_of(s, block);
}

/* Blocks without a place in a store: each begins with a pointer to the next. */
static void
push(uint8_t **chain, uint8_t *block)
{
	memcpy(block, chain, sizeof(*chain));
	*chain = block;
}

static uint8_t *
pop(uint8_t **chain)
{
	uint8_t *block = *chain;

	memcpy(chain, block, sizeof(*chain));
	return block;
}

static void
give_back(struct budget *b, uint8_t *block)
{
	if (b->n_spare >= b->spare_max) {
		free(block);
		return;
	}
	push(&b->spare, block);
	b->n_spare++;
}

static uint8_t *
take_block(struct budget *b)
{
	if (b->n_spare == 0)
		return malloc(STORE_BLOCK);
	b->n_spare--;
	return pop(&b->spare);
}

void
budget_done(struct budget *b)
{
	while (b->n_spare > 0)
		free(take_block(b));
}

static void
drop_block(struct store *s, uint64_t block)
{
	uint8_t **slot = slot_of(s, block);

	if (*slot == NULL)
		return;
	give_back(s->budget, *slot);
	*slot = NULL;
	assert(s->budget->used >= STORE_BLOCK);
	s->budget->used -= STORE_BLOCK;
}

static int
new_chain(struct budget *budget, size_t n, uint8_t **ret_chain)
{
	uint8_t *chain = NULL;

	for (size_t i = 0; i < n; i++) {
		uint8_t *block = take_block(budget);

		if (block == NULL) {
			while (chain != NULL)
				give_back(budget, pop(&chain));
			return -ENOMEM;
		}
		push(&chain, block);
	}
	*ret_chain = chain;
	return 0;
}

/* Makes the ring large enough for blocks up to before `past`. */
static int
grow(struct store *s, uint64_t past)
{
	size_t n = max_size(s->n_slots, SLOTS_MIN);
	struct store larger = *s;

	if (past - s->low <= s->n_slots)
		return 0;
	if (past - s->low > STORE_BLOCKS_MAX)
		return -ENOBUFS;
	while (n < past - s->low)
		n *= 2;
	larger.n_slots = n;
	larger.blocks = calloc(n, sizeof(*larger.blocks));
	if (larger.blocks == NULL)
		return -ENOMEM;
	for (uint64_t b = s->low; b < s->high; b++)
		*slot_of(&larger, b) = *slot_of(s, b);
	free(s->blocks);
	*s = larger;
	return 0;
}

static int
add_blocks(struct store *s, uint64_t first, uint64_t past, size_t n_missing)
{
	struct budget *budget = s->budget;
	uint8_t *chain;
	int err;

	if (budget->used > budget->max ||
	    n_missing > (budget->max - budget->used) / STORE_BLOCK)
		return -ENOBUFS;
	err = grow(s, past);
	if (err < 0)
		return err;
	err = new_chain(budget, n_missing, &chain);
	if (err < 0)
		return err;

	s->high = max_u64(s->high, past);
	for (uint64_t b = first; b < past; b++) {
		if (block_of(s, b) == NULL)
			*slot_of(s, b) = pop(&chain);
	}
	assert(chain == NULL);
	budget->used += n_missing * STORE_BLOCK;
	return 0;
}

int
store_reserve(struct store *s, uint64_t off, size_t len)
{
	uint64_t first = off / STORE_BLOCK, past;
	size_t n_missing = 0;

	if (len == 0)
		return 0;
	assert(first >= s->low && off <= UINT64_MAX - len);

	past = (off + len - 1) / STORE_BLOCK + 1;
	for (uint64_t b = first; b < past; b++)
		n_missing += block_of(s, b) == NULL;
	return n_missing > 0 ? add_blocks(s, first, past, n_missing) : 0;
}

uint8_t *
store_at(const struct store *s, uint64_t off, size_t *ret_len)
{
	uint8_t *block = block_of(s, off / STORE_BLOCK);

	assert(block != NULL);
	*ret_len = STORE_BLOCK - off % STORE_BLOCK;
	return block + off % STORE_BLOCK;
}

void
store_write(struct store *s, uint64_t off, const uint8_t *data, size_t len)
{
	while (len > 0) {
		size_t piece;
		uint8_t *at = store_at(s, off, &piece);

		piece = min_size(piece, len);
		memcpy(at, data, piece);
		off += piece;
		data += piece;
		len -= piece;
	}
}

void
store_read(const struct store *s, uint64_t off, uint8_t *ret_data, size_t len)
{
	while (len > 0) {
		size_t piece;
		const uint8_t *at = store_at(s, off, &piece);

		piece = min_size(piece, len);
		memcpy(ret_data, at, piece);
		off += piece;
		ret_data += piece;
		len -= piece;
	}
}

void
store_drop_below(struct store *s, uint64_t off)
{
	uint64_t low = off / STORE_BLOCK;

	for (uint64_t b = s->low; b < min_u64(low, s->high); b++)
		drop_block(s, b);
	s->low = max_u64(s->low, low);
	s->high = max_u64(s->high, s->low);
}

void
store_clear(struct store *s, uint64_t off)
{
	for (uint64_t b = s->low; b < s->high; b++)
		drop_block(s, b);
	free(s->blocks);
	s->blocks = NULL;
	s->n_slots = 0;
	s->low = max_u64(s->low, off / STORE_BLOCK);
	s->high = s->low;
}
