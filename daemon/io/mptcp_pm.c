#include "daemon/io/mptcp_pm.h"

#include <linux/mptcp.h>
#include <netinet/in.h>
#include <netlink/genl/ctrl.h>
#include <netlink/genl/genl.h>
#include <netlink/netlink.h>
#include <stdlib.h>
#include <string.h>

enum {
	RESULTS_BUF = 4 << 20, /* bytes: all pending answers fit, 1 KiB each */
	EVENTS_BUF = 8 << 20,  /* bytes: about 8,000 events until we look */
	READS_MAX = 256,       /* datagrams a turn, so that others have theirs */
	DATAGRAM_MAX = 16 * 1024,
	DUMP_TIMEOUT_S = 2,
};

struct pending {
	uint32_t seq;
	uint64_t cookie;
};

struct mptcp_pm {
	struct mptcp_pm_handler handler;
	struct nl_sock *requests;
	struct nl_sock *events;
	struct watch requests_watch;
	struct watch events_watch;
	int family; /* generic netlink's number of "mptcp_pm" */
	uint32_t next_seq;
	/* The kernel answers in the order it was asked: a ring is enough. */
	struct pending pending[MPTCP_PM_PENDING_MAX];
	size_t first, n_pending;
};

/* The datagrams of one wake-up are handed to `take`, one by one. */
struct reader {
	struct nl_sock *sock;
	void (*take)(struct mptcp_pm *pm, struct nlmsghdr *h);
	void (*lost)(struct mptcp_pm *pm);
};

static void
read_messages(struct mptcp_pm *pm, const struct reader *r)
{
	uint8_t buf[DATAGRAM_MAX] __attribute__((aligned(NLMSG_ALIGNTO)));

	for (int i = 0; i < READS_MAX; i++) {
		struct sockaddr_nl from = {0};
		socklen_t from_len = sizeof(from);
		ssize_t n =
			recvfrom(nl_socket_get_fd(r->sock), buf, sizeof(buf),
				 MSG_DONTWAIT | MSG_TRUNC, (void *)&from, &from_len);
		int left;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == ENOBUFS) {
			r->lost(pm);
			continue;
		}
		if (n < 0)
			return;
		if (from.nl_pid != 0) /* any process may write to us */
			continue;
		if ((size_t)n > sizeof(buf)) {
			r->lost(pm);
			continue;
		}
		left = (int)n;
		for (struct nlmsghdr *h = (void *)buf; nlmsg_ok(h, left);
		     h = nlmsg_next(h, &left))
			r->take(pm, h);
	}
}

/* Results */

static void
finish_first(struct mptcp_pm *pm, int err)
{
	struct mptcp_pm_result result = {pm->pending[pm->first].cookie, err};

	pm->first = (pm->first + 1) % MPTCP_PM_PENDING_MAX;
	pm->n_pending--;
	pm->handler.on_result(pm->handler.arg, &result);
}

static void
take_result(struct mptcp_pm *pm, struct nlmsghdr *h)
{
	const struct nlmsgerr *e = nlmsg_data(h);
	uint32_t skipped;

	if (h->nlmsg_type != NLMSG_ERROR || nlmsg_datalen(h) < (int)sizeof(e->error))
		return;
	/* Answers before ours lost theirs; any other number is none of ours. */
	skipped = h->nlmsg_seq - pm->pending[pm->first].seq;
	if (skipped >= pm->n_pending)
		return;
	for (; skipped > 0; skipped--)
		finish_first(pm, -EIO);
	finish_first(pm, e->error);
}

static void
lose_results(struct mptcp_pm *pm)
{
	for (size_t n = pm->n_pending; n > 0; n--)
		finish_first(pm, -EIO);
}

static void
on_requests_ready(void *arg, int what)
{
	struct mptcp_pm *pm = arg;
	const struct reader r = {pm->requests, take_result, lose_results};

	(void)what;
	read_messages(pm, &r);
}

/* Events */

static struct nla_policy event_policy[MPTCP_ATTR_MAX + 1] = {
	[MPTCP_ATTR_TOKEN] = {.type = NLA_U32},
	[MPTCP_ATTR_FAMILY] = {.type = NLA_U16},
	[MPTCP_ATTR_LOC_ID] = {.type = NLA_U8},
	[MPTCP_ATTR_REM_ID] = {.type = NLA_U8},
	[MPTCP_ATTR_SADDR4] = {.minlen = 4},
	[MPTCP_ATTR_SADDR6] = {.minlen = 16},
	[MPTCP_ATTR_DADDR4] = {.minlen = 4},
	[MPTCP_ATTR_DADDR6] = {.minlen = 16},
	[MPTCP_ATTR_SPORT] = {.type = NLA_U16},
	[MPTCP_ATTR_DPORT] = {.type = NLA_U16},
	[MPTCP_ATTR_BACKUP] = {.type = NLA_U8},
	[MPTCP_ATTR_ERROR] = {.type = NLA_U8},
	[MPTCP_ATTR_IF_IDX] = {.type = NLA_U32},
};

static bool
event_type(uint8_t cmd, enum mptcp_pm_event_type *ret_type)
{
	switch (cmd) {
	case MPTCP_EVENT_CREATED: *ret_type = MPTCP_PM_EVENT_CREATED; return true;
	case MPTCP_EVENT_ESTABLISHED:
		*ret_type = MPTCP_PM_EVENT_ESTABLISHED;
		return true;
	case MPTCP_EVENT_CLOSED: *ret_type = MPTCP_PM_EVENT_CLOSED; return true;
	case MPTCP_EVENT_SUB_ESTABLISHED:
		*ret_type = MPTCP_PM_EVENT_SUBFLOW_UP;
		return true;
	case MPTCP_EVENT_SUB_CLOSED:
		*ret_type = MPTCP_PM_EVENT_SUBFLOW_DOWN;
		return true;
	case MPTCP_EVENT_SUB_PRIORITY: *ret_type = MPTCP_PM_EVENT_PRIORITY; return true;
	default: return false; /* newer kernels have more */
	}
}

static void
get_addr(struct addr *a, const struct nlattr *v4, const struct nlattr *v6,
	 const struct nlattr *port)
{
	if (v4 != NULL) {
		a->family = AF_INET;
		memcpy(a->ip, nla_data(v4), 4);
	} else if (v6 != NULL) {
		a->family = AF_INET6;
		memcpy(a->ip, nla_data(v6), 16);
		addr_unmap(a);
	}
	if (port != NULL)
		a->port = ntohs(nla_get_u16(port));
}

static void
take_event(struct mptcp_pm *pm, struct nlmsghdr *h)
{
	struct nlattr *at[MPTCP_ATTR_MAX + 1];
	struct mptcp_pm_event ev = {0};

	if (h->nlmsg_type != pm->family || !genlmsg_valid_hdr(h, 0) ||
	    !event_type(genlmsg_hdr(h)->cmd, &ev.type) ||
	    genlmsg_parse(h, 0, at, MPTCP_ATTR_MAX, event_policy) < 0 ||
	    at[MPTCP_ATTR_TOKEN] == NULL)
		return;
	ev.token = nla_get_u32(at[MPTCP_ATTR_TOKEN]);
	get_addr(&ev.local, at[MPTCP_ATTR_SADDR4], at[MPTCP_ATTR_SADDR6],
		 at[MPTCP_ATTR_SPORT]);
	get_addr(&ev.remote, at[MPTCP_ATTR_DADDR4], at[MPTCP_ATTR_DADDR6],
		 at[MPTCP_ATTR_DPORT]);
	if (at[MPTCP_ATTR_LOC_ID] != NULL)
		ev.local_id = nla_get_u8(at[MPTCP_ATTR_LOC_ID]);
	if (at[MPTCP_ATTR_REM_ID] != NULL)
		ev.remote_id = nla_get_u8(at[MPTCP_ATTR_REM_ID]);
	if (at[MPTCP_ATTR_IF_IDX] != NULL)
		ev.ifindex = nla_get_s32(at[MPTCP_ATTR_IF_IDX]);
	if (at[MPTCP_ATTR_ERROR] != NULL)
		ev.err = -nla_get_u8(at[MPTCP_ATTR_ERROR]);
	if (at[MPTCP_ATTR_BACKUP] != NULL)
		ev.backup = nla_get_u8(at[MPTCP_ATTR_BACKUP]) != 0;
	pm->handler.on_event(pm->handler.arg, &ev);
}

static void
lose_events(struct mptcp_pm *pm)
{
	const struct mptcp_pm_event ev = {.type = MPTCP_PM_EVENT_OVERRUN};

	pm->handler.on_event(pm->handler.arg, &ev);
}

static void
on_events_ready(void *arg, int what)
{
	struct mptcp_pm *pm = arg;
	const struct reader r = {pm->events, take_event, lose_events};

	(void)what;
	read_messages(pm, &r);
}

/* Requests */

static int
put_addr(struct nl_msg *msg, const struct addr *a)
{
	int err = nla_put_u16(msg, MPTCP_PM_ADDR_ATTR_FAMILY, a->family);

	if (a->family == AF_INET)
		err |= nla_put(msg, MPTCP_PM_ADDR_ATTR_ADDR4, 4, a->ip);
	else
		err |= nla_put(msg, MPTCP_PM_ADDR_ATTR_ADDR6, 16, a->ip);
	if (a->port != 0)
		err |= nla_put_u16(msg, MPTCP_PM_ADDR_ATTR_PORT, a->port);
	return err;
}

static int
put_local(struct nl_msg *msg, const struct mptcp_pm_request *req)
{
	struct nlattr *nest = nla_nest_start(msg, MPTCP_PM_ATTR_ADDR | NLA_F_NESTED);
	int err;

	if (nest == NULL)
		return -NLE_NOMEM;
	err = put_addr(msg, &req->local);
	if (req->op == MPTCP_PM_SUBFLOW_CREATE)
		err |= nla_put_u8(msg, MPTCP_PM_ADDR_ATTR_ID, req->local_id);
	if (req->ifindex != 0)
		err |= nla_put_s32(msg, MPTCP_PM_ADDR_ATTR_IF_IDX, req->ifindex);
	if (req->op != MPTCP_PM_SUBFLOW_DESTROY)
		err |= nla_put_u32(msg, MPTCP_PM_ADDR_ATTR_FLAGS,
				   req->backup ? MPTCP_PM_ADDR_FLAG_BACKUP : 0);
	nla_nest_end(msg, nest);
	return err;
}

static int
put_remote(struct nl_msg *msg, const struct mptcp_pm_request *req)
{
	struct nlattr *nest =
		nla_nest_start(msg, MPTCP_PM_ATTR_ADDR_REMOTE | NLA_F_NESTED);
	int err;

	if (nest == NULL)
		return -NLE_NOMEM;
	err = put_addr(msg, &req->remote);
	nla_nest_end(msg, nest);
	return err;
}

static uint8_t
command(enum mptcp_pm_op op)
{
	switch (op) {
	case MPTCP_PM_SUBFLOW_CREATE: return MPTCP_PM_CMD_SUBFLOW_CREATE;
	case MPTCP_PM_SUBFLOW_DESTROY: return MPTCP_PM_CMD_SUBFLOW_DESTROY;
	case MPTCP_PM_SET_BACKUP: return MPTCP_PM_CMD_SET_FLAGS;
	case MPTCP_PM_REMOVE_ADDR: return MPTCP_PM_CMD_REMOVE;
	}
	return MPTCP_PM_CMD_UNSPEC;
}

static int
fill(struct nl_msg *msg, const struct mptcp_pm *pm, const struct mptcp_pm_request *req)
{
	int err;

	if (genlmsg_put(msg, nl_socket_get_local_port(pm->requests), pm->next_seq,
			pm->family, 0, NLM_F_REQUEST | NLM_F_ACK, command(req->op),
			MPTCP_PM_VER) == NULL)
		return -ENOMEM;
	err = nla_put_u32(msg, MPTCP_PM_ATTR_TOKEN, req->token);
	if (req->op == MPTCP_PM_REMOVE_ADDR)
		return err | nla_put_u8(msg, MPTCP_PM_ATTR_LOC_ID, req->local_id);
	return err | put_local(msg, req) | put_remote(msg, req);
}

int
mptcp_pm_send(struct mptcp_pm *pm, const struct mptcp_pm_request *req)
{
	struct nl_msg *msg;
	ssize_t n = -1;

	if (pm->n_pending == MPTCP_PM_PENDING_MAX)
		return -ENOBUFS;
	msg = nlmsg_alloc_size(512);
	if (msg == NULL)
		return -ENOMEM;
	if (fill(msg, pm, req) == 0)
		n = send(nl_socket_get_fd(pm->requests), nlmsg_hdr(msg),
			 nlmsg_hdr(msg)->nlmsg_len, MSG_DONTWAIT);
	nlmsg_free(msg);
	if (n < 0)
		return -ENOBUFS;
	pm->pending[(pm->first + pm->n_pending) % MPTCP_PM_PENDING_MAX] =
		(struct pending){pm->next_seq++, req->cookie};
	pm->n_pending++;
	return 0;
}

static int
count_endpoint(struct nl_msg *msg, void *arg)
{
	(void)msg;
	*(int *)arg += 1;
	return NL_OK;
}

int
mptcp_pm_endpoint_count(struct mptcp_pm *pm)
{
	const struct timeval patience = {.tv_sec = DUMP_TIMEOUT_S};
	struct nl_sock *sock = nl_socket_alloc();
	int count = 0;
	int err = -ENOMEM;

	if (sock == NULL)
		return err;
	err = -EIO;
	if (genl_connect(sock) < 0 ||
	    setsockopt(nl_socket_get_fd(sock), SOL_SOCKET, SO_RCVTIMEO, &patience,
		       sizeof(patience)) < 0 ||
	    nl_socket_modify_cb(sock, NL_CB_VALID, NL_CB_CUSTOM, count_endpoint,
				&count) < 0 ||
	    genl_send_simple(sock, pm->family, MPTCP_PM_CMD_GET_ADDR, MPTCP_PM_VER,
			     NLM_F_DUMP) < 0)
		goto out;
	err = nl_recvmsgs_default(sock) < 0 ? -EIO : count;
out:
	nl_socket_free(sock);
	return err;
}

/* Sockets */

static void
set_receive_buffer(struct nl_sock *sock, int bytes)
{
	int fd = nl_socket_get_fd(sock);

	/* Over the system's limit where we may; a smaller one only overruns sooner. */
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)) < 0)
		(void)nl_socket_set_buffer_size(sock, bytes, 0);
}

static struct nl_sock *
open_socket(int buffer)
{
	struct nl_sock *sock = nl_socket_alloc();
	const int on = 1;

	if (sock == NULL)
		return NULL;
	if (genl_connect(sock) < 0) {
		nl_socket_free(sock);
		return NULL;
	}
	set_receive_buffer(sock, buffer);
	/* Errors need not carry the whole request back. */
	(void)setsockopt(nl_socket_get_fd(sock), SOL_NETLINK, NETLINK_CAP_ACK, &on,
			 sizeof(on));
	return sock;
}

static int
open_sockets(struct mptcp_pm *pm, struct errmsg *why)
{
	int group;

	pm->requests = open_socket(RESULTS_BUF);
	pm->events = open_socket(EVENTS_BUF);
	if (pm->requests == NULL || pm->events == NULL)
		return errmsg_set(why, -EIO, "cannot open a generic netlink socket");
	pm->family = genl_ctrl_resolve(pm->requests, MPTCP_PM_NAME);
	if (pm->family < 0)
		return errmsg_set(why, -ENOENT,
				  "this kernel has no MPTCP path manager");
	group = genl_ctrl_resolve_grp(pm->requests, MPTCP_PM_NAME,
				      MPTCP_PM_EV_GRP_NAME);
	if (group < 0)
		return errmsg_set(why, -ENOENT, "this kernel tells no MPTCP events");
	if (nl_socket_add_membership(pm->events, group) < 0)
		return errmsg_set(why, -EPERM,
				  "not allowed to hear MPTCP events: "
				  "CAP_NET_ADMIN is needed");
	return 0;
}

static int
watch_sockets(struct mptcp_pm *pm, struct loop *l)
{
	int err;

	err = watch_init(&pm->requests_watch, l, nl_socket_get_fd(pm->requests),
			 on_requests_ready, pm);
	if (err < 0)
		return err;
	err = watch_init(&pm->events_watch, l, nl_socket_get_fd(pm->events),
			 on_events_ready, pm);
	if (err < 0)
		return err;
	watch_want(&pm->requests_watch, LOOP_READ);
	watch_want(&pm->events_watch, LOOP_READ);
	return 0;
}

struct mptcp_pm *
mptcp_pm_new(struct loop *l, const struct mptcp_pm_handler *handler, struct errmsg *why)
{
	struct mptcp_pm *pm = calloc(1, sizeof(*pm));

	if (pm == NULL) {
		errmsg_set(why, -ENOMEM, "no memory");
		return NULL;
	}
	pm->handler = *handler;
	if (open_sockets(pm, why) < 0)
		goto fail;
	if (watch_sockets(pm, l) < 0) {
		errmsg_set(why, -ENOMEM, "no memory");
		goto fail;
	}
	return pm;
fail:
	mptcp_pm_free(pm);
	return NULL;
}

void
mptcp_pm_free(struct mptcp_pm *pm)
{
	if (pm == NULL)
		return;
	watch_done(&pm->requests_watch);
	watch_done(&pm->events_watch);
	nl_socket_free(pm->requests);
	nl_socket_free(pm->events);
	free(pm);
}
