#include "tests/unit/unit.h"

#include "common/keytext.h"
#include "daemon/secret.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char canary[] = "Q0FOQVJZ-must-not-show";

struct place {
	char dir[64];
	char file[96];
};

static int
setup(void **state)
{
	static struct place p;

	strcpy(p.dir, "/tmp/mpp-secret-XXXXXX");
	if (mkdtemp(p.dir) == NULL)
		return -1;
	snprintf(p.file, sizeof(p.file), "%s/key", p.dir);
	unsetenv("CREDENTIALS_DIRECTORY");
	*state = &p;
	return 0;
}

static int
teardown(void **state)
{
	struct place *p = *state;
	char link[128];

	snprintf(link, sizeof(link), "%s.link", p->file);
	unlink(link);
	unlink(p->file);
	unsetenv("CREDENTIALS_DIRECTORY");
	return rmdir(p->dir);
}

static void
write_file(const struct place *p, const void *content, size_t len, mode_t mode)
{
	int fd;

	unlink(p->file);
	fd = open(p->file, O_WRONLY | O_CREAT | O_EXCL, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, content, len), len);
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

/* Refused with this reason, nothing stored, nothing of the content shown. */
static void
assert_refused(const char *file, int err, const char *reason)
{
	struct errmsg why = {""};
	uint8_t key[CRYPTO_KEY_LEN];
	uint8_t untouched[CRYPTO_KEY_LEN];

	memset(key, 0x5a, sizeof(key));
	memset(untouched, 0x5a, sizeof(untouched));
	assert_int_equal(secret_load_key(file, key, &why), err);
	assert_memory_equal(key, untouched, sizeof(key));
	assert_int_equal(strncmp(why.text, file, strlen(file)), 0);
	assert_non_null(strstr(why.text, reason));
	assert_null(strstr(why.text, "Q0FO"));
}

static void
test_loads_a_key(void **state)
{
	static const char *const ends[] = {"", "\n", "\r\n", "\n\n", "\nsecond line\n"};
	const struct place *p = *state;
	uint8_t key[CRYPTO_KEY_LEN], got[CRYPTO_KEY_LEN];
	struct errmsg why;

	for (size_t i = 0; i < sizeof(key); i++)
		key[i] = (uint8_t)(i * 7);
	for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
		char content[128];
		int n = snprintf(content, sizeof(content), "%s%s",
				 keytext_format(key).s, ends[i]);

		write_file(p, content, (size_t)n, i % 2 ? 0600 : 0400);
		memset(got, 0, sizeof(got));
		assert_int_equal(secret_load_key(p->file, got, &why), 0);
		assert_memory_equal(got, key, sizeof(key));
	}
}

static void
test_refuses_what_others_may_touch(void **state)
{
	static const mode_t modes[] = {0640, 0604, 0620, 0602, 0610, 0601, 0644, 0666};
	const struct place *p = *state;

	for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
		write_file(p, canary, strlen(canary), modes[i]);
		assert_refused(p->file, -EPERM, "chmod 600");
	}
}

static void
test_credentials_may_be_read_by_the_group(void **state)
{
	const struct place *p = *state;
	char line[64], odd[128];
	struct errmsg why;

	setenv("CREDENTIALS_DIRECTORY", p->dir, 1);
	write_file(p, canary, strlen(canary), 0440);
	assert_int_equal(secret_load_line(p->file, line, sizeof(line), &why), 0);
	assert_string_equal(line, canary);

	write_file(p, canary, strlen(canary), 0444);
	assert_refused(p->file, -EPERM, "chmod 600");
	write_file(p, canary, strlen(canary), 0460);
	assert_refused(p->file, -EPERM, "chmod 600");

	/* Only what is in that directory. */
	write_file(p, canary, strlen(canary), 0440);
	setenv("CREDENTIALS_DIRECTORY", "/tmp/mpp-secret", 1);
	assert_refused(p->file, -EPERM, "chmod 600");
	setenv("CREDENTIALS_DIRECTORY", "/run", 1);
	snprintf(odd, sizeof(odd), "/run/..%s", p->file);
	assert_refused(odd, -EPERM, "chmod 600");
}

static void
test_refuses_what_is_no_file(void **state)
{
	const struct place *p = *state;
	char link[128];

	assert_refused(p->file, -ENOENT, "cannot be opened: No such file");
	assert_refused(p->dir, -EINVAL, "is not a regular file");
	assert_refused("/dev/null", -EINVAL, "is not a regular file");

	assert_int_equal(mkfifo(p->file, 0600), 0);
	assert_refused(p->file, -EINVAL, "is not a regular file");

	write_file(p, canary, strlen(canary), 0600);
	snprintf(link, sizeof(link), "%s.link", p->file);
	assert_int_equal(symlink(p->file, link), 0);
	assert_refused(link, -ELOOP, "is a symbolic link");
}

static void
test_refuses_another_owner(void **state)
{
	const struct place *p = *state;

	if (geteuid() != 0)
		skip();
	write_file(p, canary, strlen(canary), 0600);
	if (chown(p->file, 65534, (gid_t)-1) < 0)
		skip(); /* a user namespace with one user in it */
	assert_refused(p->file, -EPERM, "belongs to user 65534; run: chown 0");
}

static void
test_refuses_what_is_no_key(void **state)
{
	const struct place *p = *state;
	char longer[2000];
	uint8_t zero[32] = {0};
	char two[128];
	int n;

	write_file(p, "", 0, 0600);
	assert_refused(p->file, -EINVAL, "its first line is empty");
	write_file(p, "\nabc\n", 5, 0600);
	assert_refused(p->file, -EINVAL, "its first line is empty");
	write_file(p, canary, strlen(canary), 0600);
	assert_refused(p->file, -EINVAL, "does not hold a key");
	write_file(p, "Q0FO\0QVJZ\n", 10, 0600);
	assert_refused(p->file, -EINVAL, "NUL");
	n = snprintf(two, sizeof(two), "%s Q0FO\n", keytext_format(zero).s);
	write_file(p, two, (size_t)n, 0600);
	assert_refused(p->file, -EINVAL, "does not hold a key");
	memset(longer, 'Q', sizeof(longer));
	write_file(p, longer, sizeof(longer), 0600);
	assert_refused(p->file, -EINVAL, "is longer than");
}

static void
test_lines_fit_or_are_refused(void **state)
{
	const struct place *p = *state;
	char line[8] = "before";
	struct errmsg why;

	write_file(p, "12345678\n", 9, 0600);
	assert_int_equal(secret_load_line(p->file, line, sizeof(line), &why), -EINVAL);
	assert_non_null(strstr(why.text, "longer than 7 bytes"));
	assert_null(strstr(why.text, "12345"));
	assert_string_equal(line, "before");

	write_file(p, "1234567\n8\n", 10, 0600);
	assert_int_equal(secret_load_line(p->file, line, sizeof(line), &why), 0);
	assert_string_equal(line, "1234567");
	write_file(p, " a b ", 5, 0600);
	assert_int_equal(secret_load_line(p->file, line, sizeof(line), &why), 0);
	assert_string_equal(line, " a b ");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_loads_a_key, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refuses_what_others_may_touch,
						setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_credentials_may_be_read_by_the_group, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refuses_what_is_no_file, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_refuses_another_owner, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_refuses_what_is_no_key, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_lines_fit_or_are_refused, setup,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
