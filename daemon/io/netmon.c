#include "daemon/io/netmon.h"

#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <stdlib.h>
#include <string.h>

enum {
	RECEIVE_BUF = 4 << 20, /* bytes: a few thousand messages until we look */
	READS_MAX = 256,       /* datagrams a turn, so that others have theirs */
	DATAGRAM_MAX = 32 * 1024,
	DUMP_TRIES = 5,
	DUMP_TIMEOUT_S = 2,
};

/* A new look at everything after one failed, or while there is too much to list. */
#define RESYNC_AFTER NS_PER_SEC

/* One complete picture. Indexes are apart so that a search touches little memory. */
struct table {
	size_t n;
	size_t left_out;
	int indexes[NETMON_INTERFACES_MAX];
	struct netmon_interface interfaces[NETMON_INTERFACES_MAX];
};

struct netmon {
	void (*on_change)(void *arg);
	void *arg;
	struct nl_sock *news;
	struct watch watch;
	struct timer resync_timer;
	struct table *table;
	bool changed;
	bool lost; /* the kernel dropped news */
};

/* The table */

static struct netmon_interface *
find_index(struct table *t, int index)
{
	for (size_t i = 0; i < t->n; i++) {
		if (t->indexes[i] == index)
			return &t->interfaces[i];
	}
	return NULL;
}

/* Or NULL: the table is full. */
static struct netmon_interface *
add_interface(struct table *t, int index)
{
	struct netmon_interface *ifc;

	if (t->n == NETMON_INTERFACES_MAX) {
		t->left_out++;
		return NULL;
	}
	t->indexes[t->n] = index;
	ifc = &t->interfaces[t->n++];
	memset(ifc, 0, sizeof(*ifc));
	ifc->index = index;
	return ifc;
}

static void
remove_interface(struct table *t, struct netmon_interface *ifc)
{
	size_t at = (size_t)(ifc - t->interfaces);

	t->n--;
	memmove(ifc, ifc + 1, (t->n - at) * sizeof(*ifc));
	memmove(&t->indexes[at], &t->indexes[at + 1], (t->n - at) * sizeof(int));
}

static struct addr *
find_addr(struct addr *list, size_t n, const struct addr *a)
{
	for (size_t i = 0; i < n; i++) {
		if (addr_equal(&list[i], a))
			return &list[i];
	}
	return NULL;
}

static bool
add_addr(struct table *t, struct addr *list, size_t *n, const struct addr *a)
{
	if (find_addr(list, *n, a) != NULL)
		return false;
	if (*n == NETMON_ADDRS_MAX) {
		t->left_out++;
		return false;
	}
	list[(*n)++] = *a;
	return true;
}

static bool
remove_addr(struct addr *list, size_t *n, const struct addr *a)
{
	struct addr *at = find_addr(list, *n, a);

	if (at == NULL)
		return false;
	memmove(at, at + 1, (size_t)(&list[*n] - (at + 1)) * sizeof(*at));
	(*n)--;
	return true;
}

/* Messages. Each of these tells whether the table changed. */

static bool
take_link(struct table *t, struct nlmsghdr *h)
{
	const struct ifinfomsg *m = nlmsg_data(h);
	struct netmon_interface *ifc, before;
	const struct nlattr *name;

	/* Bridges speak of their ports in the same messages. */
	if (!nlmsg_valid_hdr(h, sizeof(*m)) || m->ifi_family != AF_UNSPEC)
		return false;
	ifc = find_index(t, m->ifi_index);
	if (h->nlmsg_type == RTM_DELLINK) {
		if (ifc != NULL)
			remove_interface(t, ifc);
		return ifc != NULL;
	}
	name = nlmsg_find_attr(h, sizeof(*m), IFLA_IFNAME);
	if (name == NULL)
		return false;
	if (ifc == NULL)
		ifc = add_interface(t, m->ifi_index);
	if (ifc == NULL)
		return false;
	before = *ifc;
	nla_strlcpy(ifc->name, name, sizeof(ifc->name));
	ifc->up = (m->ifi_flags & IFF_UP) != 0;
	ifc->carrier = (m->ifi_flags & IFF_RUNNING) != 0;
	ifc->loopback = (m->ifi_flags & IFF_LOOPBACK) != 0;
	return strcmp(before.name, ifc->name) != 0 || before.up != ifc->up ||
	       before.carrier != ifc->carrier;
}

/* Fit to bind to now. */
static bool
addr_is_fit(struct nlmsghdr *h, const struct ifaddrmsg *m)
{
	const struct nlattr *flags = nlmsg_find_attr(h, sizeof(*m), IFA_FLAGS);
	uint32_t f = m->ifa_flags;

	if (flags != NULL && nla_len(flags) >= (int)sizeof(f))
		f = nla_get_u32(flags);
	return (f & (IFA_F_TENTATIVE | IFA_F_DADFAILED | IFA_F_DEPRECATED)) == 0;
}

static bool
read_addr(struct nlmsghdr *h, const struct ifaddrmsg *m, struct addr *ret_addr)
{
	/* On a point-to-point interface IFA_ADDRESS is the other end. */
	const struct nlattr *at = nlmsg_find_attr(h, sizeof(*m), IFA_LOCAL);
	int len = m->ifa_family == AF_INET ? 4 : 16;
	struct addr a = {.family = m->ifa_family};

	if (m->ifa_family != AF_INET && m->ifa_family != AF_INET6)
		return false;
	if (at == NULL)
		at = nlmsg_find_attr(h, sizeof(*m), IFA_ADDRESS);
	if (at == NULL || nla_len(at) < len)
		return false;
	memcpy(a.ip, nla_data(at), (size_t)len);
	if (m->ifa_family == AF_INET6 && a.ip[0] == 0xfe && (a.ip[1] & 0xc0) == 0x80)
		a.scope = m->ifa_index;
	*ret_addr = a;
	return true;
}

static bool
take_addr(struct table *t, struct nlmsghdr *h)
{
	const struct ifaddrmsg *m = nlmsg_data(h);
	struct netmon_interface *ifc;
	struct addr a;

	if (!nlmsg_valid_hdr(h, sizeof(*m)) || !read_addr(h, m, &a))
		return false;
	ifc = find_index(t, (int)m->ifa_index);
	if (ifc == NULL)
		return false;
	if (h->nlmsg_type == RTM_NEWADDR && addr_is_fit(h, m)) {
		remove_addr(ifc->unfit, &ifc->n_unfit, &a);
		return add_addr(t, ifc->addrs, &ifc->n_addrs, &a);
	}
	if (h->nlmsg_type == RTM_NEWADDR)
		add_addr(t, ifc->unfit, &ifc->n_unfit, &a);
	else
		remove_addr(ifc->unfit, &ifc->n_unfit, &a);
	return remove_addr(ifc->addrs, &ifc->n_addrs, &a);
}

static bool
take_message(struct table *t, struct nlmsghdr *h)
{
	switch (h->nlmsg_type) {
	case RTM_NEWLINK:
	case RTM_DELLINK: return take_link(t, h);
	case RTM_NEWADDR:
	case RTM_DELADDR: return take_addr(t, h);
	default: return false;
	}
}

/* The whole picture, asked for on a socket of its own */

static int
on_dumped(struct nl_msg *msg, void *arg)
{
	(void)take_message(arg, nlmsg_hdr(msg));
	return NL_OK;
}

static int
dump(struct nl_sock *sock, int type)
{
	struct rtgenmsg any = {.rtgen_family = AF_UNSPEC};

	if (nl_send_simple(sock, type, NLM_F_DUMP, &any, sizeof(any)) < 0)
		return -EIO;
	switch (nl_recvmsgs_default(sock)) {
	case 0: return 0;
	case -NLE_DUMP_INTR: return -EAGAIN;
	default: return -EIO;
	}
}

static int
dump_all(struct nl_sock *sock, struct table *t)
{
	int err = -EAGAIN;

	/* The kernel says when something changed between two of its pages. */
	for (int tries = 0; tries < DUMP_TRIES && err == -EAGAIN; tries++) {
		memset(t, 0, sizeof(*t));
		err = dump(sock, RTM_GETLINK);
		if (err == 0)
			err = dump(sock, RTM_GETADDR);
	}
	return err;
}

static int
read_everything(struct table *t)
{
	const struct timeval patience = {.tv_sec = DUMP_TIMEOUT_S};
	struct nl_sock *sock = nl_socket_alloc();
	int err = -EIO;

	if (sock == NULL)
		return -ENOMEM;
	if (nl_connect(sock, NETLINK_ROUTE) == 0 &&
	    setsockopt(nl_socket_get_fd(sock), SOL_SOCKET, SO_RCVTIMEO, &patience,
		       sizeof(patience)) == 0 &&
	    nl_socket_modify_cb(sock, NL_CB_VALID, NL_CB_CUSTOM, on_dumped, t) == 0)
		err = dump_all(sock, t);
	nl_socket_free(sock);
	return err;
}

static int
resync(struct netmon *m)
{
	struct table *t = malloc(sizeof(*t));
	int err;

	if (t == NULL)
		return -ENOMEM;
	err = read_everything(t);
	if (err < 0) {
		free(t);
		return err;
	}
	free(m->table);
	m->table = t;
	m->changed = true;
	return 0;
}

/* News */

/* False when there is nothing more to read. */
static bool
read_news(struct netmon *m)
{
	uint8_t buf[DATAGRAM_MAX] __attribute__((aligned(NLMSG_ALIGNTO)));
	struct sockaddr_nl from = {0};
	socklen_t from_len = sizeof(from);
	ssize_t n = recvfrom(nl_socket_get_fd(m->news), buf, sizeof(buf),
			     MSG_DONTWAIT | MSG_TRUNC, (void *)&from, &from_len);
	int left = (int)n;

	if (n < 0 && errno == EINTR)
		return true;
	if ((n < 0 && errno == ENOBUFS) || n > (ssize_t)sizeof(buf)) {
		m->lost = true;
		return true;
	}
	if (n < 0)
		return false;
	/* What is older than the loss would spoil the new picture. */
	if (from.nl_pid != 0 || m->lost)
		return true;
	for (struct nlmsghdr *h = (void *)buf; nlmsg_ok(h, left);
	     h = nlmsg_next(h, &left))
		m->changed |= take_message(m->table, h);
	return true;
}

static void
tell(struct netmon *m)
{
	if (!m->changed)
		return;
	m->changed = false;
	m->on_change(m->arg);
}

static void
look_again(struct netmon *m)
{
	if (resync(m) < 0)
		timer_set(&m->resync_timer, RESYNC_AFTER);
	else
		m->lost = false;
}

static void
on_news(void *arg, int what)
{
	struct netmon *m = arg;
	bool more = true;

	(void)what;
	for (int i = 0; i < READS_MAX && more; i++)
		more = read_news(m);
	if (m->lost && !more)
		look_again(m);
	/* What was left out may have its place by now. */
	else if (m->changed && m->table->left_out > 0 &&
		 !timer_is_set(&m->resync_timer))
		timer_set(&m->resync_timer, RESYNC_AFTER);
	tell(m);
}

static void
on_resync(void *arg)
{
	struct netmon *m = arg;

	look_again(m);
	tell(m);
}

static int
subscribe(struct netmon *m)
{
	const int bytes = RECEIVE_BUF;

	m->news = nl_socket_alloc();
	if (m->news == NULL)
		return -ENOMEM;
	if (nl_connect(m->news, NETLINK_ROUTE) < 0)
		return -EIO;
	if (setsockopt(nl_socket_get_fd(m->news), SOL_SOCKET, SO_RCVBUFFORCE, &bytes,
		       sizeof(bytes)) < 0)
		(void)nl_socket_set_buffer_size(m->news, bytes, 0);
	if (nl_socket_add_memberships(m->news, RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR,
				      RTNLGRP_IPV6_IFADDR, 0) < 0)
		return -EIO;
	return 0;
}

static int
start(struct netmon *m, struct loop *l)
{
	int err;

	/* News first: what happens during the look at all is not missed. */
	err = subscribe(m);
	if (err < 0)
		return err;
	err = resync(m);
	if (err < 0)
		return err;
	m->changed = false;
	err = timer_init(&m->resync_timer, l, on_resync, m);
	if (err < 0)
		return err;
	err = watch_init(&m->watch, l, nl_socket_get_fd(m->news), on_news, m);
	if (err < 0)
		return err;
	watch_want(&m->watch, LOOP_READ);
	return 0;
}

struct netmon *
netmon_new(struct loop *l, void (*on_change)(void *arg), void *arg, struct errmsg *why)
{
	struct netmon *m = calloc(1, sizeof(*m));
	int err = -ENOMEM;

	if (m != NULL) {
		m->on_change = on_change;
		m->arg = arg;
		err = start(m, l);
	}
	if (err < 0) {
		errmsg_set(why, err, "cannot read the interfaces of this machine: %s",
			   strerror(-err));
		netmon_free(m);
		return NULL;
	}
	return m;
}

void
netmon_free(struct netmon *m)
{
	if (m == NULL)
		return;
	watch_done(&m->watch);
	timer_done(&m->resync_timer);
	nl_socket_free(m->news);
	free(m->table);
	free(m);
}

size_t
netmon_count(const struct netmon *m)
{
	return m->table->n;
}

const struct netmon_interface *
netmon_at(const struct netmon *m, size_t i)
{
	assert(i < m->table->n);
	return &m->table->interfaces[i];
}

const struct netmon_interface *
netmon_find(const struct netmon *m, const char *name)
{
	for (size_t i = 0; i < m->table->n; i++) {
		if (strcmp(m->table->interfaces[i].name, name) == 0)
			return &m->table->interfaces[i];
	}
	return NULL;
}

static bool
has_ip(const struct addr *list, size_t n, const struct addr *a)
{
	for (size_t i = 0; i < n; i++) {
		if (addr_same_ip(&list[i], a))
			return true;
	}
	return false;
}

bool
netmon_is_own(const struct netmon *m, const struct addr *a)
{
	for (size_t i = 0; i < m->table->n; i++) {
		const struct netmon_interface *ifc = &m->table->interfaces[i];

		if (has_ip(ifc->addrs, ifc->n_addrs, a) ||
		    has_ip(ifc->unfit, ifc->n_unfit, a))
			return true;
	}
	return false;
}

size_t
netmon_left_out(const struct netmon *m)
{
	return m->table->left_out;
}
