#include "daemon/io/sock.h"

#include <net/if.h>
#include <string.h>
#include <sys/socket.h>

int
sock_set_int(int fd, int level, int name, int value)
{
	return setsockopt(fd, level, name, &value, sizeof(value)) < 0 ? -errno : 0;
}

int
sock_set_text(int fd, int level, int name, const char *text, size_t cap)
{
	size_t len = strlen(text);

	if (len >= cap)
		return -ENAMETOOLONG;
	return setsockopt(fd, level, name, text, (socklen_t)len) < 0 ? -errno : 0;
}

int
sock_set_device(int fd, const char *device)
{
	return sock_set_text(fd, SOL_SOCKET, SO_BINDTODEVICE, device, IFNAMSIZ);
}

int
sock_bind(int fd, const struct addr *at)
{
	struct sockaddr_storage ss;
	socklen_t len = addr_to_sockaddr(at, &ss);

	return bind(fd, (struct sockaddr *)&ss, len) < 0 ? -errno : 0;
}

int
sock_local(int fd, struct addr *ret_addr)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);

	if (getsockname(fd, (struct sockaddr *)&ss, &len) < 0)
		return -errno;
	return addr_from_sockaddr((struct sockaddr *)&ss, ret_addr);
}
