/*
 * Random worlds: links and transfers of all kinds, a time in which everything
 * goes wrong, and then a network that is whole again. Whatever nobody reset must
 * arrive, in time and byte for byte, and nothing may be left of it.
 *
 *	CHAOS_SEEDS  how many worlds        CHAOS_SEED  the first one; alone: that one
 *
 * A world that fails tells its seed and its story.
 */
#include "tests/unit/unit.h"

#include "daemon/core/session_parts.h"
#include "tests/sim/world.h"

#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MS  NS_PER_MS
#define SEC NS_PER_SEC

#ifdef __SANITIZE_ADDRESS__
enum { SEEDS = 50 };
void __sanitizer_set_death_callback(void (*callback)(void));
#else
enum { SEEDS = 1000 };
#endif

enum {
	LINKS_MAX = 4,
	TRANSFERS_MAX = 12,
	FAULTS_MAX = 30,
	WORLD_BYTES = 30000000, /* of all transfers, about: a world takes 0.1 s */
	DGRAM_MAX = 2000,
};

enum fault_kind {
	FAULT_SILENCE,
	FAULT_SILENCE_UP,
	FAULT_SILENCE_DOWN,
	FAULT_ALL_DEAD,
	FAULT_REBIND,
	FAULT_READDRESS,
	FAULT_MTU,
	FAULT_RATE,
	FAULT_UPLINK,
	FAULT_TIER,
	FAULT_ATTACK,
	FAULT_RESET,
	FAULT_KINDS,
};

static const char *const fault_names[FAULT_KINDS] = {
	[FAULT_SILENCE] = "silent",
	[FAULT_SILENCE_UP] = "silent upwards",
	[FAULT_SILENCE_DOWN] = "silent downwards",
	[FAULT_ALL_DEAD] = "silent, with all others",
	[FAULT_REBIND] = "NAT forgets ports",
	[FAULT_READDRESS] = "NAT has a new address",
	[FAULT_MTU] = "mtu",
	[FAULT_RATE] = "kbit/s",
	[FAULT_UPLINK] = "uplink down",
	[FAULT_TIER] = "tier",
	[FAULT_ATTACK] = "attacked",
	[FAULT_RESET] = "reset, by the client if 0",
};

struct fault {
	enum fault_kind kind;
	unsigned link;
	ns_t from, until;
	uint64_t value;
	bool on, over;
};

struct plan {
	uint64_t size[2], read_rate[2];
	ns_t open_at, reset_at; /* NS_NEVER: not reset */
	enum sim_side resetter;
	struct transfer *t; /* NULL: not yet */
};

struct chaos {
	struct world *w;
	uint64_t random;
	unsigned n_links, n_there, n_transfers, n_faults;
	struct sim_lane lanes[LINKS_MAX][2]; /* without faults */
	ns_t join_at[LINKS_MAX];
	int id_of
		[LINKS_MAX]; /* the world's number, in the order they came; -1: not yet */
	struct plan plans[TRANSFERS_MAX];
	struct fault faults[FAULTS_MAX];
	ns_t heal_at;
};

static char story[8192];
static unsigned running_seed;
static uint64_t new_keys; /* in all worlds */

/* A failure that is nobody's in here: an assertion, a sanitizer. */
static void
tell_story(void)
{
	char head[64];
	int n = snprintf(head, sizeof(head), "chaos: seed %u\n", running_seed);

	if (write(STDERR_FILENO, head, (size_t)n) < 0 ||
	    write(STDERR_FILENO, story, strlen(story)) < 0)
		_exit(2);
}

static void
on_abort(int signal)
{
	(void)signal;
	tell_story();
}

static void note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static void
note(const char *fmt, ...)
{
	size_t len = strlen(story);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(story + len, sizeof(story) - len, fmt, ap);
	va_end(ap);
}

/* Random numbers */

static uint64_t
draw(struct chaos *c, uint64_t n)
{
	uint64_t z = c->random += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return (uint64_t)((unsigned __int128)(z ^ (z >> 31)) * n >> 64);
}

static bool
one_in(struct chaos *c, uint64_t n)
{
	return draw(c, n) == 0;
}

static uint64_t
between(struct chaos *c, uint64_t low, uint64_t high)
{
	return low + draw(c, high - low + 1);
}

/* As many small ones as large ones: each doubling is as likely. `low` is not 0. */
static uint64_t
spread(struct chaos *c, uint64_t low, uint64_t high)
{
	uint64_t doublings = 0, from;

	while (low << (doublings + 1) <= high)
		doublings++;
	from = low << draw(c, doublings + 1);
	return min_u64(high, between(c, from, 2 * from - 1));
}

/* The plan */

static struct sim_lane
random_lane(struct chaos *c)
{
	struct sim_lane l = {
		.rate = spread(c, 300000, 40000000),
		.delay = (ns_t)spread(c, 1, 300) * MS,
		.mtu = one_in(c, 2) ? 1500 : between(c, 1280, 1500),
	};

	/* A queue that does not take a few packets is none. */
	l.queue = (ns_t)(between(c, 10, 300) * (uint64_t)MS +
			 4 * 1500 * 8 * (uint64_t)SEC / l.rate);
	if (one_in(c, 2))
		l.jitter = (ns_t)between(c, 0, (uint64_t)l.delay / 2);
	if (one_in(c, 2))
		l.loss_ppm = (unsigned)spread(c, 100, 200000);
	if (one_in(c, 2))
		l.burst = (unsigned)between(c, 1, 20);
	if (one_in(c, 3))
		l.dup_ppm = (unsigned)spread(c, 100, 500000);
	if (one_in(c, 3))
		l.corrupt_ppm = (unsigned)spread(c, 100, 100000);
	if (one_in(c, 3)) {
		l.reorder_ppm = (unsigned)spread(c, 100, 200000);
		l.reorder_delay = (ns_t)between(c, 1, 200) * MS;
	}
	return l;
}

static void
plan_links(struct chaos *c)
{
	static const char *const names[2] = {"up", "down"};

	c->n_links = (unsigned)between(c, 1, LINKS_MAX);
	for (unsigned i = 0; i < c->n_links; i++) {
		c->id_of[i] = -1;
		c->join_at[i] =
			i > 0 && one_in(c, 3) ? (ns_t)draw(c, (uint64_t)c->heal_at) : 0;
		for (int from = 0; from < 2; from++) {
			struct sim_lane *l = &c->lanes[i][from];

			*l = random_lane(c);
			note("  link %u %s: %" PRIu64 " kbit/s, %.0f ms +- %.0f, queue "
			     "%.0f ms, lost %u (%u), twice %u, corrupt %u, late %u, "
			     "mtu %zu\n",
			     i, names[from], l->rate / 1000, (double)l->delay / 1e6,
			     (double)l->jitter / 1e6, (double)l->queue / 1e6,
			     l->loss_ppm, l->burst, l->dup_ppm, l->corrupt_ppm,
			     l->reorder_ppm, l->mtu);
		}
		if (c->join_at[i] > 0)
			note("  link %u comes at %.3f s\n", i,
			     (double)c->join_at[i] / 1e9);
	}
}

static void
plan_transfers(struct chaos *c)
{
	c->n_transfers = (unsigned)between(c, 1, TRANSFERS_MAX);
	for (unsigned i = 0; i < c->n_transfers; i++) {
		struct plan *p = &c->plans[i];

		for (int side = 0; side < 2; side++) {
			if (!one_in(c, 8))
				p->size[side] =
					spread(c, 1, WORLD_BYTES / c->n_transfers);
			if (one_in(c, 6) && p->size[1 - side] <= 1000000)
				p->read_rate[side] = spread(c, 50000, 1000000);
		}
		p->open_at = one_in(c, 2) ? 0 : (ns_t)draw(c, (uint64_t)c->heal_at);
		p->reset_at = NS_NEVER;
		p->resetter = (enum sim_side)draw(c, 2);
		if (one_in(c, 4))
			p->reset_at = p->open_at + (ns_t)spread(c, 1, 8000) * MS;
		note("  transfer %u at %.3f s: up %" PRIu64 ", down %" PRIu64
		     ", read at %" PRIu64 " and %" PRIu64 " B/s\n",
		     i, (double)p->open_at / 1e9, p->size[SIM_CLIENT],
		     p->size[SIM_SERVER], p->read_rate[SIM_CLIENT],
		     p->read_rate[SIM_SERVER]);
		if (p->reset_at != NS_NEVER)
			note("  transfer %u is reset at %.3f s by side %d\n", i,
			     (double)p->reset_at / 1e9, p->resetter);
	}
}

static void
plan_faults(struct chaos *c)
{
	c->n_faults = (unsigned)between(c, 0, FAULTS_MAX);
	for (unsigned i = 0; i < c->n_faults; i++) {
		struct fault *f = &c->faults[i];

		f->kind = (enum fault_kind)draw(c, FAULT_KINDS);
		f->link = (unsigned)draw(c, c->n_links);
		f->from = (ns_t)draw(c, (uint64_t)c->heal_at);
		f->until = f->from + (ns_t)spread(c, 10, 8000) * MS;
		if (f->kind == FAULT_MTU)
			f->value = between(c, 576, 1400);
		else if (f->kind == FAULT_RATE)
			f->value = spread(c, 100, 20000);
		else if (f->kind == FAULT_TIER)
			f->value = draw(c, TIER_COUNT);
		else if (f->kind == FAULT_RESET)
			f->value = draw(c, 2);
		note("  %.3f to %.3f s: link %u: %s %" PRIu64 "\n",
		     (double)f->from / 1e9, (double)f->until / 1e9, f->link,
		     fault_names[f->kind], f->value);
	}
}

static struct world_options
plan_world(struct chaos *c, unsigned seed)
{
	static const size_t memory[] = {1 << 20, 4 << 20, 32 << 20};
	struct world_options opt = {
		.seed = seed,
		.cc = one_in(c, 3) ? CC_CUBIC : CC_BBR,
		.scheduler = one_in(c, 2) ? SCHEDULER_EARLIEST
					  : (enum scheduler_kind)draw(c, 4),
		.memory = memory[draw(c, ARRAY_LEN(memory))],
	};

	c->heal_at = (ns_t)spread(c, 1000, 20000) * MS;
	note("  %s, %s, %zu MB, heals at %.3f s\n", cc_name(opt.cc),
	     scheduler_name(opt.scheduler), opt.memory >> 20, (double)c->heal_at / 1e9);
	return opt;
}

/* New keys in some worlds as often as may be, by time and by packets. */
static void
plan_keys(struct chaos *c, struct world_options *opt)
{
	if (!one_in(c, 3))
		return;
	for (int side = 0; side < 2; side++) {
		struct rekey_settings *r = &opt->rekey[side];

		if (one_in(c, 2))
			r->after_ns = (ns_t)spread(c, 100, 10000) * MS;
		if (one_in(c, 2))
			r->packets = spread(c, 10, 10000);
		note("  side %d: new keys after %.1f s, %" PRIu64 " packets\n", side,
		     (double)r->after_ns / 1e9, r->packets);
	}
}

/* Since the world began, which was at one second. */
static ns_t
now_of(const struct chaos *c)
{
	return world_now(c->w) - SEC;
}

/* Faults */

static void
set_taps(struct chaos *c, unsigned link, bool on)
{
	net_tap(world_net(c->w), link, SIM_CLIENT, on);
	net_tap(world_net(c->w), link, SIM_SERVER, on);
}

/* The server's is tried again; the client has its own back. */
static void
reset(struct chaos *c, const struct fault *f, bool on)
{
	struct session *s =
		world_session(c->w, f->value == 0 ? SIM_CLIENT : SIM_SERVER);
	uint8_t id = world_subflow(f->link);

	if (session_subflow(s, id) == NULL)
		return;
	if (on)
		session_reset_subflow(s, id, SUBFLOW_END_RESOURCES, world_now(c->w));
	else if (f->value == 0)
		session_subflow_up(s, id, &session_subflow(s, id)->local,
				   world_now(c->w));
}

/* What a fault does when it begins, and when it ends. */
static void
turn(struct chaos *c, struct fault *f, bool on)
{
	switch (f->kind) {
	case FAULT_REBIND:
	case FAULT_READDRESS:
		if (on)
			net_rebind(world_net(c->w), f->link,
				   f->kind == FAULT_READDRESS);
		break;
	case FAULT_UPLINK: world_set_uplink(c->w, f->link, !on); break;
	case FAULT_TIER:
		if (on)
			session_set_tier(world_session(c->w, SIM_CLIENT),
					 world_subflow(f->link), (uint8_t)f->value);
		break;
	case FAULT_ATTACK: set_taps(c, f->link, on); break;
	case FAULT_RESET: reset(c, f, on); break;
	case FAULT_SILENCE:
	case FAULT_SILENCE_UP:
	case FAULT_SILENCE_DOWN:
	case FAULT_ALL_DEAD:
	case FAULT_MTU:
	case FAULT_RATE:
	case FAULT_KINDS: break;
	}
}

/* What it does to a lane as long as it lasts. */
static void
bend(const struct fault *f, unsigned link, enum sim_side from, struct sim_lane *l)
{
	bool here = f->link == link;

	if (f->kind == FAULT_ALL_DEAD || (here && f->kind == FAULT_SILENCE) ||
	    (here && f->kind == FAULT_SILENCE_UP && from == SIM_CLIENT) ||
	    (here && f->kind == FAULT_SILENCE_DOWN && from == SIM_SERVER))
		l->silent = true;
	if (here && f->kind == FAULT_MTU)
		l->mtu = min_size(l->mtu, f->value);
	if (here && f->kind == FAULT_RATE)
		l->rate = f->value * 1000;
}

static void
set_lanes(struct chaos *c)
{
	for (unsigned i = 0; i < c->n_links; i++) {
		for (int from = 0; c->id_of[i] >= 0 && from < 2; from++) {
			struct sim_lane l = c->lanes[i][from];

			for (unsigned k = 0; k < c->n_faults; k++) {
				if (c->faults[k].on)
					bend(&c->faults[k], (unsigned)c->id_of[i],
					     (enum sim_side)from, &l);
			}
			*net_lane(world_net(c->w), (unsigned)c->id_of[i],
				  (enum sim_side)from) = l;
		}
	}
}

static void
set_faults(struct chaos *c)
{
	for (unsigned i = 0; i < c->n_faults; i++) {
		struct fault *f = &c->faults[i];

		if (!f->on && !f->over && f->from <= now_of(c) &&
		    f->link < c->n_there) {
			f->on = true;
			turn(c, f, true);
		}
		if (f->on && (f->until <= now_of(c) || now_of(c) >= c->heal_at)) {
			f->on = false;
			f->over = true;
			turn(c, f, false);
		}
	}
	set_lanes(c);
}

/* The attacker */

/* Somebody else's address, or that of the client over another link. */
static void
spoof(struct chaos *c, struct sim_dgram *d)
{
	struct sim_dgram other;

	if (one_in(c, 4) && d->to == SIM_SERVER &&
	    net_tapped(world_net(c->w), (unsigned)draw(c, c->n_there), SIM_CLIENT, 0,
		       &other)) {
		d->src = other.src;
		return;
	}
	d->src = (struct addr){.ip = {203, 0, 113, (uint8_t)between(c, 1, 3)},
			       .port = (uint16_t)between(c, 1000, 1003),
			       .family = AF_INET};
}

static void
alter(struct chaos *c, struct sim_dgram *d)
{
	enum { HEADER = 9 };

	switch (draw(c, 6)) {
	case 0: break;
	case 1: spoof(c, d); break;
	case 2:
		d->data[draw(c, d->len)] ^= (uint8_t)(1u << draw(c, 8));
		if (one_in(c, 2))
			spoof(c, d);
		break;
	case 3:
		for (size_t i = one_in(c, 2) ? HEADER : 0; i < d->len; i++)
			d->data[i] = (uint8_t)draw(c, 256);
		break;
	case 4: d->len = between(c, 0, d->len); break;
	case 5: /* another subflow, or counter */
		d->data[between(c, 4, HEADER - 1)] = (uint8_t)draw(c, 256);
		break;
	}
}

static void
inject(struct chaos *c, unsigned link)
{
	enum sim_side from = (enum sim_side)draw(c, 2);
	unsigned age = (unsigned)draw(c, spread(c, 1, NET_TAP_MAX));
	uint8_t data[DGRAM_MAX];
	struct sim_dgram d;

	if (!net_tapped(world_net(c->w), link, from, age, &d) || d.len > DGRAM_MAX)
		return;
	memcpy(data, d.data, d.len);
	d.data = data;
	alter(c, &d);
	if (net_inject(world_net(c->w), &d,
		       world_now(c->w) + (ns_t)draw(c, 10 * (uint64_t)MS)) < 0)
		world_fail(c->w, "cannot inject");
}

static void
attack(struct chaos *c)
{
	for (unsigned i = 0; i < c->n_faults; i++) {
		const struct fault *f = &c->faults[i];

		for (uint64_t n = draw(c, 8); f->kind == FAULT_ATTACK && f->on && n > 0;
		     n--)
			inject(c, f->link);
	}
}

/* The run */

static void
set_links(struct chaos *c)
{
	for (unsigned i = 0; i < c->n_links; i++) {
		if (c->id_of[i] >= 0 || c->join_at[i] > now_of(c))
			continue;
		c->id_of[i] = (int)world_add_link(c->w, &c->lanes[i][SIM_CLIENT],
						  &c->lanes[i][SIM_SERVER]);
		c->n_there++;
	}
}

static void
set_transfers(struct chaos *c)
{
	for (unsigned i = 0; i < c->n_transfers; i++) {
		struct plan *p = &c->plans[i];

		if (p->t == NULL && p->open_at <= now_of(c)) {
			p->t = world_transfer(c->w, p->size[SIM_CLIENT],
					      p->size[SIM_SERVER]);
			memcpy(p->t->read_rate, p->read_rate, sizeof(p->read_rate));
		}
		if (p->t != NULL && p->reset_at <= now_of(c)) {
			p->reset_at = NS_NEVER;
			world_reset(c->w, p->t, p->resetter);
		}
	}
}

static void
heal(struct chaos *c)
{
	for (unsigned i = 0; i < c->n_links; i++) {
		for (int from = 0; from < 2; from++) {
			struct sim_lane *l = &c->lanes[i][from];

			l->loss_ppm = l->dup_ppm = l->corrupt_ppm = l->reorder_ppm = 0;
		}
	}
}

/* Everything over the slowest lane, four times, and time to find out that it is back. */
static ns_t
patience(const struct chaos *c)
{
	ns_t slow = 0, delay = 0;
	uint64_t bytes = 0, rate = UINT64_MAX;

	for (unsigned i = 0; i < c->n_transfers; i++) {
		const struct plan *p = &c->plans[i];

		for (int side = 0; side < 2; side++) {
			bytes += p->size[side];
			if (p->read_rate[side] > 0)
				slow += (ns_t)(p->size[1 - side] * (uint64_t)SEC /
					       p->read_rate[side]);
		}
	}
	for (unsigned i = 0; i < c->n_links; i++) {
		for (int from = 0; from < 2; from++) {
			rate = min_u64(rate, c->lanes[i][from].rate);
			delay = max_ns(delay, c->lanes[i][from].delay +
						      c->lanes[i][from].queue);
		}
	}
	return 20 * SEC + 40 * delay + slow +
	       (ns_t)(4 * bytes * 8 * (uint64_t)NS_PER_MS / rate * 1000);
}

static void
stand_still(const struct chaos *c)
{
	for (unsigned i = 0; i < c->n_transfers; i++) {
		const struct transfer *t = c->plans[i].t;

		if (t != NULL)
			note("  transfer %u: read %" PRIu64 " of %" PRIu64
			     " and %" PRIu64 " of %" PRIu64 "%s%s%s\n",
			     i, t->read[SIM_CLIENT], t->size[SIM_SERVER],
			     t->read[SIM_SERVER], t->size[SIM_CLIENT],
			     t->reset ? ", reset" : "",
			     t->at[SIM_CLIENT] != NULL ? ", client has it" : "",
			     t->at[SIM_SERVER] != NULL ? ", server has it" : "");
	}
	for (int side = 0; side < 2; side++) {
		struct session *s = world_session(c->w, (enum sim_side)side);

		for (uint8_t id = 1; id <= c->n_links; id++) {
			const struct subflow *sf = session_subflow(s, id);

			if (sf != NULL)
				note("  side %d subflow %u: state %d proven %d tier %u "
				     "%u in flight %" PRIu64 " cwnd %" PRIu64
				     " rate %" PRIu64 " mtu %u words %x\n",
				     side, id, sf->state, sf->proven, sf->tier,
				     sf->tier_peer, sf->loss.in_flight, sf->cc.cwnd,
				     sf->cc.pacing_rate, sf->mtu.current, sf->words);
		}
	}
	world_fail(c->w, "not everything has come in time");
}

static void
wait_for_all(struct chaos *c)
{
	ns_t until = now_of(c) + patience(c), reset_at = 0;

	while (!world_is_over(c->w) || reset_at > now_of(c)) {
		reset_at = 0;
		for (unsigned i = 0; i < c->n_transfers; i++) {
			if (c->plans[i].reset_at != NS_NEVER)
				reset_at = max_ns(reset_at, c->plans[i].reset_at);
		}
		if (now_of(c) > until)
			stand_still(c);
		world_run(c->w, 50 * MS);
		set_transfers(c);
	}
	/* The last acknowledgements of what is over. */
	world_run(c->w, 10 * SEC);
	world_check_end(c->w);
}

static void
one_world(unsigned seed)
{
	struct chaos c = {.random = seed * UINT64_C(0xd1342543de82ef95)};
	struct world_options opt;

	running_seed = seed;
	story[0] = '\0';
	opt = plan_world(&c, seed);
	plan_links(&c);
	plan_transfers(&c);
	plan_faults(&c);
	plan_keys(&c, &opt);
	c.w = world_new(&opt);
	while (now_of(&c) < c.heal_at) {
		set_links(&c);
		set_transfers(&c);
		set_faults(&c);
		attack(&c);
		world_run(c.w, (ns_t)between(&c, 1, 40) * MS);
	}
	heal(&c);
	set_links(&c);
	set_faults(&c);
	set_transfers(&c);
	wait_for_all(&c);
	new_keys += world_session(c.w, SIM_CLIENT)->rekey.turns;
	world_free(c.w);
}

static unsigned
number_of(const char *name, unsigned fallback)
{
	const char *text = getenv(name);

	return text != NULL ? (unsigned)strtoul(text, NULL, 10) : fallback;
}

static void
random_worlds(void **state)
{
	bool one = getenv("CHAOS_SEED") != NULL;
	unsigned first = number_of("CHAOS_SEED", 1);
	unsigned n = number_of("CHAOS_SEEDS", one ? 1 : SEEDS);

	(void)state;
	for (unsigned i = 0; i < n; i++)
		one_world(first + i);
	print_message("%u worlds, new keys %" PRIu64 " times\n", n, new_keys);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_worlds),
	};

	signal(SIGABRT, on_abort);
#ifdef __SANITIZE_ADDRESS__
	__sanitizer_set_death_callback(tell_story);
#endif
	return cmocka_run_group_tests(tests, NULL, NULL);
}
