/*
 * udp_stream - a stream of the udp transport and the descriptor that it is
 * pumped to.
 *
 * Model:   bytes go from the descriptor into the core's buffers and back with one
 *          copy each way; a side that does not take them holds the other back.
 *
 *	OPENING --answer--> OPEN --both directions ended--> CLOSED
 *	   '------- refused, reset, aborted, the session is over --^
 *
 * Owner:   the tunnel, until on_closed was told; then it is freed at the end of
 *          the loop's turn.
 */
#ifndef DAEMON_UDP_STREAM_H
#define DAEMON_UDP_STREAM_H

#include "daemon/egress.h"
#include "daemon/transport.h"
#include "daemon/udp_session.h"

struct tunnel_udp;

enum udp_stream_state { UDP_STREAM_OPENING, UDP_STREAM_OPEN, UDP_STREAM_CLOSED };

struct udp_stream {
	struct tunnel_stream base;
	struct tunnel_udp *tunnel;
	struct udp_session *session;
	struct stream *core; /* NULL: no session yet, or closed */
	enum udp_stream_state state;
	const struct config_listener *from; /* client */
	struct config_host dest;
	struct watch watch;
	struct timer timer; /* of OPENING, first for a session; then half-closed */
	int fd;
	uint64_t id, bytes_in, bytes_out; /* from the descriptor, and to it */
	ns_t created_at, active_at;
	bool read_ended, write_ended;
};

/* Client: without a session within CONNECT_DEADLINE it is refused. */
struct udp_stream *udp_stream_new(struct tunnel_udp *t, const struct config_host *dest);
/* Client: the session is there, OPEN goes out. Server: it is the core's stream.
 * -ENOBUFS: the session has as many as it may, or no memory. */
int udp_stream_begin(struct udp_stream *s, struct udp_session *us) MUST_CHECK;
void udp_stream_take(struct udp_stream *s, struct udp_session *us, struct stream *core);
void udp_stream_news(struct udp_stream *s, uint8_t news);
/* `reset`: the local side sees RST, and so does the far one. */
void udp_stream_end(struct udp_stream *s, bool reset);

#endif
