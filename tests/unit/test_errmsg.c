#include "tests/unit/unit.h"

#include "common/errmsg.h"
#include "common/log.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void
test_sets_and_prefixes(void **state)
{
	struct errmsg e;

	(void)state;
	assert_int_equal(errmsg_set(&e, -EPERM, "%s %d", "no", 5), -EPERM);
	assert_string_equal(e.text, "no 5");
	errmsg_prefix(&e, "line %d", 7);
	errmsg_prefix(&e, "a.conf");
	assert_string_equal(e.text, "a.conf: line 7: no 5");
}

static void
test_cuts_what_does_not_fit(void **state)
{
	struct errmsg e;
	char longer[ERRMSG_MAX * 2];

	(void)state;
	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	errmsg_set(&e, 0, "%s", longer);
	assert_int_equal(strlen(e.text), ERRMSG_MAX - 1);
	errmsg_prefix(&e, "file");
	assert_int_equal(strlen(e.text), ERRMSG_MAX - 1);
	assert_memory_equal(e.text, "file: xxxx", 10);
	errmsg_prefix(&e, "%s", longer);
	assert_int_equal(strlen(e.text), ERRMSG_MAX - 1);
	assert_memory_equal(e.text, longer, ERRMSG_MAX - 1);
}

/* Every byte, in every room: printable, whole escapes only, ended by NUL. */
static void
test_escapes_every_byte(void **state)
{
	(void)state;
	for (unsigned c = 0; c < 256; c++) {
		bool plain = c >= 0x20 && c <= 0x7e && c != '\\';
		char src[2] = {(char)c, (char)c};
		char one[8], expected[16];

		if (plain)
			snprintf(one, sizeof(one), "%c", (int)c);
		else
			snprintf(one, sizeof(one), "\\x%02x", c);
		for (size_t cap = 1; cap <= 10; cap++) {
			size_t fit = (cap - 1) / strlen(one);
			char dst[12];

			memset(dst, 'G', sizeof(dst));
			snprintf(expected, sizeof(expected), "%s%s", fit > 0 ? one : "",
				 fit > 1 ? one : "");
			assert_ptr_equal(errmsg_escape(dst, cap, src, 2), dst);
			assert_string_equal(dst, expected);
			assert_int_equal(dst[cap], 'G');
		}
	}
}

/* Standard error goes to a pipe from here to end_capture(). */
struct capture {
	int saved, reader;
};

static struct capture
begin_capture(void)
{
	struct capture c;
	int fds[2];

	assert_int_equal(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
	fflush(stderr);
	c.saved = dup(STDERR_FILENO);
	c.reader = fds[0];
	assert_true(c.saved >= 0 && dup2(fds[1], STDERR_FILENO) >= 0);
	close(fds[1]);
	return c;
}

static void
end_capture(struct capture c, char *ret_text, size_t cap)
{
	ssize_t n;

	dup2(c.saved, STDERR_FILENO);
	close(c.saved);
	n = read(c.reader, ret_text, cap - 1);
	close(c.reader);
	assert_true(n >= 0);
	ret_text[n] = '\0';
}

static int
reset_log(void **state)
{
	(void)state;
	log_set_level(LOG_LEVEL_INFO);
	log_to_journal(false);
	return 0;
}

static void
log_one_of_each(void)
{
	log_error("e");
	log_warn("w");
	log_info("i");
	log_debug("d");
}

static void
test_levels_let_through_what_they_should(void **state)
{
	static const char *const expected[] = {
		[LOG_LEVEL_ERROR] = "<3>e\n",
		[LOG_LEVEL_WARN] = "<3>e\n<4>w\n",
		[LOG_LEVEL_INFO] = "<3>e\n<4>w\n<6>i\n",
		[LOG_LEVEL_DEBUG] = "<3>e\n<4>w\n<6>i\n<7>d\n",
	};

	(void)state;
	log_to_journal(true);
	for (unsigned level = LOG_LEVEL_ERROR; level <= LOG_LEVEL_DEBUG; level++) {
		struct capture c = begin_capture();
		char text[256];

		log_set_level((enum log_level)level);
		log_one_of_each();
		end_capture(c, text, sizeof(text));
		assert_string_equal(text, expected[level]);
	}
}

static void
test_lines_for_people_begin_with_the_time(void **state)
{
	struct capture c = begin_capture();
	char text[256], level[16], rest[64];
	int y, mo, d, h, mi, s, ms;

	(void)state;
	log_warn("uplink=%s rtt_ms=%d", "lte", 43);
	end_capture(c, text, sizeof(text));
	assert_int_equal(sscanf(text, "%d-%d-%d %d:%d:%d.%3d %15s %63[^\n]", &y, &mo,
				&d, &h, &mi, &s, &ms, level, rest),
			 9);
	assert_string_equal(level, "warn");
	assert_string_equal(rest, "uplink=lte rtt_ms=43");
	assert_int_equal(text[strlen(text) - 1], '\n');
}

/* Nobody can begin a line of their own, or colour the terminal. */
static void
test_lines_cannot_be_forged(void **state)
{
	struct capture c = begin_capture();
	char text[256];

	(void)state;
	log_to_journal(true);
	log_info("host=%s", "a\n<3>forged\r\033[31m\\");
	end_capture(c, text, sizeof(text));
	assert_string_equal(text, "<6>host=a\\x0a<3>forged\\x0d\\x1b[31m\\x5c\n");
}

static void
test_long_lines_are_cut(void **state)
{
	static const char fills[] = {'x', '\n'};
	char longer[LOG_LINE_MAX * 2], text[LOG_LINE_MAX * 4];

	(void)state;
	log_to_journal(true);
	for (size_t i = 0; i < ARRAY_LEN(fills); i++) {
		struct capture c = begin_capture();

		memset(longer, fills[i], sizeof(longer) - 1);
		longer[sizeof(longer) - 1] = '\0';
		log_info("%s", longer);
		end_capture(c, text, sizeof(text));
		assert_in_range(strlen(text), LOG_LINE_MAX - 1, LOG_LINE_MAX + 64);
		assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
	}
}

static void
test_limited_lines_count_what_is_left_out(void **state)
{
	struct log_limit limit = {.interval = 10};
	struct capture c = begin_capture();
	char text[512];

	(void)state;
	log_to_journal(true);
	for (ns_t now = 0; now <= 22; now++)
		log_warn_limited(&limit, now, "at %d", (int)now);
	end_capture(c, text, sizeof(text));
	assert_string_equal(text, "<4>at 0\n"
				  "<4>at 10 (left out since the last such line: 9)\n"
				  "<4>at 20 (left out since the last such line: 9)\n");
	assert_int_equal(limit.left_out, 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sets_and_prefixes),
		cmocka_unit_test(test_cuts_what_does_not_fit),
		cmocka_unit_test(test_escapes_every_byte),
		cmocka_unit_test_teardown(test_levels_let_through_what_they_should,
					  reset_log),
		cmocka_unit_test_teardown(test_lines_for_people_begin_with_the_time,
					  reset_log),
		cmocka_unit_test_teardown(test_lines_cannot_be_forged, reset_log),
		cmocka_unit_test_teardown(test_long_lines_are_cut, reset_log),
		cmocka_unit_test_teardown(test_limited_lines_count_what_is_left_out,
					  reset_log),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
