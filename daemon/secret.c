#include "daemon/secret.h"

#include "common/keytext.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What a file name may take in a sentence. */
enum { SHOWN_MAX = 200 };

static int
open_secret(const char *file, const char *shown, struct errmsg *why)
{
	/* O_NONBLOCK: a FIFO must not hold us up before we have looked at it. */
	int fd = open(file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	int err = -errno;

	if (fd >= 0)
		return fd;
	if (err == -ELOOP)
		return errmsg_set(why, err,
				  "%s: is a symbolic link; name the file itself",
				  shown);
	return errmsg_set(why, err, "%s: cannot be opened: %s", shown, strerror(-err));
}

static bool
is_credential(const char *file)
{
	const char *dir = getenv("CREDENTIALS_DIRECTORY");
	size_t len;

	if (dir == NULL || dir[0] != '/')
		return false;
	len = strlen(dir);
	return strncmp(file, dir, len) == 0 && file[len] == '/' &&
	       strstr(file + len, "/../") == NULL;
}

static int
check_file(int fd, const char *file, const char *shown, struct errmsg *why)
{
	mode_t open_to = S_IRWXG | S_IRWXO;
	struct stat st;

	if (fstat(fd, &st) < 0) {
		int err = -errno;

		return errmsg_set(why, err, "%s: cannot be looked at: %s", shown,
				  strerror(-err));
	}
	if (!S_ISREG(st.st_mode))
		return errmsg_set(why, -EINVAL, "%s: is not a regular file", shown);
	if (st.st_uid != 0 && st.st_uid != geteuid())
		return errmsg_set(why, -EPERM,
				  "%s: belongs to user %u; run: chown %u '%s'", shown,
				  st.st_uid, geteuid(), shown);
	/* systemd gives a service read access through the group's bits. */
	if (is_credential(file))
		open_to &= ~(mode_t)S_IRGRP;
	if (st.st_mode & open_to)
		return errmsg_set(
			why, -EPERM,
			"%s: mode %04o lets others at a secret; run: chmod 600 '%s'",
			shown, st.st_mode & 07777u, shown);
	return 0;
}

/* Reads up to `cap` bytes. Bytes read or -errno. */
static ssize_t
read_all(int fd, char *buf, size_t cap)
{
	size_t n = 0;

	while (n < cap) {
		ssize_t got = read(fd, buf + n, cap - n);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0)
			break;
		n += (size_t)got;
	}
	return (ssize_t)n;
}

/* The length of the first line of `n` bytes, without "\n" or "\r\n". */
static size_t
first_line(const char *buf, size_t n)
{
	const char *end = memchr(buf, '\n', n);
	size_t len = end != NULL ? (size_t)(end - buf) : n;

	return end != NULL && len > 0 && buf[len - 1] == '\r' ? len - 1 : len;
}

static int
load_line(int fd, const char *shown, char *ret_line, size_t cap, struct errmsg *why)
{
	char buf[1024];
	ssize_t n = read_all(fd, buf, sizeof(buf));
	int err = 0;
	size_t len;

	if (n < 0)
		return errmsg_set(why, (int)n, "%s: cannot be read: %s", shown,
				  strerror((int)-n));
	len = first_line(buf, (size_t)n);
	if (len == 0)
		err = errmsg_set(why, -EINVAL, "%s: its first line is empty", shown);
	else if (len >= cap)
		err = errmsg_set(why, -EINVAL,
				 "%s: its first line is longer than %zu bytes", shown,
				 cap - 1);
	else if (memchr(buf, '\0', len) != NULL)
		err = errmsg_set(why, -EINVAL, "%s: its first line holds a NUL byte",
				 shown);
	if (err == 0) {
		memcpy(ret_line, buf, len);
		ret_line[len] = '\0';
	}
	explicit_bzero(buf, sizeof(buf));
	return err;
}

int
secret_load_line(const char *file, char *ret_line, size_t cap, struct errmsg *why)
{
	char shown[SHOWN_MAX];
	int fd, err;

	assert(cap > 1 && cap <= 1024);
	errmsg_escape(shown, sizeof(shown), file, strlen(file));
	fd = open_secret(file, shown, why);
	if (fd < 0)
		return fd;
	err = check_file(fd, file, shown, why);
	if (err == 0)
		err = load_line(fd, shown, ret_line, cap, why);
	close(fd);
	return err;
}

int
secret_load_key(const char *file, uint8_t ret_key[CRYPTO_KEY_LEN], struct errmsg *why)
{
	char shown[SHOWN_MAX];
	char line[128]; /* longer than a key, so that "too long" is not what we say */
	int err;

	err = secret_load_line(file, line, sizeof(line), why);
	if (err < 0)
		return err;
	if (keytext_parse(line, ret_key) < 0) {
		errmsg_escape(shown, sizeof(shown), file, strlen(file));
		err = errmsg_set(why, -EINVAL,
				 "%s: does not hold a key: one line of %d characters, "
				 "as mpproxyctl genkey and genpsk write it",
				 shown, KEYTEXT_LEN);
	}
	explicit_bzero(line, sizeof(line));
	return err;
}
