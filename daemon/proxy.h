/*
 * proxy - the root object: everything hangs on it, it owns everything.
 *
 * Model:   proxy_new() builds the daemon of one configuration, proxy_run()
 *          runs it until a signal or proxy_stop(), proxy_free() takes it down
 *          in reverse order.
 */
#ifndef DAEMON_PROXY_H
#define DAEMON_PROXY_H

#include "common/errmsg.h"
#include "daemon/config.h"
#include "daemon/identity.h"
#include "daemon/ingress.h"
#include "daemon/io/loop.h"
#include "daemon/io/mptcp_pm.h"
#include "daemon/io/netmon.h"
#include "daemon/peers.h"
#include "daemon/subflows.h"
#include "daemon/tunnel.h"
#include "daemon/uplinks.h"

struct control;

struct proxy {
	const struct config *config;
	struct loop *loop;
	struct netmon *netmon;
	struct mptcp_pm *pm;        /* NULL: the in-kernel path manager is used */
	char pm_reason[ERRMSG_MAX]; /* why it is used; "" otherwise */
	struct uplinks *uplinks;    /* client, else NULL */
	struct subflows *subflows;
	struct tunnel *tunnel;
	struct ingress *ingress; /* client, else NULL */
	struct control *control;
	struct resolver *resolver;
	struct egress *egress; /* server, else NULL */
	struct identity identity;
	struct peers peers; /* server, else none */
	struct timer watchdog;
	struct timer second; /* client */
	ns_t started_at;
};

struct proxy *proxy_new(const struct config *c, struct errmsg *why);
int proxy_run(struct proxy *p) MUST_CHECK;
void proxy_stop(struct proxy *p);
void proxy_free(struct proxy *p);

/*
 * Puts the kernel's path manager back as a crashed run found it. -EBUSY: it has
 * not crashed, a daemon answers at the control socket.
 */
int proxy_restore_pm(const struct config *c, struct errmsg *why) MUST_CHECK;

#endif
