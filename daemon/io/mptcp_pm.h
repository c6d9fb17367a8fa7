/*
 * mptcp_pm - requests to, and events from, the kernel's MPTCP path manager.
 *
 * Model:   generic netlink "mptcp_pm" on two sockets of libnl: requests are
 *          queued and answered by number; events come as the kernel sends
 *          them. Requests, results and events are plain structs without
 *          pointers, so that they can cross a process border unchanged.
 * Units:   ports in host order everywhere (the kernel's events are not).
 * Bounds:  MPTCP_PM_PENDING_MAX requests without an answer; -ENOBUFS above.
 * Owner:   one mptcp_pm per daemon, on the loop that it was given.
 * Errors:  0 or -errno. Losing events (ENOBUFS on the netlink socket) is
 *          reported as MPTCP_PM_EVENT_OVERRUN: look at every leg again.
 * Source:  RFC 8684, 3.2 to 3.4; include/uapi/linux/mptcp_pm.h.
 */
#ifndef DAEMON_IO_MPTCP_PM_H
#define DAEMON_IO_MPTCP_PM_H

#include "common/addr.h"
#include "common/base.h"
#include "common/errmsg.h"
#include "daemon/io/loop.h"

enum { MPTCP_PM_PENDING_MAX = 4096 };

enum mptcp_pm_op {
	MPTCP_PM_SUBFLOW_CREATE, /* local (port 0), local_id, remote, ifindex, backup */
	MPTCP_PM_SUBFLOW_DESTROY, /* local and remote, both with ports */
	MPTCP_PM_SET_BACKUP,      /* local and remote, both with ports; backup */
	MPTCP_PM_REMOVE_ADDR,     /* local_id: REMOVE_ADDR to the peer */
};

struct mptcp_pm_request {
	enum mptcp_pm_op op;
	uint32_t token;
	uint64_t cookie; /* comes back in the result */
	struct addr local;
	struct addr remote;
	int ifindex;
	uint8_t local_id;
	bool backup;
};

struct mptcp_pm_result {
	uint64_t cookie;
	int err; /* 0 or -errno as the kernel gave it */
};

enum mptcp_pm_event_type {
	MPTCP_PM_EVENT_CREATED,
	MPTCP_PM_EVENT_ESTABLISHED,
	MPTCP_PM_EVENT_CLOSED,
	MPTCP_PM_EVENT_SUBFLOW_UP,   /* a join succeeded */
	MPTCP_PM_EVENT_SUBFLOW_DOWN, /* err: what the socket died of, 0 for an end */
	MPTCP_PM_EVENT_PRIORITY,     /* the peer changed B of a subflow */
	MPTCP_PM_EVENT_OVERRUN,      /* events were lost; nothing else is set */
};

struct mptcp_pm_event {
	enum mptcp_pm_event_type type;
	uint32_t token;
	struct addr local;
	struct addr remote;
	uint8_t local_id;
	uint8_t remote_id;
	int ifindex;
	int err;
	bool backup;
};

/* Run from the loop; the structs live only during the call. */
struct mptcp_pm_handler {
	void (*on_result)(void *arg, const struct mptcp_pm_result *r);
	void (*on_event)(void *arg, const struct mptcp_pm_event *ev);
	void *arg;
};

struct mptcp_pm;

/* NULL with the reason in `why`: no MPTCP in this kernel, no privilege, no memory. */
struct mptcp_pm *mptcp_pm_new(struct loop *l, const struct mptcp_pm_handler *handler,
			      struct errmsg *why);
void mptcp_pm_free(struct mptcp_pm *pm);

/* -ENOBUFS: too many are under way. The result comes later, never inside. */
int mptcp_pm_send(struct mptcp_pm *pm, const struct mptcp_pm_request *req) MUST_CHECK;

/* How many endpoints the in-kernel path manager of this namespace has; -errno. */
int mptcp_pm_endpoint_count(struct mptcp_pm *pm) MUST_CHECK;

/*
 * The namespace's path manager type, 0 in-kernel and 1 userspace. take() saves
 * the value found in `saved_file`, synced to disk, before it writes 1; give_back()
 * writes the saved value and removes the file; it does nothing without the file.
 */
int mptcp_pm_type(void) MUST_CHECK;
int mptcp_pm_take(const char *saved_file, struct errmsg *why) MUST_CHECK;
int mptcp_pm_give_back(const char *saved_file, struct errmsg *why) MUST_CHECK;

#endif
