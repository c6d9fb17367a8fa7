#include "tests/unit/unit.h"

#include "common/ctlmsg.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct hostile {
	const char *line;
	size_t len; /* 0: strlen */
	enum ctlmsg_code code;
	const char *in_message;
};

static const struct hostile table[] = {
	{"{", 0, CTLMSG_BAD_JSON, "end of"},
	{"}", 0, CTLMSG_BAD_JSON, ""},
	{" ", 0, CTLMSG_BAD_JSON, ""},
	{"{\"cmd\":\"status\"", 0, CTLMSG_BAD_JSON, ""},
	{"{\"cmd\":\"status\"} x", 0, CTLMSG_BAD_JSON, ""},
	{"{\"cmd\":\"status\"}{\"cmd\":\"status\"}", 0, CTLMSG_BAD_JSON, ""},
	{"{'cmd':'status'}", 0, CTLMSG_BAD_JSON, ""},
	{"{\"cmd\":\"a\",\"cmd\":\"b\"}", 0, CTLMSG_BAD_JSON, "duplicate"},
	{"{\"cmd\":\"a\",\"x\":{\"y\":1,\"y\":2}}", 0, CTLMSG_BAD_JSON, "duplicate"},
	{"{\"cmd\":\"a\",\"c\\u006dd\":\"b\"}", 0, CTLMSG_BAD_JSON, "duplicate"},
	{"{\"cmd\":\"\xff\xfe\"}", 0, CTLMSG_BAD_JSON, "decode"},
	{"{\"cmd\":\"\xc0\xaf\"}", 0, CTLMSG_BAD_JSON, "decode"},
	{"{\"cmd\":\"\xed\xa0\x80\"}", 0, CTLMSG_BAD_JSON, "decode"},
	{"{\"cmd\":\"\\ud800\"}", 0, CTLMSG_BAD_JSON, ""},
	{"{\"cmd\":\"a\\u0000b\"}", 0, CTLMSG_BAD_JSON, ""},
	{"{\"cmd\":\"a\0b\"}", 13, CTLMSG_BAD_JSON, ""},
	{"\0", 1, CTLMSG_BAD_JSON, ""},
	{"{\"cmd\":\"a\"}\0", 12, CTLMSG_BAD_JSON, ""},
	{"{\"cmd\":\"a\tb\"}", 0, CTLMSG_BAD_JSON, ""},
	{"{\"cmd\":\"a\",\"from\":9223372036854775808}", 0, CTLMSG_BAD_JSON, "big"},
	{"{\"cmd\":\"a\",\"from\":1e999}", 0, CTLMSG_BAD_JSON, "overflow"},
	{"{\"cmd\":\"a\",\"from\":01}", 0, CTLMSG_BAD_JSON, ""},
	{"{\"cmd\":\"a\",\"from\":NaN}", 0, CTLMSG_BAD_JSON, ""},
	{"[]", 0, CTLMSG_BAD_REQUEST, "object"},
	{"null", 0, CTLMSG_BAD_REQUEST, "object"},
	{"42", 0, CTLMSG_BAD_REQUEST, "object"},
	{"\"status\"", 0, CTLMSG_BAD_REQUEST, "object"},
	{"{}", 0, CTLMSG_BAD_REQUEST, "missing"},
	{"{\"id\":1}", 0, CTLMSG_BAD_REQUEST, "missing"},
	{"{\"cmd\":7}", 0, CTLMSG_BAD_REQUEST, "not a string"},
	{"{\"cmd\":null}", 0, CTLMSG_BAD_REQUEST, "not a string"},
	{"{\"cmd\":\"a\",\"id\":[]}", 0, CTLMSG_BAD_REQUEST, "\"id\""},
	{"{\"cmd\":\"a\",\"id\":1.5}", 0, CTLMSG_BAD_REQUEST, "\"id\""},
	{"{\"cmd\":\"a\",\"id\":true}", 0, CTLMSG_BAD_REQUEST, "\"id\""},
};

/* Parses a copy that ends where the heap block ends, so that ASan sees an overrun. */
static int
parse(const char *line, size_t len, struct ctlmsg_request *r, struct ctlmsg_error *e)
{
	char *copy = malloc(len > 0 ? len : 1);
	int err;

	assert_non_null(copy);
	memcpy(copy, line, len);
	err = ctlmsg_parse(copy, len, r, e);
	free(copy);
	return err;
}

static void
test_hostile(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		const struct hostile *h = &table[i];
		struct ctlmsg_request r;
		struct ctlmsg_error e;
		int err;

		err = parse(h->line, h->len > 0 ? h->len : strlen(h->line), &r, &e);
		if (err != -EINVAL || e.code != h->code ||
		    strstr(e.why.text, h->in_message) == NULL)
			fail_msg("row %zu: %s: err=%d code=%s message=%s", i, h->line,
				 err, err == 0 ? "" : ctlmsg_code_name(e.code),
				 err == 0 ? "" : e.why.text);
		for (const char *p = e.why.text; *p != '\0'; p++)
			assert_in_range((unsigned char)*p, 0x20, 0x7e);
		ctlmsg_request_done(&r);
	}
}

/* A request of exactly `len` bytes. */
static char *
padded(size_t len)
{
	static const char head[] = "{\"cmd\":\"status\",\"pad\":\"";
	char *line = malloc(len + 1);

	assert_non_null(line);
	memset(line, 'x', len);
	memcpy(line, head, sizeof(head) - 1);
	memcpy(line + len - 2, "\"}", 3);
	return line;
}

static void
test_length(void **state)
{
	char *line;
	struct ctlmsg_request r;
	struct ctlmsg_error e;

	(void)state;
	line = padded(CTLMSG_LINE_MAX);
	assert_int_equal(parse(line, CTLMSG_LINE_MAX, &r, &e), 0);
	assert_string_equal(r.cmd, "status");
	ctlmsg_request_done(&r);
	free(line);

	line = padded(CTLMSG_LINE_MAX + 1);
	assert_int_equal(parse(line, CTLMSG_LINE_MAX + 1, &r, &e), -EINVAL);
	assert_int_equal(e.code, CTLMSG_TOO_LONG);
	ctlmsg_request_done(&r);
	free(line);
}

/* {"cmd":"x","a":[[[...]]]} with `levels` brackets in all. */
static int
parse_deep(size_t levels, bool closed, struct ctlmsg_error *e)
{
	static const char head[] = "{\"cmd\":\"x\",\"a\":";
	size_t n = sizeof(head) - 1;
	char *line = malloc(n + 2 * levels + 1);
	struct ctlmsg_request r;
	int err;

	assert_non_null(line);
	memcpy(line, head, n);
	memset(line + n, '[', levels - 1);
	n += levels - 1;
	if (closed) {
		memset(line + n, ']', levels - 1);
		n += levels - 1;
		line[n++] = '}';
	}
	err = parse(line, n, &r, e);
	ctlmsg_request_done(&r);
	free(line);
	return err;
}

static void
test_depth(void **state)
{
	struct ctlmsg_error e;

	(void)state;
	assert_int_equal(parse_deep(CTLMSG_DEPTH_MAX, true, &e), 0);
	assert_int_equal(parse_deep(CTLMSG_DEPTH_MAX + 1, true, &e), -EINVAL);
	assert_int_equal(e.code, CTLMSG_BAD_JSON);
	assert_non_null(strstr(e.why.text, "levels"));
	assert_int_equal(parse_deep(CTLMSG_LINE_MAX / 2 - 100, true, &e), -EINVAL);
	assert_non_null(strstr(e.why.text, "levels"));
	assert_int_equal(parse_deep(60000, false, &e), -EINVAL);
	assert_non_null(strstr(e.why.text, "levels"));
	/* Whichever bound is met first: never the stack. */
	assert_int_equal(parse_deep(100000, true, &e), -EINVAL);
	assert_int_equal(parse_deep(100000, false, &e), -EINVAL);
}

static void
test_brackets_in_strings_are_no_depth(void **state)
{
	static const char line[] =
		"{\"cmd\":\"x\",\"a\":\"[[[[[[[[[[[[[[[[[[\\\"{{{{\\\\\"}";
	struct ctlmsg_request r;
	struct ctlmsg_error e;

	(void)state;
	assert_int_equal(parse(line, sizeof(line) - 1, &r, &e), 0);
	ctlmsg_request_done(&r);
}

static void
check_reply(char *text, const char *want)
{
	assert_non_null(text);
	assert_string_equal(text, want);
	free(text);
}

static void
test_replies(void **state)
{
	static const char line[] = "{\"cmd\":\"x\",\"id\":7}";
	json_t *result = json_pack("{s:i}", "a", 1);
	struct ctlmsg_request r;
	struct ctlmsg_error e;

	(void)state;
	assert_int_equal(parse(line, sizeof(line) - 1, &r, &e), 0);
	check_reply(ctlmsg_ok(r.id, result),
		    "{\"id\":7,\"ok\":true,\"result\":{\"a\":1}}");
	check_reply(ctlmsg_ok(NULL, result), "{\"ok\":true,\"result\":{\"a\":1}}");
	ctlmsg_fail(&e, CTLMSG_UNKNOWN_UPLINK, "no uplink is called \"%s\"", "w");
	check_reply(ctlmsg_refusal(r.id, &e),
		    "{\"id\":7,\"ok\":false,\"error\":{\"code\":\"unknown_uplink\","
		    "\"message\":\"no uplink is called \\\"w\\\"\"}}");
	ctlmsg_request_done(&r);
	json_decref(result);
}

static void
test_id_survives_a_bad_request(void **state)
{
	static const char line[] = "{\"id\":\"abc\",\"cmd\":1}";
	struct ctlmsg_request r;
	struct ctlmsg_error e;

	(void)state;
	assert_int_equal(parse(line, sizeof(line) - 1, &r, &e), -EINVAL);
	assert_string_equal(json_string_value(r.id), "abc");
	ctlmsg_request_done(&r);
	ctlmsg_request_done(&r);
}

static void
test_long_id(void **state)
{
	char line[CTLMSG_ID_MAX + 64];
	struct ctlmsg_request r;
	struct ctlmsg_error e;
	int n;

	(void)state;
	n = snprintf(line, sizeof(line), "{\"cmd\":\"x\",\"id\":\"%0*d\"}",
		     CTLMSG_ID_MAX, 0);
	assert_int_equal(parse(line, (size_t)n, &r, &e), 0);
	ctlmsg_request_done(&r);
	n = snprintf(line, sizeof(line), "{\"cmd\":\"x\",\"id\":\"%0*d\"}",
		     CTLMSG_ID_MAX + 1, 0);
	assert_int_equal(parse(line, (size_t)n, &r, &e), -EINVAL);
	assert_int_equal(e.code, CTLMSG_BAD_REQUEST);
	assert_null(r.id);
	ctlmsg_request_done(&r);
}

static void
test_every_code_has_a_name(void **state)
{
	(void)state;
	for (int i = 0; i < CTLMSG_CODE_COUNT; i++) {
		assert_non_null(ctlmsg_code_name((enum ctlmsg_code)i));
		for (int k = 0; k < i; k++)
			assert_string_not_equal(ctlmsg_code_name((enum ctlmsg_code)i),
						ctlmsg_code_name((enum ctlmsg_code)k));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_length),
		cmocka_unit_test(test_depth),
		cmocka_unit_test(test_brackets_in_strings_are_no_depth),
		cmocka_unit_test(test_replies),
		cmocka_unit_test(test_id_survives_a_bad_request),
		cmocka_unit_test(test_long_id),
		cmocka_unit_test(test_every_code_has_a_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
