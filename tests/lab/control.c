#include "tests/lab/control.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static int
address(const char *path, struct sockaddr_un *ret)
{
	*ret = (struct sockaddr_un){.sun_family = AF_UNIX};
	if (strlen(path) >= sizeof(ret->sun_path))
		return -ENAMETOOLONG;
	strcpy(ret->sun_path, path);
	return 0;
}

static int
watch(struct control *ctl, int fd)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.fd = fd};

	return epoll_ctl(ctl->em->calm_epoll, EPOLL_CTL_ADD, fd, &ev) < 0 ? -errno : 0;
}

int
control_open(struct control *ctl, struct linkem *em, const char *path)
{
	struct sockaddr_un sun;
	mode_t mask;
	int err = address(path, &sun);

	if (err < 0)
		return err;
	*ctl = (struct control){.em = em, .path = path};
	for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++)
		ctl->clients[i].fd = -1;
	ctl->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (ctl->listener < 0)
		return -errno;
	mask = umask(0177);
	if (bind(ctl->listener, (struct sockaddr *)&sun, sizeof(sun)) < 0)
		err = -errno;
	umask(mask);
	if (err == 0 && listen(ctl->listener, CONTROL_CLIENTS_MAX) < 0)
		err = -errno;
	if (err == 0)
		err = watch(ctl, ctl->listener);
	if (err < 0)
		close(ctl->listener);
	return err;
}

static void
hang_up(struct control_client *client)
{
	if (client->fd >= 0)
		close(client->fd);
	client->fd = -1;
	client->len = 0;
}

void
control_close(struct control *ctl)
{
	for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++)
		hang_up(&ctl->clients[i]);
	close(ctl->listener);
	unlink(ctl->path);
}

static void
welcome(struct control *ctl)
{
	for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++) {
		struct control_client *client = &ctl->clients[i];

		if (client->fd >= 0)
			continue;
		client->fd = accept4(ctl->listener, NULL, NULL,
				     SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (client->fd < 0)
			return;
		if (watch(ctl, client->fd) < 0)
			hang_up(client);
	}
}

/* Answers every whole line of the client's buffer; false if that failed. */
static bool
answer_lines(struct control *ctl, struct control_client *client)
{
	char *end;

	while ((end = memchr(client->line, '\n', client->len)) != NULL) {
		size_t used = (size_t)(end - client->line) + 1;
		struct answer answer;
		ssize_t n;

		*end = '\0';
		control_execute(ctl->em, client->line, &answer);
		n = send(client->fd, answer.text, answer.len, MSG_NOSIGNAL);
		free(answer.text);
		/* Nobody asks for more than a socket buffer holds. */
		if (n < 0 || (size_t)n != answer.len)
			return false;
		client->len -= used;
		memmove(client->line, client->line + used, client->len);
	}
	return client->len < sizeof(client->line);
}

static void
serve_client(struct control *ctl, struct control_client *client)
{
	for (;;) {
		ssize_t n = read(client->fd, client->line + client->len,
				 sizeof(client->line) - client->len);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n > 0) {
			client->len += (size_t)n;
			if (answer_lines(ctl, client))
				continue;
		}
		hang_up(client);
		return;
	}
}

void
control_serve(struct control *ctl)
{
	welcome(ctl);
	for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++)
		if (ctl->clients[i].fd >= 0)
			serve_client(ctl, &ctl->clients[i]);
}

/* Prints the answer but for its "ok"; 1 if it is an error, -1 if it goes on. */
static int
print_line(const char *line)
{
	if (strcmp(line, "ok\n") == 0)
		return 0;
	if (strncmp(line, "error", 5) == 0) {
		fprintf(stderr, "linkem: %s", line);
		return 1;
	}
	fputs(line, stdout);
	return -1;
}

int
control_ask(const char *path, char **words, int n)
{
	struct sockaddr_un sun;
	char line[4096];
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int status = -1;
	FILE *f;

	if (fd < 0 || address(path, &sun) < 0 ||
	    connect(fd, (struct sockaddr *)&sun, sizeof(sun)) < 0) {
		fprintf(stderr, "linkem: %s: %m\n", path);
		return 1;
	}
	f = fdopen(fd, "r+");
	if (f == NULL)
		return 1;
	for (int i = 0; i < n; i++)
		fprintf(f, "%s%s", words[i], i + 1 < n ? " " : "\n");
	fflush(f);
	while (status < 0 && fgets(line, sizeof(line), f) != NULL)
		status = print_line(line);
	fclose(f);
	return status < 0 ? 1 : status;
}
