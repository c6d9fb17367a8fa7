/*
 * session_addr - further addresses of the server, as it tells its client.
 *
 * Model:   the server says ADD_ADDR until the client echoes it, and REMOVE_ADDR
 *          until that is acknowledged. The client keeps a list; where to join is
 *          its caller's to decide. What leads to an address that was taken back
 *          stays as long as it is alive, and ends when it is silent.
 * Bounds:  SESSION_ADDRS_MAX addresses; ids from 1 to 255, each used once.
 * Owner:   the session.
 * Errors:  0 or -errno. What is forged, or too much, is counted.
 * Source:  docs/protocol.md, "Addresses"; RFC 8684, 3.4.
 */
#ifndef DAEMON_CORE_SESSION_ADDR_H
#define DAEMON_CORE_SESSION_ADDR_H

#include "common/addr.h"
#include "common/base.h"

enum { SESSION_ADDRS_MAX = 8 };

struct session;

/* Port 0: that of the address in use. */
struct session_addr {
	uint8_t id;
	struct addr at;
};

/* Server. -EEXIST: the id was used before; -ENOSPC: there are too many. */
int session_advertise(struct session *s, uint8_t id, const struct addr *at) MUST_CHECK;
/* Server. An id that it does not advertise is no error. */
void session_withdraw(struct session *s, uint8_t id);

/* Client: what the server advertises now. */
size_t session_addrs(const struct session *s,
		     struct session_addr ret_addrs[SESSION_ADDRS_MAX]);

/* For the session alone: */

/* `word`: the frame that is to be said of it, 0: none. */
struct addrs_entry {
	struct session_addr addr; /* id 0: nobody's */
	uint8_t word;
	bool leaves;
	ns_t say_at, gap; /* server: when it is said again; NS_NEVER: it was echoed */
};

struct addrs {
	struct addrs_entry at[SESSION_ADDRS_MAX];
	uint8_t gone[256 / 8]; /* ids that were taken back */
	bool talks;            /* there is a word to be said */
};

#endif
