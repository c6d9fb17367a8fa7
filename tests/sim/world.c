#include "tests/sim/world.h"

#include "tests/sim/watch.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum {
	SERVER_PORT = 4433,
	CLIENT_PORT = 40000,
	INDEX_CLIENT = 0x111111,
	INDEX_SERVER = 0x222222,
	BURST_MAX = 65000,
	TURNS_MAX = 100000, /* without time going by: the session spins */
	IDLE_MAX = 1000,    /* instants in a row with nothing to do, as well */
	LATE_MAX = 100,     /* the same, with a deadline that has passed */
};
#define IDLE_STEP (100 * NS_PER_US) /* longer ones are no spinning */

struct uplink {
	uint16_t port;
	bool down;
};

struct world {
	struct sim_net *net;
	struct session *s[2];
	struct watch watch;
	uint64_t seed;
	bool may_end;
	uint8_t priv[2][CRYPTO_KEY_LEN], pub[2][CRYPTO_KEY_LEN], psk[CRYPTO_KEY_LEN];
	ns_t now;
	unsigned n_links, n_transfers;
	struct uplink uplinks[NET_LINKS_MAX];
	unsigned idle, late; /* instants */
	struct addr server;
	struct transfer transfers[WORLD_TRANSFERS_MAX];
	uint8_t buf[BURST_MAX + 1000];
	uint8_t expected[STORE_BLOCK];
};

void
world_fail(const struct world *w, const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "world: seed %llu, at %.6f s: ", (unsigned long long)w->seed,
		(double)w->now / 1e9);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	abort();
}

static void
check(const struct world *w, const char *wrong)
{
	if (wrong != NULL)
		world_fail(w, "%s", wrong);
}

/* Life */

static void
fill(uint8_t *p, size_t len, uint64_t from)
{
	for (size_t i = 0; i < len; i++)
		p[i] = (uint8_t)((from + i) * 0x9e3779b97f4a7c15u >> 41);
}

static struct session *
start(struct world *w, const struct world_options *opt,
      const struct handshake_keys *keys, enum sim_side side)
{
	struct session_settings cfg = {
		.role = side == SIM_CLIENT ? SESSION_CLIENT : SESSION_SERVER,
		.aead = AEAD_AES_128_GCM,
		.index = side == SIM_CLIENT ? INDEX_CLIENT : INDEX_SERVER,
		.index_peer = side == SIM_CLIENT ? INDEX_SERVER : INDEX_CLIENT,
		.cc = opt->cc,
		.scheduler = opt->scheduler,
		.max_streams = WORLD_TRANSFERS_MAX,
		.rekey = opt->rekey[side],
		.memory = opt->memory ? opt->memory : 32 * 1024 * 1024,
	};
	uint8_t seed[CRYPTO_KEY_LEN];

	cfg.rekey.secrets =
		(struct handshake_secrets){w->priv[side], w->pub[1 - side], w->psk};
	fill(seed, sizeof(seed), opt->seed * 2 + side);
	return session_new(&cfg, keys, seed, 0);
}

struct world *
world_new(const struct world_options *opt)
{
	struct world *w = calloc(1, sizeof(*w));
	struct handshake_keys keys;

	if (w == NULL)
		abort();
	w->seed = opt->seed;
	w->may_end = opt->may_end;
	w->now = NS_PER_SEC;
	fill((uint8_t *)&keys, sizeof(keys), opt->seed);
	w->net = net_new(opt->seed);
	fill(w->psk, sizeof(w->psk), 2000);
	for (int side = 0; side < 2; side++) {
		fill(w->priv[side], CRYPTO_KEY_LEN, 1000 + (uint64_t)side);
		if (crypto_x25519_public(w->pub[side], w->priv[side]) < 0)
			abort();
	}
	for (int side = 0; side < 2; side++)
		w->s[side] = start(w, opt, &keys, (enum sim_side)side);
	w->server = (struct addr){
		.ip = {192, 0, 2, 1}, .port = SERVER_PORT, .family = AF_INET};
	if (w->net == NULL || w->s[0] == NULL || w->s[1] == NULL ||
	    net_listen(w->net, &w->server) < 0)
		world_fail(w, "no memory");
	watch_init(&w->watch, w->s[SIM_CLIENT], w->s[SIM_SERVER]);
	return w;
}

void
world_free(struct world *w)
{
	session_free(w->s[SIM_CLIENT]);
	session_free(w->s[SIM_SERVER]);
	net_free(w->net);
	free(w);
}

uint8_t
world_subflow(unsigned link)
{
	return (uint8_t)(link + 1);
}

struct sim_lane
world_lane(uint64_t mbit, ns_t delay_ms)
{
	return (struct sim_lane){
		.rate = mbit * 1000000,
		.delay = delay_ms * NS_PER_MS,
		.queue = 100 * NS_PER_MS,
		.mtu = 1500,
	};
}

unsigned
world_add_link(struct world *w, const struct sim_lane *up, const struct sim_lane *down)
{
	int link = net_add_link(w->net, up, down);
	struct subflow_way way = {.remote = w->server};

	if (link < 0)
		world_fail(w, "no more links");
	way.local = net_client_addr((unsigned)link, AF_INET);
	way.local.port = w->uplinks[link].port = CLIENT_PORT;
	way.via = (uint32_t)link;
	if (session_add_subflow(w->s[SIM_CLIENT], &way, w->n_links == 0, w->now) !=
	    (int)world_subflow((unsigned)link))
		world_fail(w, "no subflow over link %d", link);
	w->n_links++;
	return (unsigned)link;
}

uint8_t
world_join(struct world *w, unsigned link, const struct addr *server)
{
	struct subflow_way way = {.remote = *server, .via = link};
	int id;

	way.local = net_client_addr(link, AF_INET);
	way.local.port = w->uplinks[link].port;
	id = session_add_subflow(w->s[SIM_CLIENT], &way, false, w->now);
	if (id < 0)
		world_fail(w, "no other subflow over link %u", link);
	return (uint8_t)id;
}

void
world_set_uplink(struct world *w, unsigned link, bool up)
{
	struct uplink *u = &w->uplinks[link];
	struct addr local = net_client_addr(link, AF_INET);

	if (up != u->down)
		return;
	u->down = !up;
	if (!up) {
		session_subflow_down(w->s[SIM_CLIENT], world_subflow(link), w->now);
		return;
	}
	local.port = ++u->port;
	session_subflow_up(w->s[SIM_CLIENT], world_subflow(link), &local, w->now);
}

void
world_set_silent(struct world *w, unsigned link, bool up, bool down)
{
	net_lane(w->net, link, SIM_CLIENT)->silent = up;
	net_lane(w->net, link, SIM_SERVER)->silent = down;
}

struct sim_net *
world_net(struct world *w)
{
	return w->net;
}

struct session *
world_session(struct world *w, enum sim_side side)
{
	return w->s[side];
}

ns_t
world_now(const struct world *w)
{
	return w->now;
}

uint64_t
world_carried(struct world *w, unsigned link, enum sim_side from)
{
	return net_counters(w->net, link, from)->delivered_bytes;
}

/* Transfers */

struct transfer *
world_transfer(struct world *w, uint64_t up, uint64_t down)
{
	struct transfer *t = &w->transfers[w->n_transfers];
	uint8_t request[18];

	if (w->n_transfers == WORLD_TRANSFERS_MAX)
		world_fail(w, "too many transfers");
	memset(t, 0, sizeof(*t));
	t->size[SIM_CLIENT] = up;
	t->size[SIM_SERVER] = down;
	t->opened_at = w->now;
	request[0] = (uint8_t)w->n_transfers;
	request[1] = (uint8_t)(w->n_transfers >> 8);
	memset(request + 2, 'r', sizeof(request) - 2);
	t->at[SIM_CLIENT] = session_open(w->s[SIM_CLIENT], request, sizeof(request), t);
	if (t->at[SIM_CLIENT] == NULL)
		world_fail(w, "no stream");
	w->n_transfers++;
	return t;
}

static void
accept_stream(struct world *w, struct stream *st)
{
	unsigned i = (unsigned)(st->request[0] | st->request[1] << 8);

	if (st->request_len != 18 || i >= w->n_transfers || w->transfers[i].accepted)
		world_fail(w, "a wrong request came");
	w->transfers[i].accepted = true;
	w->transfers[i].at[SIM_SERVER] = st;
	st->user = &w->transfers[i];
	session_answer(w->s[SIM_SERVER], st, 0);
}

static void
let_go(struct world *w, struct transfer *t, enum sim_side side)
{
	session_release(w->s[side], t->at[side]);
	t->at[side] = NULL;
}

void
world_reset(struct world *w, struct transfer *t, enum sim_side side)
{
	if (t->at[side] == NULL)
		return;
	t->reset = true;
	session_reset(w->s[side], t->at[side], 1);
	let_go(w, t, side);
}

static uint64_t
offset_salt(enum sim_side from)
{
	return from == SIM_CLIENT ? 0 : UINT64_C(1) << 40;
}

/* True: it did something. */
static bool
write_some(struct world *w, struct transfer *t, enum sim_side side)
{
	struct session *s = w->s[side];
	bool any = false;
	uint8_t *at;
	size_t len;

	if (t->at[side] == NULL || t->at[side]->out.fin)
		return false;
	while (t->written[side] < t->size[side] &&
	       (at = session_room(s, t->at[side], &len)) != NULL) {
		if (len > t->size[side] - t->written[side])
			len = (size_t)(t->size[side] - t->written[side]);
		fill(at, len, t->written[side] + offset_salt(side));
		session_written(s, t->at[side], len, w->now);
		t->written[side] += len;
		any = true;
	}
	if (t->written[side] == t->size[side]) {
		session_end(s, t->at[side]);
		any = true;
	}
	return any;
}

static uint64_t
may_read(const struct world *w, const struct transfer *t, enum sim_side side)
{
	if (t->read_rate[side] == 0)
		return UINT64_MAX;
	return (uint64_t)(w->now - t->opened_at) / 1000 * t->read_rate[side] / 1000000 -
	       t->read[side];
}

static void
note_read(struct world *w, struct transfer *t)
{
	if (t->first_at == 0)
		t->first_at = w->now;
	else
		t->gap = max_ns(t->gap, w->now - t->last_at);
	t->last_at = w->now;
}

static bool
read_some(struct world *w, struct transfer *t, enum sim_side side)
{
	bool any = false;
	const uint8_t *at;
	size_t len;

	if (t->at[side] == NULL || t->ended[side])
		return false;
	while ((at = session_readable(t->at[side], &len)), len > 0) {
		len = (size_t)min_u64(len, may_read(w, t, side));
		if (len == 0)
			return any;
		fill(w->expected, len, t->read[side] + offset_salt(1 - side));
		if (memcmp(w->expected, at, len) != 0)
			world_fail(w, "wrong bytes at %llu",
				   (unsigned long long)t->read[side]);
		session_consumed(w->s[side], t->at[side], len, w->now);
		t->read[side] += len;
		if (side == SIM_CLIENT)
			note_read(w, t);
		any = true;
	}
	if (reorder_is_done(&t->at[side]->in)) {
		if (t->read[side] != t->size[1 - side])
			world_fail(w, "%llu bytes came instead of %llu",
				   (unsigned long long)t->read[side],
				   (unsigned long long)t->size[1 - side]);
		t->ended[side] = true;
		if (side == SIM_CLIENT)
			t->done_at = w->now;
		any = true;
	}
	return any;
}

bool
world_is_done(const struct transfer *t)
{
	return t->ended[SIM_CLIENT] && t->ended[SIM_SERVER];
}

bool
world_is_over(const struct world *w)
{
	for (unsigned i = 0; i < w->n_transfers; i++) {
		const struct transfer *t = &w->transfers[i];

		if (t->at[SIM_CLIENT] != NULL || t->at[SIM_SERVER] != NULL)
			return false;
		if (!t->reset && !world_is_done(t))
			return false;
	}
	return true;
}

void
world_check_end(const struct world *w)
{
	check(w, watch_end(&w->watch));
}

/* Time */

static void
events(struct world *w, enum sim_side side)
{
	struct session_event ev;

	while (session_next_event(w->s[side], &ev)) {
		struct transfer *t;

		if ((ev.news & STREAM_NEWS_OPEN) != 0)
			accept_stream(w, ev.stream);
		t = ev.stream->user;
		if (t != NULL && (ev.news & STREAM_NEWS_ANSWER) != 0) {
			t->answered = true;
			t->status = ev.stream->status;
		}
		if ((ev.news & STREAM_NEWS_RESET) == 0)
			continue;
		if (t != NULL && !t->reset)
			world_fail(w, "a reset that nobody asked for");
		if (t != NULL)
			let_go(w, t, side);
		else /* its request has never come */
			session_release(w->s[side], ev.stream);
	}
}

static bool
serve(struct world *w, struct transfer *t, enum sim_side side)
{
	bool any = write_some(w, t, side);

	any |= read_some(w, t, side);
	if (t->at[side] != NULL && t->ended[side] && t->at[side]->out.fin)
		let_go(w, t, side);
	return any;
}

static bool
programs(struct world *w)
{
	bool any = false;

	for (unsigned i = 0; i < w->n_transfers; i++) {
		for (int side = 0; side < 2; side++)
			any |= serve(w, &w->transfers[i], (enum sim_side)side);
	}
	return any;
}

static bool
output(struct world *w, enum sim_side side)
{
	struct burst b;
	size_t len;

	watch_begin(&w->watch, side);
	len = session_output(w->s[side], w->buf, BURST_MAX, &b, w->now);
	check(w, watch_sent(&w->watch, side, &b));
	for (size_t at = 0; at < len; at += b.packet) {
		const struct sim_dgram d = {
			.src = b.local,
			.dst = b.remote,
			.data = w->buf + at,
			.len = min_size(b.packet, len - at),
			.link = (uint8_t)b.via,
			.to = 1 - side,
		};
		int err = 0;

		if (side == SIM_SERVER || !w->uplinks[b.via].down)
			err = net_send(w->net, &d, w->now);
		if (err < 0)
			world_fail(w, "cannot send: %d", err);
	}
	return len > 0;
}

/* The socket of an uplink that has gone, and its port, hear nothing. */
static bool
is_open(const struct world *w, const struct sim_dgram *d)
{
	const struct uplink *u = &w->uplinks[d->link];

	return d->to == SIM_SERVER || (!u->down && d->dst.port == u->port);
}

static bool
input(struct world *w)
{
	struct sim_dgram d;
	bool any = false;

	while (net_receive(w->net, w->now, &d)) {
		struct burst b = {
			.local = d.dst,
			.remote = d.src,
			.via = d.link,
			.data = d.data,
			.len = d.len,
			.packet = d.len,
		};

		if (!is_open(w, &d))
			continue;
		watch_begin(&w->watch, d.to);
		if (session_input(w->s[d.to], &b, w->now) < 0 && !w->may_end)
			world_fail(w, "side %d ends the session", d.to);
		check(w, watch_heard(&w->watch, d.to, &b));
		any = true;
	}
	return any;
}

/* Everything that is to be done at this instant. */
static bool
settle(struct world *w)
{
	bool any = true, ret = false;

	for (int turn = 0; any; turn++) {
		if (turn == TURNS_MAX)
			world_fail(w, "time stands still");
		any = input(w);
		for (int side = 0; side < 2; side++) {
			if (session_deadline(w->s[side]) <= w->now)
				session_expire(w->s[side], w->now);
			events(w, (enum sim_side)side);
		}
		any |= programs(w);
		for (int side = 0; side < 2; side++)
			any |= output(w, (enum sim_side)side);
		ret |= any;
	}
	check(w, watch_step(&w->watch));
	return ret;
}

/* When all was done a deadline lies ahead; one that stays would be met for ever. */
static void
check_deadlines(struct world *w)
{
	ns_t at = min_ns(session_deadline(w->s[0]), session_deadline(w->s[1]));

	w->late = at <= w->now ? w->late + 1 : 0;
	if (w->late > LATE_MAX)
		world_fail(w, "a deadline stays at %.6f s", (double)at / 1e9);
}

/* A reader that is slow looks again every 5 ms. */
static ns_t
next_instant(const struct world *w)
{
	ns_t at = net_deadline(w->net);

	for (int side = 0; side < 2; side++)
		at = min_ns(at,
			    max_ns(session_deadline(w->s[side]), w->now + NS_PER_US));
	for (unsigned i = 0; i < w->n_transfers; i++) {
		const struct transfer *t = &w->transfers[i];

		if ((t->at[0] != NULL && t->read_rate[0] != 0) ||
		    (t->at[1] != NULL && t->read_rate[1] != 0))
			at = min_ns(at, w->now + 5 * NS_PER_MS);
	}
	return at;
}

/* Until `t` is done, if there is one. */
static bool
run(struct world *w, ns_t until, const struct transfer *t)
{
	for (;;) {
		bool any = settle(w);
		ns_t next;

		check_deadlines(w);
		if (t != NULL && world_is_done(t))
			return true;
		next = next_instant(w);
		if (next >= until)
			break;
		w->idle = any || next - w->now > IDLE_STEP ? 0 : w->idle + 1;
		if (w->idle > IDLE_MAX)
			world_fail(w, "deadlines come with nothing to do");
		w->now = max_ns(next, w->now);
	}
	w->now = until;
	return false;
}

void
world_run(struct world *w, ns_t span)
{
	(void)run(w, w->now + span, NULL);
}

bool
world_finish(struct world *w, const struct transfer *t, ns_t patience)
{
	return run(w, w->now + patience, t);
}

uint64_t
world_during(struct world *w, const struct transfer *t, ns_t span)
{
	const uint64_t before = t->read[SIM_CLIENT];

	(void)world_finish(w, t, span);
	return t->read[SIM_CLIENT] - before;
}

void
world_jump(struct world *w, ns_t span)
{
	w->now += span;
}
