/*
 * netlab - network namespaces inside of one test process.
 *
 * Model:   two namespaces, joined by veth pairs; the process goes from one to
 *          the other, and a socket stays where it was made.
 *
 *	NETLAB_CLIENT  c1 10.0.1.1 ---- 10.0.1.2 s1  NETLAB_SERVER
 *	               c2 10.0.2.1 ---- 10.0.2.2 s2
 *
 * Owner:   the kernel takes the namespaces down with the process.
 */
#ifndef TESTS_UNIT_NETLAB_H
#define TESTS_UNIT_NETLAB_H

#include "common/base.h"
#include "daemon/io/loop.h"

enum netlab_side { NETLAB_CLIENT, NETLAB_SERVER };

/* Once per process. False: not allowed here, and why is printed. */
bool netlab_init(void);
void netlab_enter(enum netlab_side side);
/* Runs a shell command in the namespace; the test fails when it fails. */
void netlab_sh(enum netlab_side side, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* veth c`n` - s`n` with its addresses, both ways at `mbit` a second; 0: as it is. */
void netlab_add_link(int n, int mbit);
/* Everything that goes over link `n` disappears, in both directions, and returns. */
void netlab_silence(int n);
void netlab_unsilence(int n);
uint64_t netlab_tx_bytes(enum netlab_side side, const char *interface);

/* An MPTCP listener on every address of the server's side. */
enum { NETLAB_PORT = 5000 };
int netlab_listen(void);
/* One MPTCP connection over link `n`, both ends, with its first bytes exchanged. */
struct netlab_leg {
	int client, server;
};
struct netlab_leg netlab_connect(struct loop *l, int listener, int n);
struct netlab_leg
netlab_connect_to(struct loop *l, int listener, const char *server, const char *device);

#endif
