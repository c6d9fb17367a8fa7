#include "tests/unit/unit.h"

#include "tests/unit/heap.h"

#include <openssl/crypto.h>
#include <stdlib.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *ptr, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *ptr, size_t size);

static unsigned before, failures;
static bool has_failed;

void
heap_fail(unsigned n, unsigned times)
{
	before = n;
	failures = times;
	has_failed = false;
}

bool
heap_heal(void)
{
	failures = 0;
	return has_failed;
}

static bool
fails(void)
{
	if (failures == 0)
		return false;
	if (before > 0) {
		before--;
		return false;
	}
	failures--;
	has_failed = true;
	return true;
}

void *
__wrap_malloc(size_t size)
{
	return fails() ? NULL : __real_malloc(size);
}

void *
__wrap_calloc(size_t n, size_t size)
{
	return fails() ? NULL : __real_calloc(n, size);
}

void *
__wrap_realloc(void *ptr, size_t size)
{
	return fails() ? NULL : __real_realloc(ptr, size);
}

static void *
crypto_malloc(size_t size, const char *file, int line)
{
	(void)file;
	(void)line;
	return malloc(size);
}

static void *
crypto_realloc(void *ptr, size_t size, const char *file, int line)
{
	(void)file;
	(void)line;
	return realloc(ptr, size);
}

static void
crypto_free(void *ptr, const char *file, int line)
{
	(void)file;
	(void)line;
	free(ptr);
}

void
heap_take_crypto(void)
{
	assert_int_equal(
		CRYPTO_set_mem_functions(crypto_malloc, crypto_realloc, crypto_free),
		1);
}
