#include "daemon/core/numbers.h"

#include <string.h>

static uint64_t *
word_of(struct numbers *n, uint64_t number)
{
	return &n->used[number % NUMBER_WINDOW / 64];
}

static uint64_t
bit_of(uint64_t number)
{
	return UINT64_C(1) << number % 64;
}

bool
numbers_is_free(const struct numbers *n, uint64_t number)
{
	if (number == UINT64_MAX)
		return false;
	if (number >= n->next)
		return true;
	if (n->next - number > NUMBER_WINDOW)
		return false;
	return (n->used[number % NUMBER_WINDOW / 64] & bit_of(number)) == 0;
}

/* Moves the window up to `number`; what it skips is free. */
static void
advance(struct numbers *n, uint64_t number)
{
	if (number - n->next >= NUMBER_WINDOW) {
		memset(n->used, 0, sizeof(n->used));
	} else {
		for (uint64_t i = n->next; i <= number; i++)
			*word_of(n, i) &= ~bit_of(i);
	}
	n->next = number + 1;
}

bool
numbers_mark(struct numbers *n, uint64_t number)
{
	if (!numbers_is_free(n, number))
		return false;
	if (number >= n->next)
		advance(n, number);
	*word_of(n, number) |= bit_of(number);
	return true;
}
