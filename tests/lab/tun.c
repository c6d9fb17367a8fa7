#include "tests/lab/tun.h"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static struct ifreq
request(const struct tun *tun)
{
	struct ifreq ifr = {0};

	memcpy(ifr.ifr_name, tun->name, sizeof(ifr.ifr_name));
	return ifr;
}

static int
make_device(struct tun *tun)
{
	struct ifreq ifr = request(tun);

	tun->fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (tun->fd < 0)
		return -errno;
	ifr.ifr_flags = IFF_TUN | IFF_NO_PI;
	if (ioctl(tun->fd, TUNSETIFF, &ifr) < 0)
		return -errno;
	tun->ctl_fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (tun->ctl_fd < 0)
		return -errno;
	return tun_set_up(tun, true);
}

static int
enter_netns(const char *netns)
{
	char path[256];
	int fd, err = 0;

	snprintf(path, sizeof(path), "%s%s", netns[0] == '/' ? "" : "/run/netns/",
		 netns);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (setns(fd, CLONE_NEWNET) < 0)
		err = -errno;
	close(fd);
	return err;
}

int
tun_open(struct tun *tun, const char *netns, const char *name)
{
	int home, err;

	*tun = (struct tun){.fd = -1, .ctl_fd = -1};
	if (strlen(name) >= sizeof(tun->name))
		return -ENAMETOOLONG;
	strcpy(tun->name, name);
	home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (home < 0)
		return -errno;
	err = enter_netns(netns);
	if (err == 0) {
		err = make_device(tun);
		if (setns(home, CLONE_NEWNET) < 0 && err == 0)
			err = -errno;
	}
	close(home);
	if (err < 0)
		tun_close(tun);
	return err;
}

void
tun_close(struct tun *tun)
{
	if (tun->fd >= 0)
		close(tun->fd);
	if (tun->ctl_fd >= 0)
		close(tun->ctl_fd);
	tun->fd = tun->ctl_fd = -1;
}

int
tun_set_up(struct tun *tun, bool up)
{
	struct ifreq ifr = request(tun);

	if (ioctl(tun->ctl_fd, SIOCGIFFLAGS, &ifr) < 0)
		return -errno;
	if (up)
		ifr.ifr_flags |= IFF_UP;
	else
		ifr.ifr_flags &= ~IFF_UP;
	return ioctl(tun->ctl_fd, SIOCSIFFLAGS, &ifr) < 0 ? -errno : 0;
}

int
tun_set_carrier(struct tun *tun, bool carrier)
{
	int on = carrier;

	return ioctl(tun->fd, TUNSETCARRIER, &on) < 0 ? -errno : 0;
}
