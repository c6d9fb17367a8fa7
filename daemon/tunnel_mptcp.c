#include "daemon/tunnel_mptcp.h"

#include "common/log.h"
#include "daemon/io/tcp.h"
#include "daemon/mptcp_client.h"
#include "daemon/mptcp_server.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int
tunnel_init(struct tunnel *t, struct loop *l, const struct config *c,
	    struct subflows *s)
{
	memset(t, 0, sizeof(*t));
	t->loop = l;
	t->config = c;
	t->subflows = s;
	t->congestion = tunnel_congestion(c->congestion);
	list_init(&t->streams);
	list_init(&t->graves);
	pump_shared_init(&t->shared);
	return 0;
}

static void
bury(struct tunnel *t)
{
	struct list dead;

	list_init(&dead);
	list_splice(&dead, &t->graves);
	list_for_each_safe (it, &dead) {
		struct tunnel_stream *s = list_entry(it, struct tunnel_stream, node);

		list_remove(it);
		if (!s->opened_told && s->user.on_opened != NULL)
			s->user.on_opened(s->user.arg, OPEN_FAILED);
		if (s->user.on_closed != NULL)
			s->user.on_closed(s->user.arg);
		free(s);
	}
}

static void
sweep(struct deferred *d)
{
	bury(container_of(d, struct tunnel, sweep));
}

void
tunnel_mptcp_bury(struct tunnel *t, struct tunnel_stream *s)
{
	list_append(&t->graves, &s->node);
	loop_defer(t->loop, &t->sweep, sweep);
}

void
tunnel_done(struct tunnel *t)
{
	list_for_each_safe (it, &t->streams)
		mptcp_stream_end(list_entry(it, struct tunnel_stream, node), true);
	loop_undefer(&t->sweep);
	bury(t);
	pump_shared_done(&t->shared);
}

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

static const char *
state_text(const struct tunnel_stream *s)
{
	if (s->state != STREAM_OPEN)
		return "opening";
	if (s->pump.up == PUMP_ENDED || s->pump.down == PUMP_ENDED)
		return "half-closed";
	return "open";
}

void
tunnel_each_stream(struct tunnel *t, tunnel_each_fn fn, void *arg)
{
	bool client = t->client != NULL;
	ns_t now = loop_now(t->loop);

	list_for_each (it, &t->streams) {
		struct tunnel_stream *s = list_entry(it, struct tunnel_stream, node);
		struct tunnel_stream_info info = {
			.id = s->id,
			.peer = client ? t->config->server.name
				       : mptcp_server_peer_name(s->peer),
			.listener = s->from != NULL ? s->from->name : "",
			.dest = &s->dest,
			.state = state_text(s),
			.fallback = s->fallback ? "MPTCP options did not get through"
						: NULL,
			.plain = s->pump.up == PUMP_PLAIN || s->pump.down == PUMP_PLAIN,
			.bytes_up = client ? s->pump.bytes_up : s->pump.bytes_down,
			.bytes_down = client ? s->pump.bytes_down : s->pump.bytes_up,
			.age = now - s->created_at,
			.subflows = &s->subflows,
			.fd = s->leg.fd,
		};

		if (s->id != 0)
			fn(arg, &info);
	}
}

void
tunnel_counters_get(const struct tunnel *t, struct tunnel_counters *ret_counters)
{
	struct tunnel_counters c = t->counters;

	list_for_each (it, &t->streams) {
		const struct tunnel_stream *s =
			list_entry(it, struct tunnel_stream, node);

		if (s->id != 0)
			c.streams++;
		else
			c.legs_waiting++;
	}
	if (t->server != NULL)
		c.half_open = mptcp_server_half_open(t->server);
	*ret_counters = c;
}

const char *
tunnel_state_text(const struct tunnel *t)
{
	return t->client != NULL ? t->client->state_text : "listening";
}
