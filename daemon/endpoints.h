/*
 * endpoints - where the server is: the addresses of its configured names.
 *
 * Model:   names are asked for until there is an address, and again when told.
 * Bounds:  RESOLVER_ADDRS_MAX addresses; the one tried longest makes room.
 * Owner:   the caller embeds the struct.
 */
#ifndef DAEMON_ENDPOINTS_H
#define DAEMON_ENDPOINTS_H

#include "daemon/config.h"
#include "daemon/io/resolver.h"
#include "daemon/uplinks.h"

struct endpoints;

struct endpoint_lookup {
	struct endpoints *endpoints;
	const struct config_host *host;
	struct lookup *lookup; /* NULL: not under way */
	bool failed;           /* and was told about */
};

struct endpoints {
	struct resolver *resolver;
	const struct config_server *server;
	/* With port; the first of its family is the one in use. */
	struct addr addrs[RESOLVER_ADDRS_MAX];
	size_t n;
	struct endpoint_lookup lookups[CONFIG_ENDPOINTS_MAX];
	void (*on_found)(void *arg);
	void *arg;
};

void endpoints_init(struct endpoints *e, struct resolver *r,
		    const struct config_server *server, void (*on_found)(void *arg),
		    void *arg);
void endpoints_done(struct endpoints *e);

/* Asks for every name that is not being asked for. */
void endpoints_look_up(struct endpoints *e);
/* Where `u` reaches the server; NULL: it has no address of such a family. */
const struct addr *endpoints_for(const struct endpoints *e, const struct uplink *u);
/* The first did not answer: the next one's turn. */
void endpoints_next(struct endpoints *e);
void endpoints_prefer(struct endpoints *e, const struct addr *a);

#endif
