/*
 * linkem - links between network namespaces, emulated.
 *
 * Model:   a link has two ends, TUN devices in two namespaces, and two lanes:
 *
 *	   end a |--- up --->| end b        a is the client's side
 *	         |<-- down --|
 *
 *          One thread moves the packets. Under load it takes them in turns
 *          of TURN_NS and treats them as if they had come in mid-turn; when
 *          little happens it wakes for each packet.
 * Owner:   the emulator owns its links; linkem_done() frees them and with
 *          them their devices.
 */
#ifndef TESTS_LAB_LINKEM_H
#define TESTS_LAB_LINKEM_H

#include "common/base.h"
#include "common/list.h"
#include "tests/lab/lane.h"
#include "tests/lab/tun.h"

#define LINK_NAME_MAX 32

enum { LINK_UP, LINK_DOWN, LINK_LANES };

struct link {
	struct list node;
	char name[LINK_NAME_MAX];
	/* Lane i goes from ends[i] to the other one. */
	struct tun ends[LINK_LANES];
	struct lane lanes[LINK_LANES];
};

struct linkem {
	struct list links;
	uint64_t seed;
	int epoll;      /* the devices and `calm_epoll` */
	int calm_epoll; /* all but the devices */
	int timer, signals;
};

ns_t linkem_now(void);

struct link *linkem_find(struct linkem *em, const char *name);
/* -EEXIST, or what failed when the devices were made. */
int linkem_add(struct linkem *em, const char *name, const char *const ends[4],
	       struct link **ret_link) MUST_CHECK;
void linkem_remove(struct link *link);

/* The new parameters take effect now, also on the sending end's device. */
int linkem_configure(struct link *link, int lane,
		     const struct lane_params *params) MUST_CHECK;

#endif
