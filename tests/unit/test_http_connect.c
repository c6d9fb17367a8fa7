#include "tests/unit/unit.h"

#include "daemon/http_connect.h"
#include "daemon/ingress.h"
#include "tests/unit/seed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct transcript {
	enum request_step end;
	int code; /* of the response, 0: none */
	char text[REQUEST_ANSWER_MAX + 1];
	size_t left;
	struct config_host dest;
};

static struct transcript
run(const struct login *login, const char *in, size_t len, size_t piece, unsigned *seed)
{
	struct http_connect h = {.login = login};
	struct transcript t = {.end = REQUEST_MORE};
	size_t from = 0, here = 0;

	while (t.end == REQUEST_MORE && here < len) {
		struct request r = {.used = 0};
		uint8_t *copy;

		here += piece == 0 ? len : 1 + (size_t)rand_r(seed) % piece;
		here = min_size(here, len);
		/* A copy of exact length, for the sanitizer to see overruns. */
		copy = malloc(here - from + 1);
		memcpy(copy, in + from, here - from);
		t.end = http_connect_parse(&h, copy, here - from, &r);
		free(copy);
		from += r.used;
		assert_true(from <= here);
		assert_int_not_equal(t.end, REQUEST_ANSWER);
		assert_int_equal(r.answer_len > 0, t.end == REQUEST_REFUSED);
		memcpy(t.text, r.answer, r.answer_len);
		if (t.end == REQUEST_OPEN)
			t.dest = r.dest;
	}
	t.left = t.end == REQUEST_REFUSED ? 0 : len - from;
	if (t.text[0] != '\0')
		assert_int_equal(sscanf(t.text, "HTTP/1.1 %d ", &t.code), 1);
	return t;
}

static struct transcript
run_every_way(const struct login *login, const char *in, size_t len)
{
	unsigned seed = 1;
	const struct transcript t = run(login, in, len, 0, &seed);

	for (size_t piece = 1; piece <= 64; piece *= 4) {
		const struct transcript o = run(login, in, len, piece, &seed);

		assert_int_equal(t.end, o.end);
		assert_string_equal(t.text, o.text);
		assert_string_equal(t.dest.host, o.dest.host);
		assert_int_equal(t.dest.port, o.dest.port);
		if (t.end == REQUEST_OPEN)
			assert_int_equal(t.left, o.left);
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
	const char *in, *host;
	uint16_t port;
	size_t left;
};

/* alice:s3cret */
#define AUTH "Proxy-Authorization: Basic YWxpY2U6czNjcmV0\r\n"
#define HEAD "CONNECT a.test:80 HTTP/1.1\r\nHost: a.test:80\r\n"

static const struct good goods[] = {
	{HEAD "\r\n", "a.test", 80, 0},
	{HEAD "\r\n\x16\x03\x01", "a.test", 80, 3},
	{HEAD "\r\n\r\n\r\n", "a.test", 80, 4},
	{"CONNECT 1.2.3.4:443 HTTP/1.1\r\nHost: 1.2.3.4\r\n\r\n", "1.2.3.4", 443, 0},
	{"CONNECT [::1]:443 HTTP/1.1\r\nhOST:[::1]\r\n\r\n", "::1", 443, 0},
	{"CONNECT [2001:db8::1]:1 HTTP/1.1\r\nHost: x\r\n\r\n", "2001:db8::1", 1, 0},
	{"CONNECT a_b-c.test.:65535 HTTP/1.1\r\nHost:\r\n\r\n", "a_b-c.test.", 65535,
	 0},
	{"CONNECT a:22 HTTP/1.0\r\n\r\n", "a", 22, 0},
	{HEAD "User-Agent: curl/7.88.1\r\nProxy-Connection: Keep-Alive\r\n\r\n",
	 "a.test", 80, 0},
	{HEAD "X-Odd: \t v\xc3\xa4lue \t\r\nX-Empty:\r\nContent-Length: 0\r\n\r\n",
	 "a.test", 80, 0},
	{HEAD AUTH "\r\n", "a.test", 80, 0},
};

static void
test_good(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(goods); i++) {
		const struct good *g = &goods[i];
		const struct transcript t = run_every_way(NULL, g->in, strlen(g->in));

		if (t.end != REQUEST_OPEN)
			fail_msg("refused: %s%s", g->in, t.text);
		assert_string_equal(t.dest.host, g->host);
		assert_int_equal(t.dest.port, g->port);
		assert_int_equal(t.left, g->left);
	}
}

static void
test_truncated(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(goods); i++) {
		const size_t whole = strlen(goods[i].in) - goods[i].left;

		for (size_t len = 0; len < whole; len++)
			assert_int_equal(run_every_way(NULL, goods[i].in, len).end,
					 REQUEST_MORE);
	}
}

struct bad {
	int code;
	const char *in;
};

static const struct bad bads[] = {
	/* other methods and forms */
	{501, "GET http://a.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n"},
	{501, "POST https://a.test/ HTTP/1.1\r\n"},
	{400, "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n"},
	{400, "OPTIONS * HTTP/1.1\r\n\r\n"},
	{400, "connect a.test:80 HTTP/1.1\r\n\r\n"},
	{400, "CONNECTX a.test:80 HTTP/1.1\r\n\r\n"},
	{400, "CONNECT http://a.test:80 HTTP/1.1\r\n\r\n"},
	/* request lines */
	{400, "\r\nCONNECT a.test:80 HTTP/1.1\r\n\r\n"},
	{400, "CONNECT\r\n"},
	{400, "CONNECT a.test:80\r\n"},
	{400, "CONNECT  a.test:80 HTTP/1.1\r\n"},
	{400, "CONNECT a.test:80  HTTP/1.1\r\n"},
	{400, "CONNECT a.test:80 HTTP/1.1 \r\n"},
	{400, " CONNECT a.test:80 HTTP/1.1\r\n"},
	{400, "CONNECT\ta.test:80\tHTTP/1.1\r\n"},
	{400, "CONNECT a.test:80 http/1.1\r\n"},
	{400, "CONNECT a.test:80 HTTP/1\r\n"},
	{400, "CONNECT a.test:80 HTTP/1.10\r\n"},
	{400, "CONNECT a.test:80 HTTP/x.y\r\n"},
	{505, "CONNECT a.test:80 HTTP/2.0\r\n"},
	{505, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"},
	{400, "\x16\x03\x01\x02"},
	{400, "\x05\x01"},
	/* targets */
	{400, "CONNECT a.test HTTP/1.1\r\n"},
	{400, "CONNECT a.test: HTTP/1.1\r\n"},
	{400, "CONNECT :80 HTTP/1.1\r\n"},
	{400, "CONNECT a.test:0 HTTP/1.1\r\n"},
	{400, "CONNECT a.test:65536 HTTP/1.1\r\n"},
	{400, "CONNECT a.test:+80 HTTP/1.1\r\n"},
	{400, "CONNECT a.test:80a HTTP/1.1\r\n"},
	{400, "CONNECT a.test:80:90 HTTP/1.1\r\n"},
	{400, "CONNECT a.test:80/ HTTP/1.1\r\n"},
	{400, "CONNECT ::1:80 HTTP/1.1\r\n"},
	{400, "CONNECT [::1]80 HTTP/1.1\r\n"},
	{400, "CONNECT [::1:80 HTTP/1.1\r\n"},
	{400, "CONNECT []:80 HTTP/1.1\r\n"},
	{400, "CONNECT [1.2.3.4]:80 HTTP/1.1\r\n"},
	{400, "CONNECT [a.test]:80 HTTP/1.1\r\n"},
	{400, "CONNECT [fe80::1%25lo]:80 HTTP/1.1\r\n"},
	{400, "CONNECT user@a.test:80 HTTP/1.1\r\n"},
	{400, "CONNECT a%00b:80 HTTP/1.1\r\n"},
	{400, "CONNECT a,b:80 HTTP/1.1\r\n"},
	{400, "CONNECT a\\b:80 HTTP/1.1\r\n"},
	{400, "CONNECT \xc3\xa4.test:80 HTTP/1.1\r\n"},
	/* line ends, folding, control bytes */
	{400, "CONNECT a.test:80 HTTP/1.1\nHost: a\n\n"},
	{400, HEAD "X: y\n\r\n"},
	{400, HEAD "\n"},
	{400, HEAD "X: y\rZ: w\r\n\r\n"},
	{400, HEAD "\r\r\n"},
	{400, HEAD "X: y\r\n folded\r\n\r\n"},
	{400, HEAD "X: y\r\n\tfolded\r\n\r\n"},
	{400, "CONNECT a.test:80 HTTP/1.1\r\n Host: a\r\n\r\n"},
	{400, HEAD "X: a\x01\r\n\r\n"},
	{400, HEAD "X: a\x7f\r\n\r\n"},
	{400, HEAD "X: a\x0b\r\n\r\n"},
	/* fields */
	{400, HEAD "no colon\r\n\r\n"},
	{400, HEAD "nocolon\r\n\r\n"},
	{400, HEAD ": value\r\n\r\n"},
	{400, HEAD "Name : value\r\n\r\n"},
	{400, HEAD "Na\"me: value\r\n\r\n"},
	{400, HEAD "Na\xc3me: value\r\n\r\n"},
	{400, HEAD "Host: b.test\r\n\r\n"},
	{400, HEAD "host: a.test:80\r\n\r\n"},
	{400, "CONNECT a.test:80 HTTP/1.1\r\n\r\n"},
	{400, "CONNECT a.test:80 HTTP/1.1\r\nX: y\r\n\r\n"},
	/* a body, or what somebody else might take for one */
	{400, HEAD "Content-Length: 5\r\n\r\nhello"},
	{400, HEAD "Content-Length: 00\r\n\r\n"},
	{400, HEAD "Content-Length: 0, 5\r\n\r\n"},
	{400, HEAD "Content-Length: 0\r\ncontent-length: 7\r\n\r\n"},
	{400, HEAD "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
	{400, HEAD "transfer-encoding: identity\r\n\r\n"},
	{400, HEAD AUTH AUTH "\r\n"},
};

static void
test_bad(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bads); i++) {
		const struct bad *b = &bads[i];
		const struct transcript t = run_every_way(NULL, b->in, strlen(b->in));

		if (t.end != REQUEST_REFUSED || t.code != b->code)
			fail_msg("not answered with %d: %s%s", b->code, b->in, t.text);
	}
}

static void
test_nul(void **state)
{
	static const char in_target[] = "CONNECT a\0.test:80 HTTP/1.1\r\n\r\n";
	static const char in_value[] = HEAD "X: a\0b\r\n\r\n";

	(void)state;
	assert_int_equal(run_every_way(NULL, in_target, sizeof(in_target) - 1).code,
			 400);
	assert_int_equal(run_every_way(NULL, in_value, sizeof(in_value) - 1).code, 400);
}

static void
test_login(void **state)
{
	static const struct bad tries[] = {
		{0, HEAD AUTH "\r\n"},
		{0, HEAD "proxy-authorization:bAsIc   YWxpY2U6czNjcmV0 \r\n\r\n"},
		{407, HEAD "\r\n"},
		{407, HEAD "Authorization: Basic YWxpY2U6czNjcmV0\r\n\r\n"},
		{407, HEAD "Proxy-Authorization: Basic YWxpY2U6czNjcmVU\r\n\r\n"},
		{407, HEAD "Proxy-Authorization: Basic YWxpY2U6czNjcmV\r\n\r\n"},
		{407, HEAD "Proxy-Authorization: Basic YWxpY2U6czNjcmV0=\r\n\r\n"},
		{407, HEAD "Proxy-Authorization: Basic\r\n\r\n"},
		{407, HEAD "Proxy-Authorization: Basic \r\n\r\n"},
		{407, HEAD "Proxy-Authorization:\r\n\r\n"},
		{407, HEAD "Proxy-Authorization: Basic !!!!\r\n\r\n"},
		{407, HEAD "Proxy-Authorization: Digest YWxpY2U6czNjcmV0\r\n\r\n"},
		{407, HEAD "Proxy-Authorization: YWxpY2U6czNjcmV0\r\n\r\n"},
		{400, HEAD AUTH AUTH "\r\n"},
		{400, HEAD "Proxy-Authorization: x\r\n" AUTH "\r\n"},
	};
	struct login login;

	(void)state;
	assert_int_equal(login_init(&login, "alice", "s3cret"), 0);
	for (size_t i = 0; i < ARRAY_LEN(tries); i++) {
		const char *in = tries[i].in;
		const struct transcript t = run_every_way(&login, in, strlen(in));

		if (t.code != tries[i].code)
			fail_msg("not answered with %d: %s", tries[i].code, in);
		assert_int_equal(t.end, t.code == 0 ? REQUEST_OPEN : REQUEST_REFUSED);
		assert_int_equal(strstr(t.text, "\r\nProxy-Authenticate: Basic ") !=
					 NULL,
				 t.code == 407);
		assert_null(strstr(t.text, "s3cret"));
	}
}

/* RFC 4648, section 10, through the only door there is. */
static void
test_base64(void **state)
{
	static const char *const pairs[][3] = {
		{"f", "o", "Zjpv"},
		{"fo", "o", "Zm86bw=="},
		{"foo", "b", "Zm9vOmI="},
		{"Aladdin", "open sesame", "QWxhZGRpbjpvcGVuIHNlc2FtZQ=="},
		{"test", "123\xc2\xa3", "dGVzdDoxMjPCow=="},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
		struct login login;

		assert_int_equal(login_init(&login, pairs[i][0], pairs[i][1]), 0);
		assert_string_equal(login.basic, pairs[i][2]);
	}
}

/* The longest header that fits, and one byte more. */
static void
test_length(void **state)
{
	char in[INGRESS_HEADER_MAX + 64];

	(void)state;
	for (size_t total = INGRESS_HEADER_MAX - 1; total <= INGRESS_HEADER_MAX + 2;
	     total++) {
		const size_t fixed = sizeof(HEAD "X: \r\n\r\n") - 1;
		struct transcript t;

		strcpy(in, HEAD "X: ");
		memset(in + strlen(HEAD "X: "), 'x', total - fixed);
		memcpy(in + total - 4, "\r\n\r\n", 4);
		t = run_every_way(NULL, in, total);
		if (total <= INGRESS_HEADER_MAX)
			assert_int_equal(t.end, REQUEST_OPEN);
		else
			assert_int_equal(t.code, 431);
	}
	memset(in, 'C', sizeof(in));
	assert_int_equal(run_every_way(NULL, in, INGRESS_HEADER_MAX - 1).end,
			 REQUEST_MORE);
	assert_int_equal(run_every_way(NULL, in, INGRESS_HEADER_MAX).code, 431);
	assert_int_equal(run_every_way(NULL, in, sizeof(in)).code, 431);
}

static void
test_long_names(void **state)
{
	(void)state;
	for (size_t n = 252; n <= 262; n++) {
		char in[400];
		struct transcript t;
		int len = snprintf(in, sizeof(in),
				   "CONNECT %0*d:80 HTTP/1.1\r\nHost: x\r\n\r\n",
				   (int)n, 0);

		t = run_every_way(NULL, in, (size_t)len);
		assert_int_equal(t.end, n <= 253 ? REQUEST_OPEN : REQUEST_REFUSED);
	}
}

static void
test_mutations(void **state)
{
	unsigned seed = seed_choose();
	struct login login;

	(void)state;
	assert_int_equal(login_init(&login, "alice", "s3cret"), 0);
	for (size_t round = 0; round < 20000; round++) {
		static const char likely[] = "\r\n\r\n :\t\0[]CONNECT";
		const struct good *g = &goods[(size_t)rand_r(&seed) % ARRAY_LEN(goods)];
		const size_t len = strlen(g->in);
		char in[256];

		memcpy(in, g->in, len);
		for (int flips = 1 + rand_r(&seed) % 3; flips > 0; flips--)
			in[(size_t)rand_r(&seed) % len] =
				rand_r(&seed) % 2 ? (char)rand_r(&seed)
						  : likely[(size_t)rand_r(&seed) %
							   sizeof(likely)];
		(void)run_every_way(rand_r(&seed) % 2 ? &login : NULL, in, len);
	}
}

static void
test_answers(void **state)
{
	static const int codes[OPEN_STATUS_COUNT] = {
		[OPEN_OK] = 200,
		[OPEN_FAILED] = 502,
		[OPEN_DENIED] = 403,
		[OPEN_NET_UNREACHABLE] = 502,
		[OPEN_HOST_UNREACHABLE] = 502,
		[OPEN_REFUSED] = 502,
		[OPEN_TIMED_OUT] = 504,
		[OPEN_NO_SUCH_NAME] = 502,
		[OPEN_NAME_FAILED] = 502,
		[OPEN_LIMIT] = 503,
		[OPEN_NO_TUNNEL] = 503,
	};

	(void)state;
	for (int i = 0; i < OPEN_STATUS_COUNT; i++) {
		const enum open_status status = (enum open_status)i;
		char out[REQUEST_ANSWER_MAX + 1] = "";
		size_t len = http_connect_answer(status, (uint8_t *)out);
		const char *body = strstr(out, "\r\n\r\n");
		int code;

		assert_int_equal(strlen(out), len);
		assert_int_equal(sscanf(out, "HTTP/1.1 %d ", &code), 1);
		assert_int_equal(code, codes[i]);
		assert_non_null(body);
		body += 4;
		if (status == OPEN_OK) {
			assert_string_equal(body, "");
		} else {
			const char *length = strstr(out, "\r\nContent-Length: ");
			const size_t text = strlen(open_status_text(status));

			assert_non_null(length);
			assert_int_equal(atoi(length + 18), strlen(body));
			assert_int_equal(strlen(body), text + 1);
			assert_memory_equal(body, open_status_text(status), text);
			assert_non_null(
				strstr(out, "\r\nContent-Type: text/plain\r\n"));
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),      cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_bad),       cmocka_unit_test(test_nul),
		cmocka_unit_test(test_login),     cmocka_unit_test(test_base64),
		cmocka_unit_test(test_length),    cmocka_unit_test(test_long_names),
		cmocka_unit_test(test_mutations), cmocka_unit_test(test_answers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
