#include "daemon/transport.h"

#include "daemon/egress.h"
#include "daemon/peers.h"

#include <stdlib.h>

void
transport_init(struct transport *t, struct loop *l)
{
	*t = (struct transport){.loop = l};
	list_init(&t->streams);
	list_init(&t->graves);
}

void
transport_add(struct transport *t, struct tunnel_stream *s,
	      const struct tunnel_ops *ops)
{
	s->ops = ops;
	s->transport = t;
	list_append(&t->streams, &s->node);
	t->n_streams++;
}

static void
tell_opened(struct tunnel_stream *s, enum open_status status)
{
	if (s->opened_told)
		return;
	s->opened_told = true;
	if (s->user.on_opened != NULL)
		s->user.on_opened(s->user.arg, status);
}

void
transport_opened(struct tunnel_stream *s)
{
	s->transport->counters.streams_opened++;
	tell_opened(s, OPEN_OK);
}

void
transport_refuse(struct tunnel_stream *s, enum open_status status)
{
	s->transport->counters.streams_refused++;
	s->ops->end(s, true);
	tell_opened(s, status);
}

static void
bury_all(struct transport *t)
{
	struct list dead;

	list_init(&dead);
	list_splice(&dead, &t->graves);
	list_for_each_safe (it, &dead) {
		struct tunnel_stream *s = list_entry(it, struct tunnel_stream, node);

		list_remove(it);
		if (s->asked_for)
			transport_gone(t);
		tell_opened(s, OPEN_FAILED);
		if (s->user.on_closed != NULL)
			s->user.on_closed(s->user.arg);
		free(s);
	}
}

static void
sweep(struct deferred *d)
{
	bury_all(container_of(d, struct transport, sweep));
}

void
transport_bury(struct tunnel_stream *s)
{
	struct transport *t = s->transport;

	if (s->connecting != NULL)
		egress_cancel(s->connecting);
	s->connecting = NULL;
	if (s->peer != NULL)
		peers_stream_ends(s->peer);
	list_remove(&s->node);
	t->n_streams--;
	list_append(&t->graves, &s->node);
	loop_defer(t->loop, &t->sweep, sweep);
}

void
transport_done(struct transport *t)
{
	list_for_each_safe (it, &t->streams) {
		struct tunnel_stream *s = list_entry(it, struct tunnel_stream, node);

		s->ops->end(s, true);
	}
	loop_undefer(&t->sweep);
	bury_all(t);
}

bool
transport_admit(struct tunnel_stream *s, struct peer *p)
{
	if (!peers_stream_begins(p))
		return false;
	s->peer = p;
	return true;
}

static void
on_connected(void *arg, enum open_status status, int fd)
{
	struct tunnel_stream *s = arg;

	s->connecting = NULL;
	tunnel_stream_answer(s, status);
	if (fd >= 0)
		tunnel_stream_attach(s, fd, NULL, 0);
}

void
transport_connect(struct tunnel_stream *s, struct egress *e,
		  const struct config_host *dest)
{
	s->connecting =
		egress_start(e, dest, s->peer->config, &s->peer->load, on_connected, s);
	if (s->connecting == NULL)
		tunnel_stream_answer(s, OPEN_FAILED);
}
