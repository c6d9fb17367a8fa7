/*
 * udp_status - what a session of the udp transport tells of itself.
 */
#ifndef DAEMON_UDP_STATUS_H
#define DAEMON_UDP_STATUS_H

#include "daemon/core/session.h"
#include "daemon/subflow_info.h"
#include "daemon/tunnel.h"
#include "daemon/uplinks.h"

/* What the session itself does not know. */
struct udp_status_names {
	const char *peer; /* the other side's name */
	/* Whether burst.via is a TCP connection; NULL: none is. */
	bool (*is_tcp)(const void *owner, uint32_t via);
	const void *owner;
};

/* Each subflow of the session; `s` NULL: none. */
void udp_status_each(const struct session *s, const struct udp_status_names *names,
		     ns_t now, subflow_info_fn fn, void *arg);

/* Client: tells the uplinks over which of them it hears the server. To be called
 * whenever that may have changed. */
void udp_status_tell(const struct session *s, const struct udp_status_names *names,
		     struct uplinks *us);
/* Client: there is no session any more. */
void udp_status_lost(struct uplinks *us, ns_t now);

/* Adds what it has counted since its start, and unless `is_over` what it has now. */
void
udp_status_add(const struct session *s, bool is_over, struct tunnel_counters *counters);
/* Subflows that carry data. */
unsigned udp_status_active(const struct session *s);

#endif
