/*
 * netmon - the machine's interfaces and their addresses, by rtnetlink.
 *
 * Model:   a table that is complete when netmon_new() returns and is kept up
 *          to date; one call of on_change for each batch of news.
 * Bounds:  NETMON_INTERFACES_MAX interfaces, NETMON_ADDRS_MAX addresses each;
 *          more are left out and counted in `left_out`.
 * Owner:   pointers into the table are valid until the loop's next turn.
 */
#ifndef DAEMON_IO_NETMON_H
#define DAEMON_IO_NETMON_H

#include "common/addr.h"
#include "common/base.h"
#include "common/errmsg.h"
#include "daemon/io/loop.h"

#include <net/if.h>

enum { NETMON_INTERFACES_MAX = 256, NETMON_ADDRS_MAX = 16 };

struct netmon_interface {
	char name[IF_NAMESIZE];
	int index;
	bool up;      /* administratively */
	bool carrier; /* IFF_RUNNING */
	bool loopback;
	size_t n_addrs, n_unfit;
	struct addr addrs[NETMON_ADDRS_MAX]; /* port 0, in the kernel's order */
	struct addr unfit[NETMON_ADDRS_MAX]; /* ours, but tentative or deprecated */
};

struct netmon;

struct netmon *
netmon_new(struct loop *l, void (*on_change)(void *arg), void *arg, struct errmsg *why);
void netmon_free(struct netmon *m);

size_t netmon_count(const struct netmon *m);
const struct netmon_interface *netmon_at(const struct netmon *m, size_t i);
const struct netmon_interface *netmon_find(const struct netmon *m, const char *name);
/* Whether `a` is one of this machine's own addresses. */
bool netmon_is_own(const struct netmon *m, const struct addr *a);
size_t netmon_left_out(const struct netmon *m);

#endif
