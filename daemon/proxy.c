#include "daemon/proxy.h"

#include "common/log.h"
#include "daemon/choice.h"
#include "daemon/control.h"
#include "daemon/descriptors.h"
#include "daemon/egress.h"
#include "daemon/io/resolver.h"
#include "daemon/io/service.h"
#include "daemon/io/tcp.h"
#include "daemon/io/unixsock.h"
#include "daemon/mptcp_client.h"
#include "daemon/mptcp_server.h"
#include "daemon/udp_client.h"
#include "daemon/udp_server.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void
on_netmon(void *arg)
{
	struct proxy *p = arg;

	if (p->uplinks != NULL)
		uplinks_refresh(p->uplinks);
}

static void
on_uplink(void *arg, struct uplink *u)
{
	struct proxy *p = arg;

	subflows_uplink_changed(p->subflows, u);
	tunnel_uplink_changed(p->tunnel, u);
}

static void
on_pm_result(void *arg, const struct mptcp_pm_result *r)
{
	struct proxy *p = arg;

	subflows_on_result(p->subflows, r);
}

static void
on_pm_event(void *arg, const struct mptcp_pm_event *ev)
{
	struct proxy *p = arg;

	subflows_on_event(p->subflows, ev);
}

static void
pm_file(const struct config *c, char *ret_file, size_t cap)
{
	snprintf(ret_file, cap, "%s/%s.pm-type", c->state_directory,
		 c->role == ROLE_CLIENT ? "client" : "server");
}

/* Whether the namespace's userspace path manager may be taken, and why not. */
static bool
may_take_pm(struct proxy *p, struct mptcp_pm *pm)
{
	int n = mptcp_pm_endpoint_count(pm);

	if (p->config->mptcp_pm != PM_AUTO || n <= 0)
		return true;
	snprintf(p->pm_reason, sizeof(p->pm_reason),
		 "the kernel has %d MPTCP endpoints that others configured "
		 "(see `ip mptcp endpoint`)",
		 n);
	return false;
}

static void
open_pm(struct proxy *p)
{
	const struct mptcp_pm_handler handler = {on_pm_result, on_pm_event, p};
	char file[CONFIG_PATH_MAX + 32];
	struct errmsg why;

	if (p->config->mptcp_pm == PM_KERNEL) {
		snprintf(p->pm_reason, sizeof(p->pm_reason), "configured: mptcp_pm");
		return;
	}
	pm_file(p->config, file, sizeof(file));
	p->pm = mptcp_pm_new(p->loop, &handler, &why);
	if (p->pm == NULL) {
		snprintf(p->pm_reason, sizeof(p->pm_reason), "%s", why.text);
	} else if (!may_take_pm(p, p->pm)) {
		mptcp_pm_free(p->pm);
		p->pm = NULL;
	} else if (mptcp_pm_take(file, &why) < 0) {
		snprintf(p->pm_reason, sizeof(p->pm_reason), "%s", why.text);
		mptcp_pm_free(p->pm);
		p->pm = NULL;
	}
	if (p->pm == NULL)
		log_warn("the in-kernel path manager is used: %s; there is no failover "
			 "and no priority by this daemon, and at most 8 addresses",
			 p->pm_reason);
}

static int
give_back_pm(const struct config *c, struct errmsg *why)
{
	char file[CONFIG_PATH_MAX + 32];

	pm_file(c, file, sizeof(file));
	return mptcp_pm_give_back(file, why);
}

int
proxy_restore_pm(const struct config *c, struct errmsg *why)
{
	int fd = unixsock_connect(c->control_socket, NS_PER_SEC);

	if (fd < 0 && fd != -ETIMEDOUT)
		return give_back_pm(c, why);
	if (fd >= 0)
		close(fd);
	return errmsg_set(why, -EBUSY,
			  "the path manager is in use: a daemon answers at %s",
			  c->control_socket);
}

static bool
is_own(void *arg, const struct addr *a)
{
	const struct proxy *p = arg;

	return netmon_is_own(p->netmon, a);
}

static int
new_server(struct proxy *p, unsigned descriptors, struct errmsg *why)
{
	const struct acl_machine machine = {is_own, p};
	struct transport *mptcp, *udp;
	int err;

	p->egress = egress_new(p->loop, p->resolver, &machine);
	if (p->egress == NULL)
		return errmsg_set(why, -ENOMEM, "no memory");
	err = peers_init(&p->peers, &p->identity, why);
	if (err < 0)
		return err;
	mptcp = mptcp_server_new(p->loop, &p->peers, p->subflows, p->egress,
				 descriptors, why);
	if (mptcp == NULL)
		return -EINVAL;
	tunnel_add(p->tunnel, TRANSPORT_MPTCP, mptcp);
	udp = udp_server_new(p->loop, &p->peers, p->egress, why);
	if (udp == NULL)
		return -EINVAL;
	tunnel_add(p->tunnel, TRANSPORT_UDP, udp);
	mptcp_server_set_door(mptcp, udp_server_door(udp));
	return 0;
}

static void
on_second(void *arg)
{
	struct proxy *p = arg;

	tunnel_measure(p->tunnel, loop_now(p->loop));
	timer_set(&p->second, CHOICE_SECOND);
}

static int
new_client(struct proxy *p, struct errmsg *why)
{
	struct transport *mptcp = mptcp_client_new(p->loop, &p->identity, p->uplinks,
						   p->subflows, p->resolver, why);
	struct transport *udp;

	if (mptcp == NULL)
		return -EINVAL;
	tunnel_add(p->tunnel, TRANSPORT_MPTCP, mptcp);
	udp = udp_client_new(p->loop, &p->identity, p->uplinks, p->resolver, why);
	if (udp == NULL)
		return -EINVAL;
	tunnel_add(p->tunnel, TRANSPORT_UDP, udp);
	if (timer_init(&p->second, p->loop, on_second, p) < 0)
		return errmsg_set(why, -ENOMEM, "no memory");
	timer_set(&p->second, CHOICE_SECOND);
	p->ingress = ingress_new(p->loop, p->config, p->tunnel, why);
	return p->ingress == NULL ? -EINVAL : 0;
}

static int
new_base(struct proxy *p, struct errmsg *why)
{
	const struct uplinks_handler on_change = {on_uplink, p};
	const struct subflows_handler on_dead = {tunnel_mptcp_subflow_dead, NULL};

	p->netmon = netmon_new(p->loop, on_netmon, p, why);
	if (p->netmon == NULL)
		return -EINVAL;
	if (p->config->role == ROLE_CLIENT) {
		p->uplinks =
			uplinks_new(p->loop, p->config, p->netmon, &on_change, why);
		if (p->uplinks == NULL)
			return -EINVAL;
	}
	p->subflows = subflows_new(p->loop, p->uplinks, &on_dead);
	p->resolver = resolver_new(p->loop, NULL);
	p->tunnel = tunnel_new(p->config->max_streams);
	if (p->subflows == NULL || p->resolver == NULL || p->tunnel == NULL)
		return errmsg_set(why, -ENOMEM, "no memory");
	/* The events are subscribed to before anything listens: without somebody
	 * on the event group the kernel refuses joins. */
	open_pm(p);
	subflows_set_pm(p->subflows, p->pm);
	return 0;
}

static void
on_signal(void *arg, int signo)
{
	struct proxy *p = arg;

	log_info("stopping: signal=%s", strsignal(signo));
	proxy_stop(p);
}

static void
on_watchdog(void *arg)
{
	struct proxy *p = arg;

	service_alive();
	timer_set(&p->watchdog, service_watchdog_interval());
}

static int
new_signals(struct proxy *p, struct errmsg *why)
{
	int err = loop_on_signal(p->loop, SIGTERM, on_signal, p);

	if (err == 0)
		err = loop_on_signal(p->loop, SIGINT, on_signal, p);
	if (err == 0)
		err = loop_on_signal(p->loop, SIGHUP, on_signal, p);
	if (err == 0)
		err = timer_init(&p->watchdog, p->loop, on_watchdog, p);
	if (err < 0)
		return errmsg_set(why, err, "%s", strerror(-err));
	if (service_watchdog_interval() != NS_NEVER)
		timer_set(&p->watchdog, service_watchdog_interval());
	return 0;
}

/*
 * The control socket comes before all that two daemons would fight over, for
 * a second one of the same configuration fails here, and disturbs nothing.
 */
static int
build(struct proxy *p, struct errmsg *why)
{
	int limit = service_raise_files();
	int err;

	if (limit < 0)
		return errmsg_set(why, limit, "descriptor limit: %s", strerror(-limit));
	err = descriptors_check(p->config, (unsigned)limit, why);
	if (err == 0)
		err = new_signals(p, why);
	if (err < 0)
		return err;
	p->control = control_new(p->loop, p->config->control_socket, p, why);
	if (p->control == NULL)
		return -EINVAL;
	err = new_base(p, why);
	if (err == 0)
		err = identity_init(&p->identity, p->config, why);
	if (err == 0 && p->config->role == ROLE_CLIENT)
		err = new_client(p, why);
	else if (err == 0)
		err = new_server(p, (unsigned)limit, why);
	return err;
}

struct proxy *
proxy_new(const struct config *c, struct errmsg *why)
{
	struct proxy *p = calloc(1, sizeof(*p));

	if (p != NULL) {
		p->config = c;
		p->loop = loop_new();
	}
	if (p == NULL || p->loop == NULL) {
		free(p);
		errmsg_set(why, -ENOMEM, "no memory");
		return NULL;
	}
	p->started_at = loop_now(p->loop);
	if (build(p, why) < 0) {
		proxy_free(p);
		return NULL;
	}
	return p;
}

int
proxy_run(struct proxy *p)
{
	return loop_run(p->loop);
}

void
proxy_stop(struct proxy *p)
{
	loop_stop(p->loop);
}

void
proxy_free(struct proxy *p)
{
	struct errmsg why;

	if (p == NULL)
		return;
	ingress_free(p->ingress);
	tunnel_free(p->tunnel);
	egress_free(p->egress);
	peers_done(&p->peers);
	identity_done(&p->identity);
	resolver_free(p->resolver);
	subflows_free(p->subflows);
	if (p->pm != NULL && give_back_pm(p->config, &why) < 0)
		log_error("%s", why.text);
	mptcp_pm_free(p->pm);
	uplinks_free(p->uplinks);
	netmon_free(p->netmon);
	control_free(p->control);
	timer_done(&p->watchdog);
	timer_done(&p->second);
	loop_free(p->loop);
	free(p);
}
