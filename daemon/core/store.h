/*
 * store - the bytes of one direction of a stream, found by their offset.
 *
 * Model:   blocks of STORE_BLOCK bytes, only those that hold something; a ring
 *          of pointers that grows. Bytes are moved once, when they come.
 *
 *	offset    0        16 K       32 K       48 K
 *	          |  gone  |  block   |  none    |  block  |
 *	                   low
 *
 * Bounds:  every block is charged to the budget, which many stores share; what
 *          is held spans at most STORE_BLOCKS_MAX blocks.
 * Owner:   the caller owns the struct, which owns its blocks until
 *          store_done(). Pointers live until the block is dropped.
 * Errors:  negative errno; after an error the store is as it was before.
 */
#ifndef DAEMON_CORE_STORE_H
#define DAEMON_CORE_STORE_H

#include "common/base.h"

enum {
	STORE_BLOCK = 16 * 1024,      /* bytes */
	STORE_BLOCKS_MAX = 64 * 1024, /* 1 GB: no window comes near that */
};

/*
 * Bytes that all stores of a session may hold, the blocks' slack included. Up to
 * spare_max blocks that nobody holds wait for the next one; budget_done() frees them.
 */
struct budget {
	size_t used, max;
	uint8_t *spare;
	unsigned n_spare, spare_max;
};

void budget_done(struct budget *b);

struct store {
	uint8_t **blocks; /* ring: block `b` is at b % n_slots; NULL: not there */
	size_t n_slots;   /* 0 or a power of two */
	uint64_t low;     /* the first block that may be there; a number, not bytes */
	uint64_t high;    /* one after the last */
	struct budget *budget;
};

void store_init(struct store *s, struct budget *budget);
void store_done(struct store *s);

/*
 * Makes room for the bytes [off, off + len), off not below what was dropped.
 *
 * -ENOBUFS  the budget is used up, or it is too far from the first block
 * -ENOMEM
 */
int store_reserve(struct store *s, uint64_t off, size_t len) MUST_CHECK;

/* Within what was reserved. */
void store_write(struct store *s, uint64_t off, const uint8_t *data, size_t len);
void store_read(const struct store *s, uint64_t off, uint8_t *ret_data, size_t len);
/* The bytes from `off` to the end of its block. */
uint8_t *store_at(const struct store *s, uint64_t off, size_t *ret_len);

/* Nobody asks again for what is below `off`; blocks wholly below it go. */
void store_drop_below(struct store *s, uint64_t off);
/* Nor for anything that is there: an idle stream holds no memory. */
void store_clear(struct store *s, uint64_t off);

#endif
