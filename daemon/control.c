#include "daemon/control.h"

#include "common/ctlmsg.h"
#include "common/log.h"
#include "daemon/control_client.h"
#include "daemon/io/unixsock.h"

#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* How long a listener rests when the process has no descriptor left. */
#define ACCEPT_REST NS_PER_SEC

struct listener {
	struct loop *loop;
	struct proxy *proxy;
	char path[UNIXSOCK_PATH_MAX];
	bool read_only;
	int fd;
	struct watch watch;
	struct timer rest;
	struct list clients;
};

struct control {
	struct listener full, read_only;
};

static size_t
count_clients(const struct listener *l)
{
	size_t n = 0;

	list_for_each (it, &l->clients)
		n++;
	return n;
}

/* One line, as far as it can be said without waiting. */
static void
turn_away(int fd)
{
	struct ctlmsg_error e;
	char *text;

	ctlmsg_fail(&e, CTLMSG_BUSY, "%d control connections are open already",
		    CONTROL_CLIENTS_MAX);
	text = ctlmsg_refusal(NULL, &e);
	if (text != NULL) {
		size_t len = strlen(text);

		text[len++] = '\n'; /* in place of the NUL */
		(void)send(fd, text, len, MSG_NOSIGNAL);
	}
	free(text);
	close(fd);
}

static void
take_client(struct listener *l, int fd, const struct unixsock_peer *peer)
{
	const struct control_client_place place = {.loop = l->loop,
						   .proxy = l->proxy,
						   .clients = &l->clients,
						   .read_only = l->read_only};
	const bool full = count_clients(l) >= CONTROL_CLIENTS_MAX;

	log_debug("control connection: uid=%u pid=%d socket=%s%s", peer->uid, peer->pid,
		  l->path, full ? " refused=busy" : "");
	if (full)
		turn_away(fd);
	else if (control_client_start(&place, fd) < 0)
		log_warn("control connection refused: no memory");
}

/* One a turn: whoever waits is still there in the next one. */
static void
on_connect(void *arg, int what)
{
	struct listener *l = arg;
	struct unixsock_peer peer;
	int fd;

	(void)what;
	fd = unixsock_accept(l->fd, &peer);
	if (fd >= 0) {
		take_client(l, fd, &peer);
	} else if (fd == -EMFILE || fd == -ENFILE || fd == -ENOMEM || fd == -ENOBUFS) {
		watch_want(&l->watch, 0);
		timer_set(&l->rest, ACCEPT_REST);
	}
}

static void
on_rested(void *arg)
{
	struct listener *l = arg;

	watch_want(&l->watch, LOOP_READ);
}

static int
listen_for_group(const char *path, const char *group_name)
{
	const struct group *group = getgrnam(group_name);
	int fd = -EPERM;

	if (group != NULL)
		fd = unixsock_listen(path, 0660, group->gr_gid);
	if (fd == -EPERM)
		fd = unixsock_listen(path, 0660, UNIXSOCK_GROUP_OWN);
	return fd;
}

static int
explain(struct errmsg *why, const char *path, int err)
{
	if (err == -EADDRINUSE)
		return errmsg_set(why, err, "%s: another daemon answers there", path);
	if (err == -EEXIST)
		return errmsg_set(why, err, "%s: there is a file that is no socket",
				  path);
	if (err == -ENOENT)
		return errmsg_set(why, err,
				  "%s: its directory does not exist: make it, or set "
				  "control_socket",
				  path);
	return errmsg_set(why, err, "%s: %s", path, strerror(-err));
}

static void
listener_done(struct listener *l)
{
	control_clients_free(&l->clients);
	timer_done(&l->rest);
	watch_done(&l->watch);
	if (l->fd >= 0) {
		close(l->fd);
		unlink(l->path);
	}
	l->fd = -1;
}

static int
listener_init(struct listener *l, const char *group_name, struct errmsg *why)
{
	int err;

	l->fd = listen_for_group(l->path, group_name);
	if (l->fd < 0)
		return explain(why, l->path, l->fd);
	err = watch_init(&l->watch, l->loop, l->fd, on_connect, l);
	if (err == 0)
		err = timer_init(&l->rest, l->loop, on_rested, l);
	if (err < 0) {
		listener_done(l);
		return explain(why, l->path, err);
	}
	watch_want(&l->watch, LOOP_READ);
	return 0;
}

/* "client.sock" -> "client-ro.sock" */
static int
read_only_path(char *dst, size_t cap, const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *dot = strrchr(path, '.');
	size_t head = strlen(path);
	int n;

	if (dot != NULL && (slash == NULL || dot > slash))
		head = (size_t)(dot - path);
	n = snprintf(dst, cap, "%.*s-ro%s", (int)head, path, path + head);
	return n < (int)cap ? 0 : -ENAMETOOLONG;
}

static void
listener_prepare(struct listener *l, struct loop *loop, struct proxy *p)
{
	l->loop = loop;
	l->proxy = p;
	l->fd = -1;
	list_init(&l->clients);
}

struct control *
control_new(struct loop *l, const char *path, struct proxy *p, struct errmsg *why)
{
	struct control *c = calloc(1, sizeof(*c));

	if (c == NULL) {
		errmsg_set(why, -ENOMEM, "%s: no memory", path);
		return NULL;
	}
	listener_prepare(&c->full, l, p);
	listener_prepare(&c->read_only, l, p);
	c->read_only.read_only = true;
	if (read_only_path(c->read_only.path, sizeof(c->read_only.path), path) < 0) {
		explain(why, path, -ENAMETOOLONG);
		goto fail;
	}
	memcpy(c->full.path, path, strlen(path) + 1); /* shorter than the other */
	if (listener_init(&c->full, "mpproxy", why) < 0 ||
	    listener_init(&c->read_only, "mpproxy-ro", why) < 0)
		goto fail;
	return c;
fail:
	control_free(c);
	return NULL;
}

void
control_free(struct control *c)
{
	if (c == NULL)
		return;
	listener_done(&c->read_only);
	listener_done(&c->full);
	free(c);
}
