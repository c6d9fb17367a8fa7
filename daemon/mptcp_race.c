#include "daemon/mptcp_race.h"

#include "common/log.h"
#include "daemon/io/tcp.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ROUND_FIRST     (250 * NS_PER_MS)
#define ROUND_LAST      (2 * NS_PER_SEC)
#define INITIATION_LIFE (8 * NS_PER_SEC)

struct attempt {
	struct mptcp_race *race;
	struct watch watch;
	struct addr remote;
	int fd; /* -1: not under way */
	bool sent;
	size_t have;
	uint8_t answer[HANDSHAKE_LEN];
};

struct mptcp_race {
	struct mptcp_client *client;
	struct handshake handshake;
	uint8_t initiation[HANDSHAKE_LEN];
	struct attempt attempts[UPLINKS_MAX]; /* by uplink id - 1 */
	struct timer timer;
	ns_t started_at, initiation_at, round_ns;
	bool on;
	bool reached;      /* somebody accepted an initiation */
	bool told_version; /* that the server speaks another one */
};

static void on_timer(void *arg);

struct mptcp_race *
mptcp_race_new(struct mptcp_client *c)
{
	struct mptcp_race *r = calloc(1, sizeof(*r));

	if (r == NULL || timer_init(&r->timer, c->loop, on_timer, r) < 0) {
		free(r);
		return NULL;
	}
	r->client = c;
	for (size_t i = 0; i < ARRAY_LEN(r->attempts); i++) {
		r->attempts[i].race = r;
		r->attempts[i].fd = -1;
	}
	return r;
}

static void
attempt_end(struct attempt *a)
{
	watch_done(&a->watch);
	if (a->fd >= 0)
		close(a->fd);
	a->fd = -1;
	a->have = 0;
	a->sent = false;
}

static void
stop(struct mptcp_race *r)
{
	r->on = false;
	timer_stop(&r->timer);
	for (size_t i = 0; i < ARRAY_LEN(r->attempts); i++)
		attempt_end(&r->attempts[i]);
	handshake_done(&r->handshake);
}

void
mptcp_race_free(struct mptcp_race *r)
{
	if (r == NULL)
		return;
	stop(r);
	timer_done(&r->timer);
	free(r);
}

static int
new_initiation(struct mptcp_race *r)
{
	struct mptcp_client *c = r->client;
	struct handshake_offer offer = {
		.version = HANDSHAKE_VERSION,
		.aead_mask = aead_fast_mask(),
	};
	const struct handshake_secrets secrets = identity_secrets(c->me);

	for (size_t i = 0; i < ARRAY_LEN(r->attempts); i++)
		attempt_end(&r->attempts[i]);
	r->initiation_at = loop_now(c->loop);
	return handshake_start(&r->handshake, HANDSHAKE_MPTCP, &c->prng, &secrets,
			       &offer, r->initiation);
}

static void
win(struct attempt *a)
{
	struct mptcp_race *r = a->race;
	struct mptcp_client *c = r->client;
	struct handshake_answer answer;
	struct handshake_keys keys;
	int err;

	err = handshake_finish(&r->handshake, a->answer, &answer, &keys);
	if (err == -EPROTONOSUPPORT && !r->told_version) {
		r->told_version = true;
		log_error("server \"%s\" speaks protocol version %u, this program %u: "
			  "upgrade the older one",
			  c->config->server.name, answer.version, HANDSHAKE_VERSION);
	}
	attempt_end(a);
	if (err < 0)
		return;
	stop(r);
	r->told_version = false;
	endpoints_prefer(&c->endpoints, &a->remote);
	mptcp_client_session_made(c, &answer, &keys);
	crypto_wipe(&keys, sizeof(keys));
}

static void
on_ready(void *arg, int what)
{
	struct attempt *a = arg;
	ssize_t n;

	if (!a->sent && (what & LOOP_WRITE)) {
		int err = tcp_connect_result(a->fd);

		if (err == -EINPROGRESS)
			return;
		/* A fresh socket takes a few hundred bytes whole or not at all. */
		if (err < 0 || send(a->fd, a->race->initiation, HANDSHAKE_LEN,
				    MSG_NOSIGNAL) != HANDSHAKE_LEN) {
			attempt_end(a);
			return;
		}
		a->sent = true;
		a->race->reached = true;
		watch_want(&a->watch, LOOP_READ);
		return;
	}
	n = recv(a->fd, a->answer + a->have, sizeof(a->answer) - a->have, 0);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		attempt_end(a);
		return;
	}
	a->have += (size_t)n;
	if (a->have == sizeof(a->answer))
		win(a);
}

static void
try_uplink(struct mptcp_race *r, const struct uplink *u)
{
	struct mptcp_client *c = r->client;
	struct attempt *a = &r->attempts[u->id - 1];
	const struct addr *remote = endpoints_for(&c->endpoints, u);
	struct tcp_connect tc = {.kind = TCP_PLAIN, .device = u->interface};
	int fd;

	if (a->fd >= 0 || remote == NULL || u->priority == PRIORITY_NEVER ||
	    u->ifindex == 0)
		return;
	tc.remote = *remote;
	fd = tcp_connect_start(&tc);
	if (fd < 0) {
		log_debug("handshake not sent: uplink=%s error=\"%s\"", u->name,
			  strerror(-fd));
		return;
	}
	if (watch_init(&a->watch, c->loop, fd, on_ready, a) < 0) {
		close(fd);
		return;
	}
	a->fd = fd;
	a->remote = *remote;
	watch_want(&a->watch, LOOP_WRITE);
}

/* Says once, and again when it is another one, what is wrong as it seems. */
static void
complain(struct mptcp_race *r)
{
	struct mptcp_client *c = r->client;
	const char *text =
		r->reached ? "connecting: the server takes connections but does "
			     "not answer; is this client's key one of its peers, "
			     "is public_key its key?"
			   : "connecting: the server is not reached over any "
			     "uplink";

	if (loop_now(c->loop) - r->started_at < 5 * NS_PER_SEC ||
	    strcmp(c->state_text, text) == 0)
		return;
	snprintf(c->state_text, sizeof(c->state_text), "%s", text);
	log_warn("%s", text);
}

static void
round_now(struct mptcp_race *r)
{
	struct mptcp_client *c = r->client;
	bool stale = loop_now(c->loop) - r->initiation_at >= INITIATION_LIFE;

	if (stale && new_initiation(r) < 0)
		log_error("handshake: no memory");
	/* What is under way goes on to where it went, and so does a session. */
	if (!c->session.up && (stale || (!r->reached && r->round_ns > ROUND_FIRST)))
		endpoints_next(&c->endpoints);
	for (size_t i = 0; i < uplinks_count(c->uplinks); i++)
		try_uplink(r, uplinks_at(c->uplinks, i));
	complain(r);
	timer_set(&r->timer, r->round_ns);
	r->round_ns = min_ns(r->round_ns * 2, ROUND_LAST);
}

static void
on_timer(void *arg)
{
	struct mptcp_race *r = arg;

	if (r->on)
		round_now(r);
	else
		mptcp_race_start(r);
}

void
mptcp_race_start(struct mptcp_race *r)
{
	if (r->on)
		return;
	if (new_initiation(r) < 0) {
		log_error("handshake: no memory");
		timer_set(&r->timer, ROUND_LAST);
		return;
	}
	r->on = true;
	r->reached = false;
	r->started_at = loop_now(r->client->loop);
	r->round_ns = ROUND_FIRST;
	round_now(r);
}

void
mptcp_race_hurry(struct mptcp_race *r)
{
	if (!r->on)
		return;
	r->round_ns = ROUND_FIRST;
	round_now(r);
}
