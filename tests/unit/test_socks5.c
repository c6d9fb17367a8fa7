#include "tests/unit/unit.h"

#include "daemon/ingress.h"
#include "daemon/socks5.h"
#include "tests/unit/seed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* All that came of one client's bytes. */
struct transcript {
	enum request_step end;
	uint8_t answers[2048];
	size_t answers_len;
	size_t left; /* bytes behind the request */
	struct config_host dest;
};

struct bytes {
	const char *s;
	size_t len;
};
#define B(text)                        \
	{                              \
		text, sizeof(text) - 1 \
	}

static const char *const login_user = "alice";
static const char *const login_password = "s3cret";

/* Pieces of 1 to `piece` bytes; 0: all at once. */
static struct transcript
run(const struct login *login, struct bytes in, size_t piece, unsigned *seed)
{
	struct socks5 s = {.login = login};
	struct transcript t = {.end = REQUEST_MORE};
	size_t from = 0, here = 0;

	while (t.end == REQUEST_MORE && here < in.len) {
		struct request r = {.used = 0};

		here += piece == 0 ? in.len : 1 + (size_t)rand_r(seed) % piece;
		here = min_size(here, in.len);
		do {
			/* A copy of exact length, for the sanitizer to see overruns. */
			uint8_t *copy = malloc(here - from + 1);

			memcpy(copy, in.s + from, here - from);
			t.end = socks5_parse(&s, copy, here - from, &r);
			free(copy);
			from += r.used;
			assert_true(from <= here);
			memcpy(t.answers + t.answers_len, r.answer, r.answer_len);
			t.answers_len += r.answer_len;
		} while (t.end == REQUEST_ANSWER);
		if (t.end == REQUEST_OPEN)
			t.dest = r.dest;
	}
	t.left = in.len - from;
	if (t.end == REQUEST_REFUSED)
		t.left = 0;
	return t;
}

static void
assert_same(const struct transcript *a, const struct transcript *b)
{
	assert_int_equal(a->end, b->end);
	assert_int_equal(a->left, b->left);
	assert_int_equal(a->answers_len, b->answers_len);
	assert_memory_equal(a->answers, b->answers, a->answers_len);
	assert_string_equal(a->dest.host, b->dest.host);
	assert_int_equal(a->dest.port, b->dest.port);
}

static struct transcript
run_every_way(const struct login *login, struct bytes in)
{
	unsigned seed = 1;
	const struct transcript t = run(login, in, 0, &seed);

	for (size_t piece = 1; piece <= 5; piece++) {
		const struct transcript other = run(login, in, piece, &seed);

		assert_same(&t, &other);
	}
	if (t.end == REQUEST_OPEN) {
		assert_int_not_equal(t.dest.port, 0);
		assert_in_range(strlen(t.dest.host), 1, HOST_MAX - 1);
		for (const char *c = t.dest.host; *c != '\0'; c++)
			assert_in_range(*c, 0x21, 0x7e);
	}
	return t;
}

struct good {
	bool login;
	struct bytes in;
	const char *host;
	uint16_t port;
	size_t left;
	struct bytes answers;
};

static const struct good goods[] = {
	{false, B("\5\1\0\5\1\0\1\1\2\3\4\0\120"), "1.2.3.4", 80, 0, B("\5\0")},
	{false, B("\5\2\0\2\5\1\0\1\1\2\3\4\0\120GET"), "1.2.3.4", 80, 3, B("\5\0")},
	{false, B("\5\1\0\5\1\0\1\x7f\0\0\1\xff\xff"), "127.0.0.1", 65535, 0,
	 B("\5\0")},
	{false, B("\5\1\0\5\1\0\3\11local.net\1\273hello"), "local.net", 443, 5,
	 B("\5\0")},
	{false, B("\5\1\0\5\1\0\3\1a\0\1"), "a", 1, 0, B("\5\0")},
	{false, B("\5\1\0\5\1\0\4\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\0\26"), "::1", 22, 0,
	 B("\5\0")},
	{false, B("\5\1\0\5\1\0\4\40\1\r\270\0\0\0\0\0\0\0\0\0\0\0\1\0\26"),
	 "2001:db8::1", 22, 0, B("\5\0")},
	{true, B("\5\1\2\1\5alice\6s3cret\5\1\0\1\1\2\3\4\0\120x"), "1.2.3.4", 80, 1,
	 B("\5\2\1\0")},
	{true, B("\5\3\0\1\2\1\5alice\6s3cret\5\1\0\3\1b\0\120"), "b", 80, 0,
	 B("\5\2\1\0")},
};

static void
test_good(void **state)
{
	struct login login;

	(void)state;
	assert_int_equal(login_init(&login, login_user, login_password), 0);
	for (size_t i = 0; i < ARRAY_LEN(goods); i++) {
		const struct good *g = &goods[i];
		const struct transcript t =
			run_every_way(g->login ? &login : NULL, g->in);

		assert_int_equal(t.end, REQUEST_OPEN);
		assert_string_equal(t.dest.host, g->host);
		assert_int_equal(t.dest.port, g->port);
		assert_int_equal(t.left, g->left);
		assert_int_equal(t.answers_len, g->answers.len);
		assert_memory_equal(t.answers, g->answers.s, g->answers.len);
	}
}

/* Every beginning of a good exchange waits for more. */
static void
test_truncated(void **state)
{
	struct login login;

	(void)state;
	assert_int_equal(login_init(&login, login_user, login_password), 0);
	for (size_t i = 0; i < ARRAY_LEN(goods); i++) {
		const struct good *g = &goods[i];

		for (size_t len = 0; len < g->in.len - g->left; len++) {
			const struct bytes part = {g->in.s, len};
			const struct transcript t =
				run_every_way(g->login ? &login : NULL, part);

			assert_int_equal(t.end, REQUEST_MORE);
		}
	}
}

struct bad {
	bool login;
	struct bytes in;
	struct bytes answers;
};

#define FAIL(code) "\5" code "\0\1\0\0\0\0\0\0"

static const struct bad bads[] = {
	/* greetings */
	{false, B("\4\1\0\120\1\2\3\4\0"), B("\5\xff")},
	{false, B("\0"), B("\5\xff")},
	{false, B("GET / HTTP/1.1\r\n\r\n"), B("\5\xff")},
	{false, B("\x16\3\1\2\0\1"), B("\5\xff")},
	{false, B("\5\0"), B("\5\xff")},
	{false, B("\5\1\2"), B("\5\xff")},
	{false, B("\5\3\1\2\xff"), B("\5\xff")},
	{true, B("\5\1\0"), B("\5\xff")},
	{true, B("\5\0"), B("\5\xff")},
	{true, B("\5\1\1\5\1\0\1\1\2\3\4\0\120"), B("\5\xff")},
	/* logins */
	{true, B("\5\1\2\1\5alice\6s3creT"), B("\5\2\1\1")},
	{true, B("\5\1\2\1\5alicE\6s3cret"), B("\5\2\1\1")},
	{true, B("\5\1\2\1\0\0"), B("\5\2\1\1")},
	{true, B("\5\1\2\1\5alice\0"), B("\5\2\1\1")},
	{true, B("\5\1\2\1\0\6s3cret"), B("\5\2\1\1")},
	{true, B("\5\1\2\1\4alic\6s3cret"), B("\5\2\1\1")},
	{true, B("\5\1\2\1\6alice\0\6s3cret"), B("\5\2\1\1")},
	{true, B("\5\1\2\1\5alice\7s3cret\0"), B("\5\2\1\1")},
	{true, B("\5\1\2\1\5alice\5s3cre"), B("\5\2\1\1")},
	{true, B("\5\1\2\5\5alice\6s3cret"), B("\5\2\1\1")},
	{true, B("\5\1\2\5\1\0\1\1\2\3\4\0\120"), B("\5\2\1\1")},
	/* requests */
	{false, B("\5\1\0\4\1\0\1\1\2\3\4\0\120"), B("\5\0" FAIL("\1"))},
	{false, B("\5\1\0\5\0\0\1\1\2\3\4\0\120"), B("\5\0" FAIL("\7"))},
	{false, B("\5\1\0\5\2\0\1\1\2\3\4\0\120"), B("\5\0" FAIL("\7"))},
	{false, B("\5\1\0\5\3\0\1\1\2\3\4\0\120"), B("\5\0" FAIL("\7"))},
	{false, B("\5\1\0\5\xf0\0\1\1\2\3\4\0\120"), B("\5\0" FAIL("\7"))},
	{false, B("\5\1\0\5\1\1\1\1\2\3\4\0\120"), B("\5\0" FAIL("\1"))},
	{false, B("\5\1\0\5\1\0\0\1\2\3\4\0\120"), B("\5\0" FAIL("\10"))},
	{false, B("\5\1\0\5\1\0\2\1\2\3\4\0\120"), B("\5\0" FAIL("\10"))},
	{false, B("\5\1\0\5\1\0\5\1\2\3\4\0\120"), B("\5\0" FAIL("\10"))},
	{false, B("\5\1\0\5\1\0\xff\1\2\3\4\0\120"), B("\5\0" FAIL("\10"))},
	{false, B("\5\1\0\5\1\0\1\1\2\3\4\0\0"), B("\5\0" FAIL("\1"))},
	{false, B("\5\1\0\5\1\0\3\0\0\120"), B("\5\0" FAIL("\1"))},
	{false, B("\5\1\0\5\1\0\3\3a\0b\0\120"), B("\5\0" FAIL("\1"))},
	{false, B("\5\1\0\5\1\0\3\3a\nb\0\120"), B("\5\0" FAIL("\1"))},
	{false, B("\5\1\0\5\1\0\3\3a b\0\120"), B("\5\0" FAIL("\1"))},
	{false,
	 B("\5\1\0\5\1\0\3\3a\x7f"
	   "b\0\120"),
	 B("\5\0" FAIL("\1"))},
	{false,
	 B("\5\1\0\5\1\0\3\3a\x80"
	   "b\0\120"),
	 B("\5\0" FAIL("\1"))},
	{false, B("\5\1\0\5\1\0\3\3a\33b\0\120"), B("\5\0" FAIL("\1"))},
	{false, B("\5\1\0\5\1\0\3\1\0\0\120"), B("\5\0" FAIL("\1"))},
	{false, B("\5\1\0\5\1\0\3\1a\0\0"), B("\5\0" FAIL("\1"))},
};

static void
test_bad(void **state)
{
	struct login login;

	(void)state;
	assert_int_equal(login_init(&login, login_user, login_password), 0);
	for (size_t i = 0; i < ARRAY_LEN(bads); i++) {
		const struct bad *b = &bads[i];
		const struct transcript t =
			run_every_way(b->login ? &login : NULL, b->in);

		if (t.end != REQUEST_REFUSED || t.answers_len != b->answers.len)
			fail_msg("bad request %zu: step %d, %zu bytes", i, (int)t.end,
				 t.answers_len);
		assert_memory_equal(t.answers, b->answers.s, b->answers.len);
	}
}

/* 253 bytes are a name, 254 and 255 are not. */
static void
test_long_names(void **state)
{
	(void)state;
	for (size_t n = 252; n <= 255; n++) {
		uint8_t in[3 + 5 + 255 + 2] = {5, 1, 0, 5, 1, 0, 3, (uint8_t)n};
		const struct bytes b = {(const char *)in, 8 + n + 2};
		struct transcript t;

		memset(in + 8, 'n', n);
		in[8 + n + 1] = 80;
		t = run_every_way(NULL, b);
		assert_int_equal(t.end, n <= 253 ? REQUEST_OPEN : REQUEST_REFUSED);
	}
}

static void
test_longest_login(void **state)
{
	char text[256];
	struct login login;
	uint8_t in[3 + 2 + 255 + 1 + 255] = {5, 1, 2, 1, 255};
	const struct bytes b = {(const char *)in, sizeof(in)};
	struct transcript t;

	(void)state;
	memset(text, 'u', sizeof(text));
	text[255] = '\0';
	assert_int_equal(login_init(&login, text, text), 0);
	memset(in + 5, 'u', 255);
	in[5 + 255] = 255;
	memset(in + 6 + 255, 'u', 255);
	t = run_every_way(&login, b);
	assert_int_equal(t.end, REQUEST_MORE);
	assert_memory_equal(t.answers, "\5\2\1\0", 4);
	in[sizeof(in) - 1] = 'v';
	t = run_every_way(&login, b);
	assert_int_equal(t.end, REQUEST_REFUSED);
	assert_int_equal(login_init(&login, "", "p"), -EINVAL);
	assert_int_equal(login_init(&login, "u", ""), -EINVAL);
}

static void
test_mutations(void **state)
{
	unsigned seed = seed_choose();
	struct login login;

	(void)state;
	assert_int_equal(login_init(&login, login_user, login_password), 0);
	for (size_t round = 0; round < 20000; round++) {
		const struct good *g = &goods[(size_t)rand_r(&seed) % ARRAY_LEN(goods)];
		char in[64];
		const struct bytes b = {in, g->in.len};

		memcpy(in, g->in.s, g->in.len);
		for (int flips = 1 + rand_r(&seed) % 3; flips > 0; flips--)
			in[(size_t)rand_r(&seed) % g->in.len] = (char)rand_r(&seed);
		(void)run_every_way(g->login ? &login : NULL, b);
	}
}

static void
test_answers(void **state)
{
	static const uint8_t codes[OPEN_STATUS_COUNT] = {
		[OPEN_OK] = 0,
		[OPEN_FAILED] = 1,
		[OPEN_DENIED] = 2,
		[OPEN_NET_UNREACHABLE] = 3,
		[OPEN_HOST_UNREACHABLE] = 4,
		[OPEN_NO_SUCH_NAME] = 4,
		[OPEN_REFUSED] = 5,
		[OPEN_TIMED_OUT] = 6,
		[OPEN_NAME_FAILED] = 1,
		[OPEN_LIMIT] = 1,
		[OPEN_NO_TUNNEL] = 1,
	};

	(void)state;
	for (int i = 0; i < OPEN_STATUS_COUNT; i++) {
		uint8_t out[REQUEST_ANSWER_MAX];

		assert_int_equal(socks5_answer((enum open_status)i, out), 10);
		assert_int_equal(out[0], 5);
		assert_int_equal(out[1], codes[i]);
		assert_memory_equal(out + 2, "\0\1\0\0\0\0\0\0", 8);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),          cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_bad),           cmocka_unit_test(test_long_names),
		cmocka_unit_test(test_longest_login), cmocka_unit_test(test_mutations),
		cmocka_unit_test(test_answers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
