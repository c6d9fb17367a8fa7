#include "daemon/endpoints.h"

#include "common/log.h"

#include <string.h>

#define LOOKUP_DEADLINE (5 * NS_PER_SEC)

void
endpoints_init(struct endpoints *e, struct resolver *r,
	       const struct config_server *server, void (*on_found)(void *arg),
	       void *arg)
{
	memset(e, 0, sizeof(*e));
	e->resolver = r;
	e->server = server;
	e->on_found = on_found;
	e->arg = arg;
}

void
endpoints_done(struct endpoints *e)
{
	for (size_t i = 0; i < ARRAY_LEN(e->lookups); i++) {
		if (e->lookups[i].lookup != NULL)
			resolver_cancel(e->lookups[i].lookup);
		e->lookups[i].lookup = NULL;
	}
}

void
endpoints_next(struct endpoints *e)
{
	struct addr first = e->addrs[0];

	if (e->n < 2)
		return;
	memmove(e->addrs, e->addrs + 1, (e->n - 1) * sizeof(first));
	e->addrs[e->n - 1] = first;
}

void
endpoints_prefer(struct endpoints *e, const struct addr *a)
{
	const struct addr preferred = *a;

	for (size_t i = 0; i < e->n; i++) {
		if (!addr_equal(&e->addrs[i], &preferred))
			continue;
		memmove(e->addrs + 1, e->addrs, i * sizeof(preferred));
		e->addrs[0] = preferred;
		return;
	}
}

const struct addr *
endpoints_for(const struct endpoints *e, const struct uplink *u)
{
	for (size_t i = 0; i < e->n; i++) {
		if (uplink_addr(u, e->addrs[i].family) != NULL)
			return &e->addrs[i];
	}
	return NULL;
}

static void
add(struct endpoints *e, const struct addr *ip, uint16_t port)
{
	struct addr a = *ip;

	a.port = port;
	for (size_t i = 0; i < e->n; i++) {
		if (addr_equal(&e->addrs[i], &a))
			return;
	}
	if (e->n == ARRAY_LEN(e->addrs)) {
		endpoints_next(e);
		e->n--;
	}
	e->addrs[e->n++] = a;
}

static void
on_looked_up(void *arg, int err, const struct addr *addrs, size_t n)
{
	struct endpoint_lookup *l = arg;
	struct endpoints *e = l->endpoints;

	l->lookup = NULL;
	if (err < 0) {
		if (!l->failed)
			log_warn("server name not found: name=%s error=\"%s\"",
				 l->host->host, strerror(-err));
		l->failed = true;
		return;
	}
	l->failed = false;
	for (size_t i = 0; i < n; i++)
		add(e, &addrs[i], l->host->port);
	e->on_found(e->arg);
}

void
endpoints_look_up(struct endpoints *e)
{
	struct addr ip;

	for (size_t i = 0; i < e->server->n_endpoints; i++) {
		struct endpoint_lookup *l = &e->lookups[i];

		l->endpoints = e;
		l->host = &e->server->endpoints[i];
		if (addr_parse_ip(l->host->host, &ip) == 0)
			add(e, &ip, l->host->port);
		else if (l->lookup == NULL &&
			 resolver_start(e->resolver, l->host->host, LOOKUP_DEADLINE,
					on_looked_up, l, &l->lookup) < 0)
			log_warn("server name not looked up: name=%s", l->host->host);
	}
}
