#include "common/log.h"
#include "daemon/io/tcp.h"
#include "daemon/tunnel_mptcp.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

const char *
tunnel_congestion(const char *name)
{
	int fd, err;

	if (name[0] == '\0')
		return NULL;
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return NULL;
	err = tcp_set_congestion(fd, name);
	close(fd);
	if (err == 0)
		return name;
	log_warn("congestion control \"%s\" is not available (%s): using the system's; "
		 "try modprobe tcp_%s",
		 name, strerror(-err), name);
	return NULL;
}

size_t
tunnel_receive_buffer(const struct tunnel *t)
{
	size_t share = RECEIVE_BUDGET / (t->n_streams + 1);

	return max_size(min_size(share, RECEIVE_MAX), RECEIVE_MIN);
}
