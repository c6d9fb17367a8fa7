/*
 * tunnel - hides the transport from the rest of the daemon.
 *
 * Model:   a stream is opened towards a destination, answered, and given a
 *          local descriptor to pump; all on top of whichever transport
 *          (transport.h). There is one of a kind at most.
 *
 *	client: ingress -- tunnel_open() ------------------> server: on_open
 *	        on_opened(status) <------------------------- tunnel_stream_answer()
 *	        tunnel_stream_attach(fd)                     tunnel_stream_attach(fd)
 *	        on_closed                                    on_closed
 *
 * Owner:   a stream belongs to the tunnel. on_closed is the last that its
 *          user hears of it, and comes exactly once, never from inside one of
 *          these calls; a user that loses interest calls tunnel_stream_abort()
 *          and hears nothing more. A descriptor given to attach() belongs to
 *          the tunnel from then on. Transports are the tunnel's from
 *          tunnel_add() to tunnel_free().
 */
#ifndef DAEMON_TUNNEL_H
#define DAEMON_TUNNEL_H

#include "common/base.h"
#include "daemon/config.h"
#include "daemon/core/limits.h"
#include "daemon/subflow_info.h"

/* What became of an OPEN. The numbers travel and stay as they are. */
enum open_status {
	OPEN_OK = 0,
	OPEN_FAILED = 1, /* none of the others */
	OPEN_DENIED = 2,
	OPEN_NET_UNREACHABLE = 3,
	OPEN_HOST_UNREACHABLE = 4,
	OPEN_REFUSED = 5,
	OPEN_TIMED_OUT = 6,
	OPEN_NO_SUCH_NAME = 7, /* or a name without an address */
	OPEN_NAME_FAILED = 8,  /* no name server answered */
	OPEN_LIMIT = 9,        /* too many streams or connects of this peer */
	OPEN_NO_TUNNEL = 10,   /* client only: no session with the server */
	OPEN_STATUS_COUNT,
};

/* "the destination refused the connection" and so on. */
const char *open_status_text(enum open_status s);

struct leg_subflows;
struct transport;
struct tunnel;
struct tunnel_stream;
struct uplink;

/* `max_streams`: that a client may have asked for at one time. NULL: no memory. */
struct tunnel *tunnel_new(unsigned max_streams);
void tunnel_free(struct tunnel *t);
/* From here on the tunnel owns `transport`. */
void
tunnel_add(struct tunnel *t, enum config_transport kind, struct transport *transport);

/* Client: an uplink changed in any way. */
void tunnel_uplink_changed(struct tunnel *t, struct uplink *u);

struct tunnel_user {
	void (*on_opened)(void *arg, enum open_status status); /* client only */
	void (*on_closed)(void *arg);
	void *arg;
	/* Client: it is this stream from here on, the other one is gone; NULL: there is
	 * none any more, and on_closed does not come. May be NULL: nobody cares. */
	void (*on_moved)(void *arg, struct tunnel_stream *s);
};

/* Client: once a second; what `auto` goes by. */
void tunnel_measure(struct tunnel *t, ns_t now);

/*
 * Client: asks for a stream; on_opened tells what came of it. `from`: the
 * listener it came in by. NULL: no memory, over max_streams, no transport.
 */
struct tunnel_stream *
tunnel_open(struct tunnel *t, const struct config_host *dest,
	    const struct config_listener *from, const struct tunnel_user *user);

/* Server: the answer to on_open; after any other than OPEN_OK the stream is gone. */
void tunnel_stream_answer(struct tunnel_stream *s, enum open_status status);

/*
 * Starts to pump between `fd` and the far side; `early` bytes were read from
 * `fd` before. The client may attach before on_opened, without early bytes: what
 * comes back waits in the transport until the far side has connected; if it cannot,
 * `fd` is reset.
 */
void tunnel_stream_attach(struct tunnel_stream *s, int fd, const uint8_t *early,
			  size_t early_len);

/* The far side sees a reset. Closes an attached descriptor with RST. */
void tunnel_stream_abort(struct tunnel_stream *s);

/* For the report; the pointers live during the call only. */
struct tunnel_stream_info {
	uint64_t id;           /* counted from 1 on each side by itself */
	const char *peer;      /* the other side's name */
	const char *listener;  /* client: which one it came in by; else "" */
	const char *transport; /* "mptcp" */
	const char *chosen;    /* client: why, in plain words; else NULL */
	const struct config_host *dest;
	const char *state;             /* "opening", "open", "half-closed" */
	const char *fallback;          /* mptcp: why it is plain TCP; else NULL */
	bool plain;                    /* protect = auth, and bytes go unsealed */
	uint64_t bytes_up, bytes_down; /* client to server, and back */
	ns_t age;
	const struct leg_subflows *subflows; /* mptcp; else NULL */
	unsigned n_active; /* udp: subflows of its session that carry data */
	int fd;            /* mptcp: of the leg, for mptcp_info_get(); else -1 */
};
typedef void (*tunnel_each_fn)(void *arg, const struct tunnel_stream_info *info);
void tunnel_each_stream(struct tunnel *t, tunnel_each_fn fn, void *arg);
/* Those of udp sessions; a stream of mptcp has its own, in its info. */
void tunnel_each_subflow(struct tunnel *t, subflow_info_fn fn, void *arg);

struct tunnel_counters {
	uint64_t streams_opened, streams_refused, streams_reset;
	uint64_t bytes_up, bytes_down; /* of streams that have ended */
	uint64_t fallbacks;            /* legs that came up as plain TCP */
	uint64_t strangers; /* server: connections that never authenticated */
	uint64_t handshakes;
	unsigned streams, legs_waiting, half_open; /* now */
	/* udp, of all its sessions: bytes of streams that went out, and again ... */
	uint64_t sent_bytes, resent_bytes;
	uint64_t refused_packets;           /* did not open, or were replays */
	uint64_t rekeys;                    /* times a session had new keys */
	uint64_t held_bytes;                /* of buffers, now */
	unsigned sessions, subflows_active; /* now */
};
void tunnel_counters_get(const struct tunnel *t, struct tunnel_counters *ret_counters);

/* "connected", "connecting: REASON", "down", server: "listening". For people. */
const char *tunnel_state_text(const struct tunnel *t, enum config_transport kind);
/* Client: what `auto` chooses now, and why. For people. */
struct tunnel_choice {
	const char *transport; /* "udp" */
	char reason[128];
};
void tunnel_choice_get(const struct tunnel *t, struct tunnel_choice *ret_choice);

#endif
