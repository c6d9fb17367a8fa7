/*
 * udp_fallback - an uplink that lets no UDP through goes over TCP.
 *
 * Model:   while none of an uplink's ports over UDP serves, because the server is
 *          not heard, or only small packets get through, there is one over TCP
 *          beside one of them, to the same address: one more subflow, which the
 *          session knows as any other. Those over UDP go on asking, so that
 *          whatever was in their way, it is noticed when it has gone:
 *
 *	UDP serves -- not for UDP_FALLBACK_AFTER --> a port over TCP is tried
 *	    ^                                         again and again, ever rarer
 *	    '--- for UDP_FALLBACK_LINGER: TCP ends ------'
 *
 * Source:  docs/protocol.md, "Over TCP".
 */
#ifndef DAEMON_UDP_FALLBACK_H
#define DAEMON_UDP_FALLBACK_H

#include "daemon/udp_ports.h"

#define UDP_FALLBACK_AFTER  NS_PER_SEC
#define UDP_FALLBACK_LINGER NS_PER_SEC
#define UDP_FALLBACK_GAP    NS_PER_SEC /* doubles from try to try */
#define UDP_FALLBACK_RARELY (60 * NS_PER_SEC)
#define UDP_FALLBACK_ALONE  (4 * NS_PER_SEC) /* at most, while nothing is heard */
#define UDP_FALLBACK_PATIENCE \
	(5 * NS_PER_SEC) /* with a connection that leads nowhere */

/* To be called a few times a second; `core`: the session, or NULL. */
void udp_fallback_check(struct udp_ports *ps, const struct session *core, ns_t now);

/* Whether this one, with a subflow, is to carry nothing that others can carry: over
 * TCP beside UDP that serves, over UDP what is too narrow, and what goes to another
 * address beside a port that serves and was there before. */
bool udp_fallback_is_spare(const struct udp_port *p, const struct session *core);

#endif
