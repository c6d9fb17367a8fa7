#include "daemon/io/resolver.h"

#include <ares.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const char resolv_conf[] = "/etc/resolv.conf";

enum {
	/* A lost datagram is asked again soon; c-ares doubles it each round. */
	FIRST_TRY_MS = 1500,
	TRIES = 3,
	HOST_LEN_MAX = 253, /* RFC 1035, 3.1, as text without the last dot */
};

/* Tells one state of a file from another. */
struct stamp {
	dev_t dev;
	ino_t ino;
	off_t size;
	struct timespec changed;
};

/* None: those of resolv.conf. */
struct servers {
	size_t n;
	struct addr addrs[RESOLVER_SERVERS_MAX];
};

struct channel {
	struct list node; /* in resolver.channels */
	struct resolver *resolver;
	ares_channel ares;
	struct list sockets;
	struct timer timer;
	size_t n_asked; /* look-ups that c-ares will still call back for */
};

/* A descriptor of c-ares that the loop watches. */
struct sock {
	struct list node;
	struct channel *channel;
	struct watch watch;
};

struct resolver {
	struct loop *loop;
	char device[IFNAMSIZ]; /* "": as routed */
	struct servers servers;
	struct stamp conf; /* what `current` was made from */
	struct channel *current;
	struct list channels; /* `current` and those before it */
	size_t n_channels;
	size_t n_asked;
	struct list lookups; /* those that somebody waits for */
};

/*
 *            c-ares calls back            the turn ends
 *  ASKED ---------------------> ANSWERED ---------------> on_done, freed
 *    | cancelled, or too late      | cancelled
 *    v                             v
 *  DROPPED --- c-ares calls back -> freed
 */
enum lookup_state { LOOKUP_ASKED, LOOKUP_ANSWERED, LOOKUP_DROPPED };

struct lookup {
	struct list node;
	enum lookup_state state;
	struct channel *channel; /* while ASKED or DROPPED */
	struct timer deadline;
	struct deferred answer;
	lookup_done_fn on_done;
	void *arg;
	int err;
	size_t n;
	struct addr addrs[RESOLVER_ADDRS_MAX];
};

static struct stamp
stamp_of(const char *path)
{
	struct stamp s = {.ino = 0};
	struct stat st;

	if (stat(path, &st) == 0) {
		s.dev = st.st_dev;
		s.ino = st.st_ino;
		s.size = st.st_size;
		s.changed = st.st_ctim;
	}
	return s;
}

static bool
stamp_equal(const struct stamp *a, const struct stamp *b)
{
	return a->dev == b->dev && a->ino == b->ino && a->size == b->size &&
	       a->changed.tv_sec == b->changed.tv_sec &&
	       a->changed.tv_nsec == b->changed.tv_nsec;
}

static void
channel_free(struct channel *ch)
{
	struct resolver *r = ch->resolver;

	/* Calls back for what is under way and for every socket. */
	ares_destroy(ch->ares);
	assert(ch->n_asked == 0 && list_empty(&ch->sockets));
	timer_done(&ch->timer);
	list_remove(&ch->node);
	r->n_channels--;
	free(ch);
}

/*
 * Follows every call into c-ares; may free the channel.
 */
static void
settle(struct channel *ch)
{
	struct timeval buf, *tv;

	if (ch != ch->resolver->current && ch->n_asked == 0) {
		channel_free(ch);
		return;
	}
	tv = ares_timeout(ch->ares, NULL, &buf);
	if (tv == NULL)
		timer_stop(&ch->timer);
	else
		timer_set(&ch->timer,
			  tv->tv_sec * NS_PER_SEC + tv->tv_usec * NS_PER_US);
}

static void
channel_timed_out(void *arg)
{
	struct channel *ch = arg;

	ares_process_fd(ch->ares, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
	settle(ch);
}

static void
sock_ready(void *arg, int what)
{
	struct sock *s = arg;
	struct channel *ch = s->channel; /* c-ares may close the socket */
	int fd = s->watch.fd;

	ares_process_fd(ch->ares, what & LOOP_READ ? fd : ARES_SOCKET_BAD,
			what & LOOP_WRITE ? fd : ARES_SOCKET_BAD);
	settle(ch);
}

static struct sock *
sock_find(struct channel *ch, int fd)
{
	list_for_each (it, &ch->sockets) {
		struct sock *s = list_entry(it, struct sock, node);

		if (s->watch.fd == fd)
			return s;
	}
	return NULL;
}

static struct sock *
sock_new(struct channel *ch, int fd)
{
	struct sock *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	if (watch_init(&s->watch, ch->resolver->loop, fd, sock_ready, s) < 0) {
		free(s);
		return NULL;
	}
	s->channel = ch;
	list_append(&ch->sockets, &s->node);
	return s;
}

/* Without memory the socket goes unwatched, and its look-ups time out. */
static void
socket_state(void *data, ares_socket_t fd, int readable, int writable)
{
	struct channel *ch = data;
	struct sock *s = sock_find(ch, fd);

	if (!readable && !writable) {
		if (s == NULL)
			return;
		watch_done(&s->watch);
		list_remove(&s->node);
		free(s);
		return;
	}
	if (s == NULL)
		s = sock_new(ch, fd);
	if (s != NULL)
		watch_want(&s->watch,
			   (readable ? LOOP_READ : 0) | (writable ? LOOP_WRITE : 0));
}

/* Not ares_set_local_dev(): it sends as routed when it cannot bind. */
static int
bind_to_device(ares_socket_t fd, int type, void *data)
{
	struct resolver *r = data;

	(void)type;
	return setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, r->device,
			  (socklen_t)strlen(r->device));
}

static int
ares_errno(int status)
{
	switch (status) {
	case ARES_SUCCESS: return 0;
	case ARES_ENOTFOUND: return -ENOENT;
	case ARES_ENODATA: return -ENODATA;
	case ARES_ETIMEOUT: return -ETIMEDOUT;
	case ARES_ECONNREFUSED: return -ECONNREFUSED;
	case ARES_EBADSTR:
	case ARES_EBADNAME: return -EINVAL;
	case ARES_ENOMEM: return -ENOMEM;
	case ARES_EBADRESP: return -EBADMSG;
	default: return -EREMOTEIO; /* the name server failed or refused */
	}
}

static int
set_servers(ares_channel ares, const struct servers *servers)
{
	struct ares_addr_port_node nodes[RESOLVER_SERVERS_MAX] = {{.next = NULL}};

	if (servers->n == 0)
		return ARES_SUCCESS;
	for (size_t i = 0; i < servers->n; i++) {
		const struct addr *a = &servers->addrs[i];

		nodes[i].next = i + 1 < servers->n ? &nodes[i + 1] : NULL;
		nodes[i].family = a->family;
		nodes[i].udp_port = nodes[i].tcp_port = a->port;
		memcpy(&nodes[i].addr, a->ip, a->family == AF_INET ? 4 : 16);
	}
	return ares_set_servers_ports(ares, nodes);
}

static int
open_ares(struct channel *ch, const struct servers *servers)
{
	struct ares_options opt = {
		.timeout = FIRST_TRY_MS,
		.tries = TRIES,
		.sock_state_cb = socket_state,
		.sock_state_cb_data = ch,
	};
	int mask = ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB;
	int status;

	status = ares_init_options(&ch->ares, &opt, mask);
	if (status != ARES_SUCCESS)
		return ares_errno(status);
	if (ch->resolver->device[0] != '\0')
		ares_set_socket_configure_callback(ch->ares, bind_to_device,
						   ch->resolver);
	status = set_servers(ch->ares, servers);
	if (status != ARES_SUCCESS)
		ares_destroy(ch->ares);
	return ares_errno(status);
}

static int
channel_new(struct resolver *r, const struct servers *servers, struct channel **ret_ch)
{
	struct channel *ch = calloc(1, sizeof(*ch));
	int err;

	if (ch == NULL)
		return -ENOMEM;
	ch->resolver = r;
	list_init(&ch->sockets);
	err = timer_init(&ch->timer, r->loop, channel_timed_out, ch);
	if (err < 0)
		goto no_timer;
	err = open_ares(ch, servers);
	if (err < 0)
		goto no_ares;
	list_append(&r->channels, &ch->node);
	r->n_channels++;
	*ret_ch = ch;
	return 0;
no_ares:
	timer_done(&ch->timer);
no_timer:
	free(ch);
	return err;
}

static int
replace_channel(struct resolver *r, const struct servers *servers)
{
	/* Before the file is read: a change meanwhile is seen the next time. */
	struct stamp conf = stamp_of(resolv_conf);
	struct channel *next, *last = r->current;
	int err;

	if (r->n_channels == RESOLVER_CHANNELS_MAX)
		return -EBUSY;
	err = channel_new(r, servers, &next);
	if (err < 0)
		return err;
	r->conf = conf;
	r->current = next;
	if (last != NULL)
		settle(last);
	return 0;
}

/* Where that fails now, the next look-up tries again. */
static void
follow_resolv_conf(struct resolver *r)
{
	struct stamp conf = stamp_of(resolv_conf);

	if (r->servers.n == 0 && !stamp_equal(&conf, &r->conf))
		(void)replace_channel(r, &r->servers);
}

struct resolver *
resolver_new(struct loop *l, const char *device)
{
	struct resolver *r;

	if (device != NULL && strlen(device) >= IFNAMSIZ)
		return NULL;
	r = calloc(1, sizeof(*r));
	if (r == NULL)
		return NULL;
	r->loop = l;
	if (device != NULL)
		strcpy(r->device, device);
	list_init(&r->channels);
	list_init(&r->lookups);
	if (replace_channel(r, &r->servers) < 0) {
		free(r);
		return NULL;
	}
	return r;
}

void
resolver_free(struct resolver *r)
{
	if (r == NULL)
		return;
	list_for_each_safe (it, &r->lookups)
		resolver_cancel(list_entry(it, struct lookup, node));
	list_for_each_safe (it, &r->channels)
		channel_free(list_entry(it, struct channel, node));
	free(r);
}

/* c-ares knows no scope of a link-local address. */
static int
parse_server(const char *text, struct addr *ret_addr)
{
	struct addr a;

	if (addr_parse(text, &a) < 0) {
		if (addr_parse_ip(text, &a) < 0)
			return -EINVAL;
		a.port = 53;
	}
	if (a.port == 0 || a.scope != 0)
		return -EINVAL;
	*ret_addr = a;
	return 0;
}

static int
parse_servers(const char *text, struct servers *ret_servers)
{
	struct servers list = {.n = 0};
	char one[ADDR_TEXT_MAX];

	for (;;) {
		size_t len = strcspn(text, ",");

		if (len >= sizeof(one) || list.n == RESOLVER_SERVERS_MAX)
			return -EINVAL;
		memcpy(one, text, len);
		one[len] = '\0';
		if (parse_server(one, &list.addrs[list.n]) < 0)
			return -EINVAL;
		list.n++;
		if (text[len] == '\0')
			break;
		text += len + 1;
	}
	*ret_servers = list;
	return 0;
}

int
resolver_set_servers(struct resolver *r, const char *servers)
{
	struct servers list = {.n = 0};
	int err;

	if (servers != NULL) {
		err = parse_servers(servers, &list);
		if (err < 0)
			return err;
	}
	err = replace_channel(r, &list);
	if (err == 0)
		r->servers = list;
	return err;
}

static void
take_addresses(struct lookup *lk, const struct ares_addrinfo *res)
{
	const struct ares_addrinfo_node *ai = res->nodes;

	for (; ai != NULL && lk->n < RESOLVER_ADDRS_MAX; ai = ai->ai_next) {
		if (addr_from_sockaddr(ai->ai_addr, &lk->addrs[lk->n]) == 0)
			lk->n++;
	}
}

/* What the deferred and the deadline share; `lk` is freed before on_done. */
static void
finish(struct lookup *lk)
{
	struct lookup done = *lk;

	resolver_cancel(lk);
	done.on_done(done.arg, done.err, done.addrs, done.n);
}

static void
run_answer(struct deferred *d)
{
	finish(list_entry(d, struct lookup, answer));
}

static void
deadline_passed(void *arg)
{
	struct lookup *lk = arg;

	lk->err = -ETIMEDOUT;
	finish(lk);
}

/* Runs inside of c-ares, even inside of ares_getaddrinfo() or ares_destroy(). */
static void
lookup_answered(void *arg, int status, int timeouts, struct ares_addrinfo *res)
{
	struct lookup *lk = arg;
	struct resolver *r = lk->channel->resolver;

	(void)timeouts;
	lk->channel->n_asked--;
	r->n_asked--;
	if (lk->state == LOOKUP_DROPPED) {
		free(lk);
	} else {
		lk->state = LOOKUP_ANSWERED;
		lk->err = ares_errno(status);
		if (res != NULL)
			take_addresses(lk, res);
		if (lk->err == 0 && lk->n == 0)
			lk->err = -ENODATA;
		timer_stop(&lk->deadline);
		loop_defer(r->loop, &lk->answer, run_answer);
	}
	if (res != NULL)
		ares_freeaddrinfo(res);
}

static bool
is_name(const char *host)
{
	static const char set[] = "abcdefghijklmnopqrstuvwxyz"
				  "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
	size_t len = strspn(host, set);

	return host[len] == '\0' && len > 0 && len <= HOST_LEN_MAX + 1;
}

int
resolver_start(struct resolver *r, const char *host, ns_t deadline,
	       lookup_done_fn on_done, void *arg, struct lookup **ret_lookup)
{
	const struct ares_addrinfo_hints hints = {.ai_family = AF_UNSPEC,
						  .ai_socktype = SOCK_STREAM};
	struct lookup *lk;
	int err;

	if (!is_name(host))
		return -EINVAL;
	if (r->n_asked == RESOLVER_PENDING_MAX)
		return -ENOBUFS;
	lk = calloc(1, sizeof(*lk));
	if (lk == NULL)
		return -ENOMEM;
	err = timer_init(&lk->deadline, r->loop, deadline_passed, lk);
	if (err < 0) {
		free(lk);
		return err;
	}
	follow_resolv_conf(r);
	lk->state = LOOKUP_ASKED;
	lk->channel = r->current;
	lk->on_done = on_done;
	lk->arg = arg;
	list_append(&r->lookups, &lk->node);
	timer_set(&lk->deadline, deadline);
	lk->channel->n_asked++;
	r->n_asked++;
	ares_getaddrinfo(lk->channel->ares, host, NULL, &hints, lookup_answered, lk);
	settle(r->current);
	*ret_lookup = lk;
	return 0;
}

void
resolver_cancel(struct lookup *lk)
{
	assert(lk->state != LOOKUP_DROPPED);
	list_remove(&lk->node);
	timer_done(&lk->deadline);
	loop_undefer(&lk->answer);
	if (lk->state == LOOKUP_ANSWERED)
		free(lk);
	else
		lk->state = LOOKUP_DROPPED;
}
