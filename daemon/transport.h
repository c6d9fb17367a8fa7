/*
 * transport - what carries streams, seen from below the tunnel.
 *
 * Model:   a transport begins with struct transport, and each of its streams
 *          with struct tunnel_stream; both begin with the functions that
 *          tunnel.h promises. What does not depend on how the bytes travel is
 *          done here: who is told what of a stream, what it counts as, where it
 *          is connected to, and how it ends.
 *
 *	transport_add() --> .streams -- ops->end() --> .graves -- end of turn --> free()
 *
 * Owner:   the tunnel, from tunnel_add() on, ends it with `free`. A stream is
 *          one allocation, freed here.
 */
#ifndef DAEMON_TRANSPORT_H
#define DAEMON_TRANSPORT_H

#include "common/list.h"
#include "daemon/choice.h"
#include "daemon/io/loop.h"
#include "daemon/tunnel.h"

struct egress;
struct egress_request;
struct peer;
struct tunnel_request;

/* The first two as the functions tunnel_stream_X() of tunnel.h say. */
struct tunnel_ops {
	void (*answer)(struct tunnel_stream *s, enum open_status status);
	void (*attach)(struct tunnel_stream *s, int fd, const uint8_t *early,
		       size_t early_len);
	/* Closes, with RST where `reset`; then transport_bury(). Once is enough. */
	void (*end)(struct tunnel_stream *s, bool reset);
	/*
	 * Client: where nothing of the stream has left yet, ends it, and gives back
	 * what it is about; what is pointed to lives until the end of the turn.
	 * False: it stays. NULL: nobody asks.
	 */
	bool (*let_go)(struct tunnel_stream *s, struct tunnel_request *ret_request);
};

struct tunnel_request {
	const struct config_host *dest;
	const struct config_listener *from;
	int fd; /* attached, of which nothing was read; -1: none */
};

struct tunnel_stream {
	const struct tunnel_ops *ops;
	struct transport *transport;
	struct list node;          /* of its streams, or its graves */
	struct tunnel_user user;   /* client; on_closed NULL: none */
	bool opened_told;          /* on_opened had its call */
	bool asked_for;            /* client: by tunnel_open(), which counts it */
	enum choice_reason chosen; /* client: why this transport */
	struct peer *peer;         /* server; NULL: it does not count */
	struct egress_request *connecting; /* server */
};

struct transport_ops {
	/* These three on the client only; NULL on the server. */
	struct tunnel_stream *(*open)(struct transport *t,
				      const struct config_host *dest,
				      const struct config_listener *from,
				      const struct tunnel_user *user);
	void (*uplink_changed)(struct transport *t, struct uplink *u);
	struct transport_health (*health)(const struct transport *t);

	/* Streams without an id, which nobody has asked for yet, are left out. */
	void (*each)(struct transport *t, tunnel_each_fn fn, void *arg);
	/* Of its sessions; NULL where subflows belong to streams. */
	void (*each_subflow)(struct transport *t, subflow_info_fn fn, void *arg);
	void (*counters)(const struct transport *t,
			 struct tunnel_counters *ret_counters);
	const char *(*state_text)(const struct transport *t);
	void (*free)(struct transport *t); /* resets every stream */
};

struct transport {
	const struct transport_ops *ops;
	struct tunnel *tunnel; /* that it was added to */
	struct loop *loop;
	struct list streams, graves;
	unsigned n_streams; /* without those in their graves */
	struct deferred sweep;
	struct tunnel_counters counters; /* but for what there is now */
};

void transport_init(struct transport *t, struct loop *l);
void transport_done(struct transport *t); /* resets every stream */

/* The id of a stream that somebody asks for now: unique in the tunnel. */
uint64_t transport_next_id(const struct transport *t);
/* Client: a stream would not have to wait for a session here. It gets those of `auto`
 * that wait for one elsewhere. */
void transport_works(struct transport *t);
/* A stream that was asked for is freed. */
void transport_gone(const struct transport *t);

void transport_add(struct transport *t, struct tunnel_stream *s,
		   const struct tunnel_ops *ops);
/* The far side is connected: counts it, tells on_opened. */
void transport_opened(struct tunnel_stream *s);
/* Counts it, resets the stream, tells on_opened. */
void transport_refuse(struct tunnel_stream *s, enum open_status status);
/* At the end of the turn on_closed is told, and the stream is freed. */
void transport_bury(struct tunnel_stream *s);

/* Server: it counts as this peer's from here on. False: it is over a limit. */
bool transport_admit(struct tunnel_stream *s, struct peer *p) MUST_CHECK;
/* Server: the stream is answered, and attached to what `dest` is. */
void transport_connect(struct tunnel_stream *s, struct egress *e,
		       const struct config_host *dest);

#endif
