/*
 * tun - a TUN device in a network namespace.
 *
 * Model:   `netns` is a name below /run/netns, or the path of any
 *          /proc/PID/ns/net. The device goes when its descriptor is closed.
 * Errors:  negative errno.
 */
#ifndef TESTS_LAB_TUN_H
#define TESTS_LAB_TUN_H

#include <net/if.h>

#include "common/base.h"

struct tun {
	int fd;
	int ctl_fd; /* a socket of its namespace, for the device's flags */
	char name[IFNAMSIZ];
};

/* Makes the device and sets it up; the caller is back in its own namespace. */
int tun_open(struct tun *tun, const char *netns, const char *name) MUST_CHECK;
void tun_close(struct tun *tun);

int tun_set_up(struct tun *tun, bool up) MUST_CHECK;
int tun_set_carrier(struct tun *tun, bool carrier) MUST_CHECK;

#endif
