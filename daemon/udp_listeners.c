#include "daemon/udp_listeners.h"

#include <string.h>

static struct udp_listener *
find(struct udp_listeners *ls, const struct addr *local)
{
	for (size_t i = 0; i < ls->n; i++) {
		struct udp_listener *ln = &ls->at[i];

		if (ln->sock.local.family == local->family &&
		    ln->sock.local.port == local->port &&
		    (addr_is_wildcard(&ln->sock.local) ||
		     addr_same_ip(&ln->sock.local, local)))
			return ln;
	}
	return NULL;
}

size_t
udp_listeners_send(struct udp_listeners *ls, const struct burst *b)
{
	struct udp_listener *ln = find(ls, &b->local);
	const struct udp_burst out = {
		.local = b->local,
		.remote = b->remote,
		.data = b->data,
		.len = b->len,
		.packet = b->packet,
	};
	ssize_t n = ln == NULL ? -EADDRNOTAVAIL : udp_send(&ln->sock, &out);

	if (n == -EAGAIN)
		return 0;
	return n < 0 ? b->len : (size_t)n;
}

static void
on_ready(void *arg, int what)
{
	struct udp_listener *ln = arg;
	struct udp_listeners *ls = ln->all;
	struct udp_turn turn = {0};
	struct udp_burst b;

	(void)what;
	while (udp_take(&turn, &ln->sock, ls->inbox, &b) > 0)
		ls->on_burst(ls->arg, &ln->sock, &b);
}

static int
open_one(struct udp_listeners *ls, struct loop *l, const struct addr *at)
{
	struct udp_listener *ln = &ls->at[ls->n];
	int err = udp_open_server(at, &ln->sock);

	if (err < 0)
		return err;
	ls->n++;
	ln->all = ls;
	err = watch_init(&ln->watch, l, ln->sock.fd, on_ready, ln);
	if (err == 0)
		watch_want(&ln->watch, LOOP_READ);
	return err;
}

int
udp_listeners_open(struct udp_listeners *ls, struct loop *l, const struct config *c,
		   struct errmsg *why)
{
	ls->inbox = udp_inbox_new();
	if (ls->inbox == NULL)
		return errmsg_set(why, -ENOMEM, "no memory");
	for (size_t i = 0; i < c->n_listen; i++) {
		int err = open_one(ls, l, &c->listen[i]);

		if (err < 0)
			return errmsg_set(why, err, "listen = %s: udp: %s",
					  addr_format(&c->listen[i]).s, strerror(-err));
	}
	return 0;
}

void
udp_listeners_close(struct udp_listeners *ls)
{
	for (size_t i = 0; i < ls->n; i++) {
		watch_done(&ls->at[i].watch);
		udp_close(&ls->at[i].sock);
	}
	ls->n = 0;
	udp_inbox_free(ls->inbox);
	ls->inbox = NULL;
}
