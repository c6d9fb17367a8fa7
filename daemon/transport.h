/*
 * transport - what carries streams, seen from below the tunnel.
 *
 * Model:   a transport embeds struct transport, and struct tunnel_stream in
 *          each of its streams; both begin with the functions that tunnel.h
 *          promises. The tunnel passes calls on and adds nothing.
 * Owner:   the tunnel, from tunnel_add() on, ends it with `free`.
 */
#ifndef DAEMON_TRANSPORT_H
#define DAEMON_TRANSPORT_H

#include "daemon/tunnel.h"

/* As the functions tunnel_stream_X() of tunnel.h say. */
struct tunnel_ops {
	void (*answer)(struct tunnel_stream *s, enum open_status status);
	void (*attach)(struct tunnel_stream *s, int fd, const uint8_t *early,
		       size_t early_len);
	void (*abort)(struct tunnel_stream *s);
};

struct tunnel_stream {
	const struct tunnel_ops *ops;
};

struct transport_ops {
	/* These two on the client only; NULL on the server. */
	struct tunnel_stream *(*open)(struct transport *t,
				      const struct config_host *dest,
				      const struct config_listener *from,
				      const struct tunnel_user *user);
	void (*uplink_changed)(struct transport *t, struct uplink *u);

	/* Streams without an id, which nobody has asked for yet, are left out. */
	void (*each)(struct transport *t, tunnel_each_fn fn, void *arg);
	void (*counters)(const struct transport *t,
			 struct tunnel_counters *ret_counters);
	const char *(*state_text)(const struct transport *t);
	void (*free)(struct transport *t); /* resets every stream */
};

struct transport {
	const struct transport_ops *ops;
	struct tunnel *tunnel; /* that it was added to */
};

/* The id of a stream that somebody asks for now: unique in the tunnel. */
uint64_t transport_next_id(const struct transport *t);

#endif
