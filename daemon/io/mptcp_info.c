#include "daemon/io/mptcp_info.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <string.h>

/*
 * Declared here and not taken from linux/mptcp.h: Debian 12's lacks half of
 * it, and newer ones have names that are ours. Source: that header, Linux 6.18.
 */
enum {
	SOL_MPTCP_LEVEL = 284,
	OPT_INFO = 1,
	OPT_TCPINFO = 2,
	OPT_SUBFLOW_ADDRS = 3,
	OPT_FULL_INFO = 4, /* since Linux 6.5 */
};

enum { INFO_FLAG_FALLBACK = 1 };
/* Of netinet/tcp.h, which cannot be had together with linux/tcp.h. */
enum { TCP_STATE_ESTABLISHED = 1, TCP_STATE_CLOSE = 7 };

struct kernel_info { /* struct mptcp_info up to the token */
	uint8_t counts[6];
	uint32_t flags;
	uint32_t token;
};

struct kernel_addrs { /* struct mptcp_subflow_addrs */
	struct sockaddr_storage local, remote;
};

struct kernel_subflow { /* struct mptcp_subflow_info */
	uint32_t id;
	struct kernel_addrs addrs;
};

struct kernel_full_info {                              /* struct mptcp_full_info */
	uint32_t size_tcpinfo_kernel;                  /* 0, set by the kernel */
	uint32_t size_tcpinfo_user;                    /* of one */
	uint32_t size_subflow_kernel;                  /* 0, set by the kernel */
	uint32_t size_subflow_user;                    /* of one */
	uint32_t n_subflows;                           /* 0, set by the kernel */
	uint32_t n_subflows_user;                      /* room in the arrays */
	uint64_t subflows __attribute__((aligned(8))); /* pointers */
	uint64_t tcp_infos __attribute__((aligned(8)));
	struct kernel_info info;
};

struct kernel_array { /* struct mptcp_subflow_data */
	uint32_t size;
	uint32_t n_subflows;  /* 0, set by the kernel */
	uint32_t size_kernel; /* 0, set by the kernel */
	uint32_t size_user;   /* of one element */
} __attribute__((aligned(8)));

static int
get_option(int fd, int option, void *buf, size_t len)
{
	socklen_t n = (socklen_t)len;

	if (getsockopt(fd, SOL_MPTCP_LEVEL, option, buf, &n) == 0)
		return 0;
	/* Plain TCP says either, by kernel. */
	return errno == ENOPROTOOPT ? -EOPNOTSUPP : -errno;
}

static int
check_info(const struct kernel_info *info)
{
	return (info->flags & INFO_FLAG_FALLBACK) ? -EOPNOTSUPP : 0;
}

static void
set_addrs(struct mptcp_subflow_info *sf, const struct kernel_addrs *from)
{
	if (addr_from_sockaddr((const void *)&from->local, &sf->local) == 0)
		addr_unmap(&sf->local);
	if (addr_from_sockaddr((const void *)&from->remote, &sf->remote) == 0)
		addr_unmap(&sf->remote);
}

static void
set_figures(struct mptcp_subflow_info *sf, const struct tcp_info *from)
{
	uint32_t gone;

	sf->established = from->tcpi_state == TCP_STATE_ESTABLISHED;
	sf->srtt = from->tcpi_rtt * NS_PER_US;
	sf->rto = (from->tcpi_rto >> min_size(from->tcpi_backoff, 31)) * NS_PER_US;
	sf->since_ack = from->tcpi_last_ack_recv * NS_PER_MS;
	sf->unacked = from->tcpi_unacked;
	sf->lost = from->tcpi_lost;
	/* RFC 6675's pipe: what has left neither by SACK nor as lost. */
	gone = from->tcpi_sacked + from->tcpi_lost;
	sf->in_flight = from->tcpi_unacked + from->tcpi_retrans;
	sf->in_flight = sf->in_flight > gone ? sf->in_flight - gone : 0;
	sf->retransmits = from->tcpi_total_retrans;
	sf->cwnd = from->tcpi_snd_cwnd;
	sf->delivered = from->tcpi_delivered;
	sf->unsent = from->tcpi_notsent_bytes;
	sf->bytes_acked = from->tcpi_bytes_acked;
	sf->bytes_received = from->tcpi_bytes_received;
	sf->delivery_rate = from->tcpi_delivery_rate * 8;
	sf->pacing_rate = from->tcpi_pacing_rate * 8;
}

/*
 * Takes over what was told of each subflow. The kernel keeps the first subflow
 * after its end, as a closed socket: that one is not listed.
 */
static void
list_subflow(struct mptcp_info_all *info, const struct kernel_addrs *addrs,
	     const struct tcp_info *tcp_info)
{
	struct mptcp_subflow_info *sf = &info->subflows[info->n_subflows];

	if (tcp_info->tcpi_state == TCP_STATE_CLOSE)
		return;
	set_addrs(sf, addrs);
	set_figures(sf, tcp_info);
	info->n_subflows++;
}

static int
get_full(int fd, struct mptcp_info_all *info)
{
	struct kernel_subflow subflows[MPTCP_INFO_SUBFLOWS_MAX];
	struct tcp_info tcp_infos[MPTCP_INFO_SUBFLOWS_MAX];
	struct kernel_full_info full;
	size_t n;
	int err;

	memset(&full, 0, sizeof(full));
	memset(subflows, 0, sizeof(subflows));
	memset(tcp_infos, 0, sizeof(tcp_infos));
	full.size_tcpinfo_user = sizeof(tcp_infos[0]);
	full.size_subflow_user = sizeof(subflows[0]);
	full.n_subflows_user = MPTCP_INFO_SUBFLOWS_MAX;
	full.subflows = (uintptr_t)subflows;
	full.tcp_infos = (uintptr_t)tcp_infos;

	err = get_option(fd, OPT_FULL_INFO, &full, sizeof(full));
	if (err < 0)
		return err;
	err = check_info(&full.info);
	if (err < 0)
		return err;
	info->token = full.info.token;
	n = min_size(full.n_subflows, MPTCP_INFO_SUBFLOWS_MAX);
	info->n_left_out = full.n_subflows - n;
	for (size_t i = 0; i < n; i++)
		list_subflow(info, &subflows[i].addrs, &tcp_infos[i]);
	return 0;
}

/* One thing of each subflow, by one of the two older options. */
static int
get_array(int fd, int option, struct kernel_array *head, size_t element, size_t total)
{
	memset(head, 0, total);
	head->size = sizeof(*head);
	head->size_user = (uint32_t)element;
	return get_option(fd, option, head, total);
}

/* Before Linux 6.5. -EAGAIN: a subflow came or went between the two questions. */
static int
get_by_parts(int fd, struct mptcp_info_all *info)
{
	struct {
		struct kernel_array head;
		struct tcp_info of[MPTCP_INFO_SUBFLOWS_MAX];
	} tcp_infos;
	struct {
		struct kernel_array head;
		struct kernel_addrs of[MPTCP_INFO_SUBFLOWS_MAX];
	} addrs;
	size_t n;
	int err;

	err = mptcp_info_token(fd, &info->token);
	if (err < 0)
		return err;
	err = get_array(fd, OPT_TCPINFO, &tcp_infos.head, sizeof(tcp_infos.of[0]),
			sizeof(tcp_infos));
	if (err < 0)
		return err;
	err = get_array(fd, OPT_SUBFLOW_ADDRS, &addrs.head, sizeof(addrs.of[0]),
			sizeof(addrs));
	if (err < 0)
		return err;
	if (tcp_infos.head.n_subflows != addrs.head.n_subflows)
		return -EAGAIN;
	n = min_size(addrs.head.n_subflows, MPTCP_INFO_SUBFLOWS_MAX);
	info->n_left_out = addrs.head.n_subflows - n;
	for (size_t i = 0; i < n; i++)
		list_subflow(info, &addrs.of[i], &tcp_infos.of[i]);
	return 0;
}

int
mptcp_info_get_by_parts(int fd, struct mptcp_info_all *ret_info)
{
	struct mptcp_info_all info;
	int err = -EAGAIN;

	for (int tries = 0; tries < 3 && err == -EAGAIN; tries++) {
		memset(&info, 0, sizeof(info));
		err = get_by_parts(fd, &info);
	}
	if (err == 0)
		*ret_info = info;
	return err;
}

int
mptcp_info_get(int fd, struct mptcp_info_all *ret_info)
{
	struct mptcp_info_all info;
	int err;

	memset(&info, 0, sizeof(info));
	err = get_full(fd, &info);
	if (err == -EOPNOTSUPP)
		return mptcp_info_get_by_parts(fd, ret_info);
	if (err == 0)
		*ret_info = info;
	return err;
}

int
mptcp_info_token(int fd, uint32_t *ret_token)
{
	struct kernel_info info;
	int err;

	memset(&info, 0, sizeof(info));
	err = get_option(fd, OPT_INFO, &info, sizeof(info));
	if (err == 0)
		err = check_info(&info);
	if (err == 0)
		*ret_token = info.token;
	return err;
}
