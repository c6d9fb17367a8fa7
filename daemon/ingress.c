#include "daemon/ingress.h"

#include "common/log.h"
#include "daemon/ingress_visitor.h"
#include "daemon/io/tcp.h"
#include "daemon/secret.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	BACKLOG = 4096,    /* the kernel cuts it to net.core.somaxconn */
	ACCEPT_BATCH = 64, /* sockets a turn, so that others have theirs */
};

struct listener {
	struct ingress *ingress;
	struct visitor_host host;
	struct login login;
	struct watch watch;
	int fd;
};

struct ingress {
	struct loop *loop;
	struct tunnel *tunnel;
	struct tcp_spare spare;
	size_t n;
	struct listener listeners[CONFIG_LISTENERS_MAX];
};

/* With the descriptor given away at once there is nothing left to do here. */
static void
forward_opened(void *arg, enum open_status status)
{
	(void)arg;
	(void)status;
}

static void
forward_closed(void *arg)
{
	(void)arg;
}

static void
forward(struct visitor_host *h, int fd)
{
	static const struct tunnel_user nobody = {.on_opened = forward_opened,
						  .on_closed = forward_closed};
	struct tunnel_stream *s =
		tunnel_open(h->tunnel, &h->from->target, h->from, &nobody);

	if (s == NULL)
		tcp_reset(fd);
	else
		tunnel_stream_attach(s, fd, NULL, 0);
}

/* Who waits for a header makes room for who has come; else he is turned away. */
static bool
make_room(struct listener *ln)
{
	if (visitor_shed(&ln->host))
		return true;
	if (tcp_spare_shed(&ln->ingress->spare, ln->fd))
		ln->host.counters.shed++;
	return false;
}

static void
listener_ready(void *arg, int what)
{
	struct listener *ln = arg;
	struct visitor_host *h = &ln->host;
	struct addr remote;

	(void)what;
	for (int i = 0; i < ACCEPT_BATCH; i++) {
		int fd = tcp_accept(ln->fd, &remote);

		/* The kernel says so even where nobody waits: only the first counts. */
		if (i == 0 && (fd == -EMFILE || fd == -ENFILE) && make_room(ln))
			continue;
		if (fd < 0)
			return;
		h->counters.accepted++;
		log_debug("accepted: listener=%s from=%s", h->from->name,
			  addr_format(&remote).s);
		tcp_set_nodelay(fd, true);
		if (h->from->type == INGRESS_FORWARD)
			forward(h, fd);
		else
			visitor_start(h, fd);
	}
}

static int
load_login(struct listener *ln, struct errmsg *why)
{
	const struct config_listener *c = ln->host.from;
	char password[LOGIN_PART_MAX];
	int err;

	if (c->user[0] == '\0')
		return 0;
	err = secret_load_line(c->password_file, password, sizeof(password), why);
	if (err < 0)
		return err;
	err = login_init(&ln->login, c->user, password);
	crypto_wipe(password, sizeof(password));
	if (err < 0)
		return errmsg_set(why, err, "user or password does not fit");
	ln->host.login = &ln->login;
	return 0;
}

/* After an error listener_done() has less to do. */
static int
listener_init(struct listener *ln, struct ingress *in, const struct config_listener *c,
	      struct errmsg *why)
{
	int err;

	ln->fd = -1;
	ln->ingress = in;
	ln->host.loop = in->loop;
	ln->host.tunnel = in->tunnel;
	ln->host.from = c;
	visitor_host_init(&ln->host);
	err = load_login(ln, why);
	if (err < 0)
		return err;
	err = tcp_listen(TCP_PLAIN, &c->address, BACKLOG);
	if (err < 0)
		return errmsg_set(why, err, "cannot listen at %s: %s",
				  addr_format(&c->address).s, strerror(-err));
	ln->fd = err;
	err = watch_init(&ln->watch, in->loop, ln->fd, listener_ready, ln);
	if (err < 0)
		return errmsg_set(why, err, "%s", strerror(-err));
	watch_want(&ln->watch, LOOP_READ);
	return 0;
}

static void
listener_done(struct listener *ln)
{
	watch_done(&ln->watch);
	if (ln->fd >= 0)
		close(ln->fd);
	visitor_end_all(&ln->host);
	login_wipe(&ln->login);
}

struct ingress *
ingress_new(struct loop *l, const struct config *c, struct tunnel *t,
	    struct errmsg *why)
{
	struct ingress *in = calloc(1, sizeof(*in));
	int err;

	if (in == NULL) {
		errmsg_set(why, -ENOMEM, "no memory for the listeners");
		return NULL;
	}
	in->loop = l;
	in->tunnel = t;
	in->spare.fd = -1;
	err = tcp_spare_init(&in->spare);
	if (err < 0) {
		errmsg_set(why, err, "no spare descriptor: %s", strerror(-err));
		goto fail;
	}
	for (size_t i = 0; i < c->n_listeners; i++) {
		in->n = i + 1;
		err = listener_init(&in->listeners[i], in, &c->listeners[i], why);
		if (err < 0) {
			errmsg_prefix(why, "[listen %s]", c->listeners[i].name);
			goto fail;
		}
	}
	return in;

fail:
	ingress_free(in);
	return NULL;
}

void
ingress_free(struct ingress *in)
{
	if (in == NULL)
		return;
	for (size_t i = 0; i < in->n; i++)
		listener_done(&in->listeners[i]);
	tcp_spare_done(&in->spare);
	free(in);
}

void
ingress_counters_get(const struct ingress *in, size_t i,
		     struct ingress_counters *ret_counters)
{
	const struct visitor_host *h;

	assert(i < in->n);
	h = &in->listeners[i].host;
	*ret_counters = h->counters;
	ret_counters->pending = h->n[VISITOR_HEADER];
}
