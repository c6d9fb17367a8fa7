#include "tests/unit/unit.h"

#include "tests/unit/seed.h"

#include <stdlib.h>
#include <time.h>

unsigned
seed_choose(void)
{
	const char *text = getenv("TEST_SEED");
	unsigned seed =
		text != NULL ? (unsigned)strtoul(text, NULL, 10) : (unsigned)time(NULL);

	print_message("TEST_SEED=%u\n", seed);
	return seed;
}
