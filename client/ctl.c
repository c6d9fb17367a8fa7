#include "client/ctl.h"

#include "client/print.h"
#include "common/ctlmsg.h"
#include "daemon/io/unixsock.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CLIENT_SOCKET "/run/mpproxy/client.sock"
#define SERVER_SOCKET "/run/mpproxy/server.sock"

/* Prints why `path` could not be connected to, and what helps. */
static void
explain(const char *path, int err)
{
	if (err == -EACCES || err == -EPERM)
		print_error("%s: permission denied: run it as root, or as a member of "
			    "the group mpproxy; for looking only, there is the socket "
			    "with -ro in its name and the group mpproxy-ro",
			    path);
	else if (err == -ECONNREFUSED || err == -ENOENT)
		print_error("%s: no daemon there: start mpproxyd, or name its "
			    "control_socket with -s",
			    path);
	else if (err == -EAGAIN || err == -ETIMEDOUT)
		print_error("%s: the daemon did not answer within %d s", path,
			    (int)(CTL_TIMEOUT / NS_PER_SEC));
	else
		print_error("%s: %s", path, strerror(-err));
}

static bool
is_absent(int err)
{
	return err == -ENOENT || err == -ECONNREFUSED;
}

static int
connect_default(const char **ret_path)
{
	int fd = unixsock_connect(CLIENT_SOCKET, CTL_TIMEOUT);

	*ret_path = CLIENT_SOCKET;
	if (fd >= 0 && access(SERVER_SOCKET, F_OK) == 0)
		print_error("note: asking the client at " CLIENT_SOCKET
			    "; -s " SERVER_SOCKET " asks the server");
	if (!is_absent(fd))
		return fd;
	*ret_path = SERVER_SOCKET;
	return unixsock_connect(SERVER_SOCKET, CTL_TIMEOUT);
}

/* A socket, or -errno after having said why. */
static int
open_socket(const struct cmd_options *o, const char **ret_path)
{
	int fd;

	if (o->socket != NULL) {
		*ret_path = o->socket;
		fd = unixsock_connect(o->socket, CTL_TIMEOUT);
	} else {
		fd = connect_default(ret_path);
	}
	if (is_absent(fd) && o->socket == NULL)
		print_error("no daemon at " CLIENT_SOCKET " or " SERVER_SOCKET
			    ": start mpproxyd, or name its control_socket with -s");
	else if (fd < 0)
		explain(*ret_path, fd);
	return fd;
}

static int
send_line(int fd, json_t *request)
{
	char *text = json_dumps(request, JSON_COMPACT);
	size_t len, sent = 0;
	int err = 0;

	if (text == NULL)
		return -ENOMEM;
	len = strlen(text);
	text[len++] = '\n'; /* in place of the NUL */
	while (sent < len && err == 0) {
		ssize_t n = send(fd, text + sent, len - sent, MSG_NOSIGNAL);

		if (n >= 0)
			sent += (size_t)n;
		else if (errno != EINTR)
			err = -errno;
	}
	free(text);
	return err;
}

/* Up to and with the newline. -ENODATA: the daemon closed before it. */
static int
receive_line(int fd, char *buf, size_t cap, size_t *ret_len)
{
	size_t len = 0;

	while (len < cap) {
		ssize_t n = recv(fd, buf + len, cap - len, 0);
		const char *newline;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -ENODATA;
		newline = memchr(buf + len, '\n', (size_t)n);
		len += (size_t)n;
		if (newline != NULL) {
			*ret_len = (size_t)(newline - buf);
			return 0;
		}
	}
	return -EMSGSIZE;
}

static int
receive_reply(int fd, json_t **ret_reply)
{
	const size_t cap = CTLMSG_REPLY_MAX + 1;
	char *buf = malloc(cap);
	size_t len = 0;
	int err;

	if (buf == NULL)
		return -ENOMEM;
	err = receive_line(fd, buf, cap, &len);
	if (err == 0) {
		*ret_reply = json_loadb(buf, len, JSON_REJECT_DUPLICATES, NULL);
		err = *ret_reply == NULL ? -EBADMSG : 0;
	}
	free(buf);
	return err;
}

static enum cmd_exit
judge(const char *path, json_t *reply, json_t **ret_result)
{
	json_t *result = json_object_get(reply, "result");
	const char *code = NULL, *message = NULL;

	if (json_is_true(json_object_get(reply, "ok")) && result != NULL) {
		*ret_result = json_incref(result);
		return CMD_DONE;
	}
	if (json_unpack(reply, "{s:{s:s, s:s}}", "error", "code", &code, "message",
			&message) == 0) {
		print_error("refused: %s (%s)", message, code);
		return CMD_FAILED;
	}
	print_error("%s: this is not a reply of mpproxyd", path);
	return CMD_NO_DAEMON;
}

enum cmd_exit
ctl_ask(const struct cmd_options *o, json_t *request, json_t **ret_result)
{
	enum cmd_exit code = CMD_NO_DAEMON;
	json_t *reply = NULL;
	const char *path;
	int fd, err;

	fd = open_socket(o, &path);
	if (fd < 0)
		goto out;
	err = send_line(fd, request);
	if (err == 0 || err == -EPIPE)
		err = receive_reply(fd, &reply);
	if (err == 0)
		code = judge(path, reply, ret_result);
	else if (err == -ENODATA)
		print_error("%s: the daemon closed the connection", path);
	else if (err == -EBADMSG || err == -EMSGSIZE)
		print_error("%s: this is not a reply of mpproxyd", path);
	else
		explain(path, err);
	close(fd);
out:
	json_decref(reply);
	json_decref(request);
	return code;
}
