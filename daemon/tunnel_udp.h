/*
 * tunnel_udp - streams over the project's own protocol: what its roles share.
 *
 * Model:   udp_client has one session, with its server; udp_server one for each
 *          of its clients. A stream belongs to a session, or waits for one.
 * Owner:   udp_client or udp_server, which it is a part of; it owns its streams.
 */
#ifndef DAEMON_TUNNEL_UDP_H
#define DAEMON_TUNNEL_UDP_H

#include "daemon/transport.h"
#include "daemon/udp_stream.h"

struct tunnel_udp {
	struct transport base;
	const struct config *config;
	bool is_client;
};

void tunnel_udp_init(struct tunnel_udp *t, struct loop *l, const struct config *c);

/* The streams of this session are over. */
void tunnel_udp_reset_streams(struct tunnel_udp *t, const struct udp_session *us);

/* What is configured, where the udp transport has it; else bbr. */
enum cc_kind udp_congestion(const struct config *c);
/* Which tier of the scheduler a priority is; `never` has no subflow. */
uint8_t udp_tier(enum config_priority p);

/* Of struct transport_ops, for both roles. */
void tunnel_udp_each(struct transport *base, tunnel_each_fn fn, void *arg);
/* Without its sessions. */
void
tunnel_udp_counters(const struct tunnel_udp *t, struct tunnel_counters *ret_counters);

#endif
