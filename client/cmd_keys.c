#include "client/cmd.h"
#include "client/print.h"

#include "common/keytext.h"
#include "daemon/core/crypto.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

static void
warn_if_readable_by_others(void)
{
	struct stat st;

	if (fstat(STDOUT_FILENO, &st) == 0 && S_ISREG(st.st_mode) &&
	    (st.st_mode & (S_IRWXG | S_IRWXO)) != 0)
		print_error("warning: others may read the file that this key goes to; "
			    "chmod 600 it, and say \"umask 077\" before the next one");
}

/*
 * Not by stdio, whose buffer would keep the key.
 */
static enum cmd_exit
write_key(struct keytext *key)
{
	ssize_t n;

	key->s[KEYTEXT_LEN] = '\n';
	n = write(STDOUT_FILENO, key->s, KEYTEXT_LEN + 1);
	crypto_wipe(key, sizeof(*key));
	if (n == KEYTEXT_LEN + 1)
		return CMD_DONE;
	print_error("standard output: %s", n < 0 ? strerror(errno) : "cut short");
	return CMD_FAILED;
}

enum cmd_exit
cmd_genkey(const struct cmd *c, const struct cmd_options *o)
{
	uint8_t key[KEYTEXT_KEY_LEN];
	struct keytext text;

	(void)c;
	(void)o;
	warn_if_readable_by_others();
	if (getrandom(key, sizeof(key), 0) != sizeof(key)) {
		print_error("no random bytes: %s", strerror(errno));
		return CMD_FAILED;
	}
	text = keytext_format(key);
	crypto_wipe(key, sizeof(key));
	return write_key(&text);
}

/* All of standard input up to `cap` bytes. */
static ssize_t
read_all(char *buf, size_t cap)
{
	size_t len = 0;

	while (len < cap) {
		ssize_t n = read(STDIN_FILENO, buf + len, cap - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		len += (size_t)n;
	}
	return (ssize_t)len;
}

/* One key and at most one newline, which may be CR LF. */
static int
read_key(uint8_t ret_key[KEYTEXT_KEY_LEN])
{
	char text[KEYTEXT_LEN + 3];
	ssize_t len = read_all(text, sizeof(text));
	int err;

	if (len >= KEYTEXT_LEN && len < (ssize_t)sizeof(text)) {
		text[len] = '\0';
		text[strcspn(text, "\r\n")] = '\0';
		err = keytext_parse(text, ret_key);
	} else {
		err = len < 0 ? (int)len : -EINVAL;
	}
	crypto_wipe(text, sizeof(text));
	return err;
}

enum cmd_exit
cmd_pubkey(const struct cmd *c, const struct cmd_options *o)
{
	uint8_t key[KEYTEXT_KEY_LEN], public_key[KEYTEXT_KEY_LEN];
	struct keytext text;
	int err;

	(void)c;
	(void)o;
	err = read_key(key);
	if (err == -EINVAL) {
		print_error("standard input is not a private key: %d characters of "
			    "base64, as mpproxyctl genkey prints them",
			    KEYTEXT_LEN);
		return CMD_FAILED;
	}
	if (err == 0)
		err = crypto_x25519_public(public_key, key);
	crypto_wipe(key, sizeof(key));
	if (err < 0) {
		print_error("no public key: %s", strerror(-err));
		return CMD_FAILED;
	}
	text = keytext_format(public_key);
	return write_key(&text);
}
