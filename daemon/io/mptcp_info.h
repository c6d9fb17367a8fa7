/*
 * mptcp_info - what the kernel says of one MPTCP socket and its subflows.
 *
 * Model:   MPTCP_FULL_INFO where the kernel has it (6.5), else MPTCP_INFO,
 *          MPTCP_TCPINFO and MPTCP_SUBFLOW_ADDRS.
 * Bounds:  MPTCP_INFO_SUBFLOWS_MAX subflows; more are counted, not listed.
 * Errors:  -EOPNOTSUPP: not MPTCP, or fallen back to plain TCP.
 */
#ifndef DAEMON_IO_MPTCP_INFO_H
#define DAEMON_IO_MPTCP_INFO_H

#include "common/addr.h"
#include "common/base.h"

enum { MPTCP_INFO_SUBFLOWS_MAX = 16 };

struct mptcp_subflow_info {
	struct addr local, remote;
	bool established; /* neither still joining nor on its way out */
	ns_t srtt;
	ns_t rto;                   /* before any back-off */
	ns_t since_ack;             /* since an acknowledgement came */
	uint32_t unacked;           /* packets */
	uint32_t in_flight;         /* packets that may still arrive */
	uint32_t lost, retransmits; /* packets; retransmits since the start */
	uint32_t cwnd;              /* packets */
	uint32_t delivered;         /* packets, in order or not, since the start */
	uint32_t unsent;            /* bytes */
	uint64_t bytes_acked;       /* since the start */
	uint64_t bytes_received;
	uint64_t delivery_rate; /* bit/s */
	uint64_t pacing_rate;   /* bit/s */
};

struct mptcp_info_all {
	uint32_t token;
	size_t n_subflows; /* listed */
	size_t n_left_out;
	struct mptcp_subflow_info subflows[MPTCP_INFO_SUBFLOWS_MAX];
};

int mptcp_info_get(int fd, struct mptcp_info_all *ret_info) MUST_CHECK;
/* The same in the way of kernels before 6.5, as the fallback and to test it. */
int mptcp_info_get_by_parts(int fd, struct mptcp_info_all *ret_info) MUST_CHECK;

/* Only the token. -EOPNOTSUPP tells that this is plain TCP. */
int mptcp_info_token(int fd, uint32_t *ret_token) MUST_CHECK;

#endif
