/*
 * fuzz_session - what a peer with the right keys can do to a session.
 *
 * The peer seals whatever it likes: frames with hostile values, and bytes that are
 * no frames; on any subflow, with any counter, from any address, twice. It also
 * knows what it may know: nonces and challenges, how many packets came, its keys.
 * A local program opens, writes, reads, resets; time goes by, minutes at once.
 *
 * The input is a script: three bytes of settings, then steps of an op and what it
 * reads; what is missing reads as 0. Whatever happens, the session must keep to its
 * memory, must not talk more than it may, must not ask to be woken for nothing, and
 * what it says must be right: frames, windows, the end of a stream that it reset.
 */
#include "daemon/core/join.h"
#include "daemon/core/session.h"
#include "daemon/core/session_addr.h"
#include "daemon/core/subflow.h"
#include "daemon/core/wire.h"
#include "tests/unit/keypeer.h"
#include "tests/unit/script.h"

#include <sanitizer/allocator_interface.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
	INDEX_OURS = 0x111111, /* of the session that is tested */
	INDEX_PEER = 0x222222,
	OUT_SIZE = 64 * 1024,
	PACKET_SIZE = 20 * 1024,
	STEPS_MAX = 400,
	SLOTS = 64,      /* streams that the program knows */
	REMEMBERED = 16, /* streams whose offset the peer keeps */
	ROUNDS_MAX = 4,  /* until nothing is to be done at this instant */
	/* At one instant, of one subflow: the pacer's most, and words. */
	PACKETS_AT_ONCE = 128,
	PROBES_AT_ONCE = 2, /* where nothing is answered */
	FRUITLESS_MAX = 8,  /* wakes within a millisecond, for each subflow */
	/* What is not in the budgets: ranges, the rings of both stores, a request. */
	MEMORY_STREAM = 128 * 1024,
	MEMORY_SUBFLOW = 32 * 1024, /* but for what was sent */
	MEMORY_FIXED = 2560 * 1024, /* spare blocks of both directions, 64 each */
};

enum op {
	OP_PACKET,
	OP_RAW,
	OP_NOISE,
	OP_TIME,
	OP_WAKE,
	OP_PROGRAM,
	OP_AGAIN, /* the step before, some times */
	OP_ROUND, /* everything is acknowledged, or not quite */
	OP_KEYS,  /* of the peer: turns them, speaks of them, seals with old ones */
	OP_COUNT,
};

enum act {
	ACT_OPEN, /* client; server: answer */
	ACT_WRITE,
	ACT_WRITE_ALL,
	ACT_READ,
	ACT_READ_ALL,
	ACT_END,
	ACT_RESET,
	ACT_RELEASE,
	ACT_TIER,
	ACT_DOWN,
	ACT_UP,
	ACT_SUBFLOW,
	ACT_END_SUBFLOW,
	ACT_ADVERTISE,
	ACT_WITHDRAW,
	ACT_COUNT,
};

/* What the program knows of a stream. */
struct slot {
	struct stream *st;
	bool asked; /* server: an OPEN waits for its answer */
};

struct world {
	struct session *s;
	struct session_settings cfg;
	struct handshake_keys keys;
	bool over, tidy, released; /* released: before the peer had ended it */
	ns_t now;
	size_t allocated; /* bytes, when the session was new */
	unsigned n_subflows;
	struct slot slots[SLOTS];
	/* The peer's. */
	struct keypeer peer;
	uint64_t next[SESSION_SUBFLOWS_MAX]; /* counters */
	uint64_t off[REMEMBERED];
	uint64_t limit[REMEMBERED]; /* of what may come to us: granted, or by a reset */
	bool reset[REMEMBERED];
	/* Wakes for nothing. */
	ns_t fruitless_from;
	unsigned fruitless;
	uint8_t in[2 * PACKET_SIZE], out[OUT_SIZE];
};

#define check(w, what)                                                             \
	do {                                                                       \
		if (!(what)) {                                                     \
			fprintf(stderr, "at %.6f s: %s\n", (double)(w)->now / 1e9, \
				#what);                                            \
			abort();                                                   \
		}                                                                  \
	} while (0)

/* The script */

static uint64_t
stream_id(struct script *sc)
{
	uint8_t b = script_byte(sc);

	return b < 0xf0 ? b % REMEMBERED : script_number(sc);
}

static struct addr
address(unsigned which)
{
	struct addr a = {.ip = {192, 0, 2, (uint8_t)which}, .port = 4433};

	a.family = which % 4 == 3 ? AF_INET6 : AF_INET;
	return a;
}

/* What is watched */

static void
check_memory(struct world *w)
{
	struct session_addr addrs[SESSION_ADDRS_MAX];
	struct session_stats stats;
	size_t most = w->allocated + 2 * w->cfg.memory + MEMORY_FIXED;

	session_stats_get(w->s, &stats);
	check(w, stats.held_out <= w->cfg.memory);
	check(w, stats.held_in <= w->cfg.memory);
	check(w, stats.streams <= w->cfg.max_streams);
	check(w, session_addrs(w->s, addrs) <= SESSION_ADDRS_MAX);
	most += stats.streams * MEMORY_STREAM;
	w->n_subflows = 0;
	for (uint8_t i = 0; i < SESSION_SUBFLOWS_MAX; i++) {
		const struct subflow *sf = session_subflow(w->s, i);

		if (sf == NULL)
			continue;
		w->n_subflows++;
		most += MEMORY_SUBFLOW + sf->loss.cap * sizeof(struct sent);
		check(w, sf->loss.cap <= LOSS_PACKETS_MAX);
	}
	check(w, __sanitizer_get_current_allocated_bytes() <= most);
}

static void
check_frame(struct world *w, const struct frame *f, uint8_t generation)
{
	uint64_t *limit;

	if (f->type == FRAME_REKEY)
		keypeer_heard(&w->peer, f->message, generation);
	check(w, w->cfg.role == SESSION_CLIENT
			 ? f->type != FRAME_ADD_ADDR && f->type != FRAME_REMOVE_ADDR
			 : f->type != FRAME_ADD_ADDR_ECHO);
	if (f->type == FRAME_RESET && f->reset.stream < REMEMBERED) {
		limit = &w->limit[f->reset.stream];
		check(w, f->reset.final <= *limit);
		*limit = f->reset.final;
		w->reset[f->reset.stream] = true;
	}
	if (f->type == FRAME_STREAM && f->stream.stream < REMEMBERED)
		check(w, f->stream.off + f->stream.len <= w->limit[f->stream.stream]);
}

/* What has ended says that, and what still came. */
static bool
may_follow_end(const struct frame *f)
{
	return f->type == FRAME_ACK || f->type == FRAME_SUBFLOW_RESET;
}

static void
check_packet(struct world *w, uint8_t *data, size_t len, uint64_t counter)
{
	const uint8_t *at = data + WIRE_HEADER_LEN, *end = data + len - CRYPTO_TAG_LEN;
	struct packet_header h;
	enum subflow_state state;
	struct frame f;

	check(w, packet_header_get(data, len, &h) == 0 && h.session == INDEX_PEER);
	check(w, h.counter == (uint32_t)counter);
	check(w,
	      keypeer_open(&w->peer, h.generation,
			   (struct aead_nonce){h.subflow, counter}, data, len, w->now));
	state = session_subflow(w->s, h.subflow)->state;
	while (at < end) {
		check(w, frame_get(&at, end, &f) == 0);
		check(w, state != SUBFLOW_ENDED || may_follow_end(&f));
		check_frame(w, &f, h.generation);
	}
}

/* What goes to an address that nobody has proven is three times what came. */
static void
check_burst(struct world *w, const struct burst *b, size_t len)
{
	const struct subflow *sf;
	uint64_t counter;

	check(w, len <= OUT_SIZE && b->len == len && b->packet > WIRE_OVERHEAD);
	check(w, b->packet <= len);
	sf = session_subflow(w->s, w->out[4]);
	check(w, sf != NULL);
	check(w, sf->proven || sf->bytes_out <= 3 * sf->bytes_in);
	check(w, sf->state == SUBFLOW_ACTIVE || len <= PROBES_AT_ONCE * MTU_MAX);
	counter = sf->loss.next - (len + b->packet - 1) / b->packet;
	for (size_t at = 0; at < len; at += b->packet)
		check_packet(w, w->out + at, min_size(b->packet, len - at), counter++);
}

/* The local program */

static struct slot *
slot_of(struct world *w, struct stream *st)
{
	for (size_t i = 0; i < SLOTS; i++) {
		if (w->slots[i].st == st)
			return &w->slots[i];
	}
	return NULL;
}

static void
forget(struct world *w, struct slot *slot)
{
	struct stream *st = slot->st;

	*slot = (struct slot){0};
	session_release(w->s, st);
}

static void
on_event(struct world *w, const struct session_event *ev)
{
	struct slot *slot = slot_of(w, ev->stream);

	if (slot == NULL && (ev->news & STREAM_NEWS_OPEN) != 0) {
		slot = slot_of(w, NULL);
		check(w, slot != NULL);
		slot->st = ev->stream;
		slot->asked = true;
		ev->stream->user = slot;
	} else if (slot == NULL) {
		check(w, ev->stream->user == NULL);
		if ((ev->news & STREAM_NEWS_RESET) != 0)
			session_release(w->s, ev->stream);
	} else if (w->tidy && (ev->news & STREAM_NEWS_RESET) != 0) {
		session_reset(w->s, ev->stream, 0);
		forget(w, slot);
	}
}

static void
open_or_answer(struct world *w, struct slot *slot, uint8_t arg)
{
	uint8_t request[FRAME_REQUEST_MAX] = {0};

	if (w->cfg.role == SESSION_SERVER) {
		if (slot->st != NULL && slot->asked)
			session_answer(w->s, slot->st, arg);
		slot->asked = false;
	} else if (slot->st == NULL) {
		slot->st = session_open(w->s, request, 2 * (size_t)arg + 1, slot);
	}
}

static void
write_some(struct world *w, struct stream *st, size_t most, unsigned times)
{
	uint8_t *at;
	size_t len;

	while (times-- > 0 && (at = session_room(w->s, st, &len)) != NULL) {
		len = min_size(len, most);
		memset(at, 'w', len);
		session_written(w->s, st, len, w->now);
	}
}

static void
read_some(struct world *w, struct stream *st, size_t most, unsigned times)
{
	static uint8_t seen[STORE_BLOCK];
	const uint8_t *at;
	size_t len;

	while (times-- > 0 && (at = session_readable(st, &len)) != NULL) {
		len = min_size(len, most);
		memcpy(seen, at, len);
		session_consumed(w->s, st, len, w->now);
	}
}

static void
on_stream(struct world *w, enum act act, struct slot *slot, uint8_t arg)
{
	struct stream *st = slot->st;

	if (act == ACT_OPEN)
		open_or_answer(w, slot, arg);
	else if (st == NULL)
		return;
	else if (act == ACT_WRITE)
		write_some(w, st, (size_t)arg * 16, 1);
	else if (act == ACT_WRITE_ALL)
		write_some(w, st, STORE_BLOCK, arg);
	else if (act == ACT_READ)
		read_some(w, st, (size_t)arg * 16, 1);
	else if (act == ACT_READ_ALL)
		read_some(w, st, STORE_BLOCK, arg);
	else if (act == ACT_END)
		session_end(w->s, st);
	else if (act == ACT_RESET)
		session_reset(w->s, st, arg);
	else {
		w->released = true;
		forget(w, slot);
	}
}

static void
add_subflow(struct world *w, uint8_t uplink, uint8_t arg)
{
	const struct subflow_way way = {address(100u + uplink), address(arg), uplink,
					uplink};

	if (w->cfg.role == SESSION_CLIENT)
		(void)!session_add_subflow(w->s, &way, (arg & 1) != 0, w->now);
}

static void
on_subflow(struct world *w, enum act act, uint8_t id, uint8_t arg)
{
	struct addr local = address(arg);

	if (session_subflow(w->s, id) == NULL)
		return;
	if (act == ACT_TIER)
		session_set_tier(w->s, id, arg % (FRAME_TIER_MAX + 1));
	else if (act == ACT_DOWN)
		session_subflow_down(w->s, id, w->now);
	else if (act == ACT_END_SUBFLOW)
		session_reset_subflow(w->s, id, arg % 8, w->now);
	else
		session_subflow_up(w->s, id, &local, w->now);
}

static void
on_address(struct world *w, enum act act, uint8_t id, uint8_t arg)
{
	const struct addr at = address(arg);
	int err;

	if (w->cfg.role != SESSION_SERVER || id == 0)
		return;
	if (act == ACT_WITHDRAW) {
		session_withdraw(w->s, id);
		return;
	}
	err = session_advertise(w->s, id, &at);
	check(w, err == 0 || err == -EEXIST || err == -ENOSPC);
}

static void
program(struct world *w, struct script *sc)
{
	enum act act = (enum act)(script_byte(sc) % ACT_COUNT);
	uint8_t which = script_byte(sc), arg = script_byte(sc);

	switch (act) {
	case ACT_TIER:
	case ACT_DOWN:
	case ACT_UP:
	case ACT_END_SUBFLOW: on_subflow(w, act, which % 4 + 1, arg); break;
	case ACT_ADVERTISE:
	case ACT_WITHDRAW: on_address(w, act, which, arg); break;
	case ACT_SUBFLOW: add_subflow(w, which % 4, arg); break;
	case ACT_OPEN:
	case ACT_WRITE:
	case ACT_WRITE_ALL:
	case ACT_READ:
	case ACT_READ_ALL:
	case ACT_END:
	case ACT_RESET:
	case ACT_RELEASE:
	case ACT_COUNT: on_stream(w, act, &w->slots[which % SLOTS], arg); break;
	}
}

/* Time, and what goes out */

static size_t
output(struct world *w)
{
	size_t len, total = 0, packets = 0;
	struct burst b;

	while ((len = session_output(w->s, w->out, OUT_SIZE, &b, w->now)) > 0) {
		check_burst(w, &b, len);
		total += len;
		packets += (len + b.packet - 1) / b.packet;
		check(w, packets <= (size_t)PACKETS_AT_ONCE * (w->n_subflows + 1));
	}
	return total;
}

/* Everything that is to be done at this instant. Returns the bytes that went out. */
static size_t
settle(struct world *w)
{
	struct session_event ev;
	size_t total = 0;

	for (int round = 0; round < ROUNDS_MAX; round++) {
		if (session_deadline(w->s) <= w->now)
			session_expire(w->s, w->now);
		while (session_next_event(w->s, &ev))
			on_event(w, &ev);
		check_memory(w);
		total += output(w);
		if (session_deadline(w->s) > w->now)
			return total;
	}
	check(w, !"the deadline stays in the past");
	return total;
}

static void
pass_time(struct world *w, uint8_t how)
{
	static const ns_t steps[] = {
		1,
		NS_PER_US,
		100 * NS_PER_US,
		NS_PER_MS,
		5 * NS_PER_MS,
		25 * NS_PER_MS,
		100 * NS_PER_MS,
		300 * NS_PER_MS,
		NS_PER_SEC,
		5 * NS_PER_SEC,
		30 * NS_PER_SEC,
		300 * NS_PER_SEC,
	};

	w->now += steps[how % ARRAY_LEN(steps)] * (1 + how / 64);
	w->fruitless = 0;
}

/* Wakes the session when it wants to be. */
static void
wake(struct world *w, uint8_t times)
{
	for (unsigned i = 0; i < times % 64u; i++) {
		ns_t at = session_deadline(w->s);

		if (at == NS_NEVER)
			return;
		w->now = max_ns(w->now, at);
		if (w->fruitless == 0 || w->now - w->fruitless_from > NS_PER_MS) {
			w->fruitless_from = w->now;
			w->fruitless = 0;
		}
		w->fruitless++;
		if (settle(w) > 0)
			w->fruitless = 0;
		check(w, w->fruitless <= FRUITLESS_MAX * (w->n_subflows + 1));
	}
}

/* The peer's frames */

static void
get_bytes(struct script *sc, uint8_t *to, const uint8_t *truth, size_t len)
{
	uint8_t wrong = script_byte(sc);

	memcpy(to, truth, len);
	to[wrong % len] ^= wrong >> 5;
}

static const uint8_t nonce_peer[8] = "a nonce";

static void
join_mac(const struct world *w, const struct subflow *sf, uint8_t ret_mac[32])
{
	const bool client = w->cfg.role == SESSION_SERVER; /* we are */
	const uint8_t *key = client ? w->keys.key_a : w->keys.key_b;
	uint8_t keys[16], nonces[16];

	memcpy(keys, key, 8);
	memcpy(keys + 8, client ? w->keys.key_b : w->keys.key_a, 8);
	memcpy(nonces, nonce_peer, 8);
	memcpy(nonces + 8, sf->nonce, 8);
	if (crypto_hmac(ret_mac, keys, 16, nonces, 16) < 0)
		abort();
}

static void
make_join(struct world *w, struct script *sc, const struct subflow *sf,
	  struct frame_join *ret)
{
	uint8_t hash[32] = {0}, mac[32] = {0};

	if (crypto_sha256(hash,
			  w->cfg.role == SESSION_SERVER ? w->keys.key_b : w->keys.key_a,
			  8) < 0)
		abort();
	if (sf != NULL)
		join_mac(w, sf, mac);
	get_bytes(sc, ret->hmac, mac, 20);
	ret->token = (uint32_t)hash[0] << 24 | (uint32_t)hash[1] << 16 |
		     (uint32_t)hash[2] << 8 | hash[3];
	memcpy(ret->nonce, nonce_peer, 8);
	ret->addr_id = script_byte(sc) % 4;
	ret->tier = script_byte(sc) % (FRAME_TIER_MAX + 1);
}

/* False: nothing can be acknowledged. */
static bool
make_ack(struct world *w, struct script *sc, uint8_t via, struct frame_ack *ret)
{
	uint8_t id = script_byte(sc), back = script_byte(sc),
		n = script_byte(sc) % FRAME_ACK_RANGES_MAX;
	const struct subflow *sf;
	bool any;
	uint64_t end;

	ret->subflow = id == 0 ? via : id;
	sf = session_subflow(w->s, ret->subflow);
	end = sf != NULL ? sf->loss.next : 0;
	end = back == 0xff ? end + 1 : end - min_u64(end, back);
	any = end > 0;
	ret->received_at = (uint32_t)(w->now / NS_PER_US) + (uint32_t)script_number(sc);
	ret->delay = (uint32_t)script_number(sc);
	ret->n_ranges = 0;
	for (; ret->n_ranges <= n; ret->n_ranges++) {
		uint64_t len = min_u64(end, 1u + script_byte(sc));

		ret->ranges[ret->n_ranges] = (struct range){end - len, end};
		len += 1u + script_byte(sc);
		if (len >= end)
			break;
		end -= len;
	}
	if (ret->n_ranges <= n)
		ret->n_ranges++;
	return any;
}

static void
make_stream(struct world *w, struct script *sc, uint8_t bits, size_t room,
	    struct frame_stream *ret)
{
	static const uint8_t data[PACKET_SIZE];
	uint8_t how, how_long;
	uint64_t *next;

	ret->stream = stream_id(sc);
	next = &w->off[ret->stream % REMEMBERED];
	how = script_byte(sc);
	if (how < 0x80)
		ret->off = *next;
	else if (how < 0xc0)
		ret->off = *next + (how & 63) * 100u;
	else
		ret->off = script_number(sc);
	room -= min_size(room, FRAME_STREAM_OVERHEAD_MAX);
	how_long = script_byte(sc);
	ret->len = how_long < 128 ? 8u * how_long : 128u * (how_long - 120u);
	ret->len = min_size(min_size(ret->len, FRAME_STREAM_LEN_MAX), room);
	if (ret->off > WIRE_NUMBER_MAX - ret->len)
		ret->off = WIRE_NUMBER_MAX - ret->len;
	if (how < 0xc0)
		*next = ret->off + ret->len;
	ret->data = data;
	ret->fin = (bits & 1) != 0;
	ret->to_end = (bits & 2) == 0;
}

static void
grant(struct world *w, uint64_t id, uint64_t max)
{
	if (id < REMEMBERED && !w->reset[id])
		w->limit[id] = max_u64(w->limit[id], max);
}

static void
make_reset(struct world *w, struct script *sc, struct frame *f)
{
	uint8_t how;

	f->reset.stream = stream_id(sc);
	how = script_byte(sc);
	f->reset.code = how & 7;
	f->reset.final =
		how < 0x80 ? w->off[f->reset.stream % REMEMBERED] : script_number(sc);
}

/* As a server that keeps to the rules, or nearly. */
static void
make_address(struct world *w, struct script *sc, struct frame_addr *a)
{
	uint8_t mac[8];

	a->addr = address(script_byte(sc));
	a->id = script_byte(sc);
	if (join_addr_hmac(w->keys.key_b, w->keys.key_a, a->id, &a->addr, mac) < 0)
		abort();
	get_bytes(sc, a->hmac, mac, sizeof(mac));
}

static void
make_small(struct world *w, struct script *sc, const struct subflow *sf,
	   struct frame *f)
{
	static const uint8_t zero[FRAME_HANDSHAKE_LEN], request[FRAME_REQUEST_MAX];

	switch (f->type) {
	case FRAME_OPEN:
		f->open = (struct frame_open){stream_id(sc), request,
					      1u + script_byte(sc)};
		break;
	case FRAME_OPENED:
		f->opened.stream = stream_id(sc);
		f->opened.status = script_byte(sc);
		break;
	case FRAME_RESET: make_reset(w, sc, f); break;
	case FRAME_STREAM_MAX:
		f->max.stream = stream_id(sc);
		f->max.max = script_number(sc);
		grant(w, f->max.stream, f->max.max);
		break;
	case FRAME_SESSION_MAX: f->max.max = script_number(sc); break;
	case FRAME_JOIN:
	case FRAME_JOIN_REPLY:
	case FRAME_JOIN_CONFIRM: make_join(w, sc, sf, &f->join); break;
	case FRAME_PRIO:
		f->prio.seq = script_number(sc);
		f->prio.subflow = script_byte(sc);
		f->prio.tier = script_byte(sc) % (FRAME_TIER_MAX + 1);
		break;
	case FRAME_ADD_ADDR:
	case FRAME_ADD_ADDR_ECHO:
	case FRAME_REMOVE_ADDR: make_address(w, sc, &f->addr); break;
	case FRAME_FASTCLOSE:
		get_bytes(sc, f->key,
			  w->cfg.role == SESSION_CLIENT ? w->keys.key_a : w->keys.key_b,
			  8);
		break;
	case FRAME_CHALLENGE: get_bytes(sc, f->data, zero, 8); break;
	case FRAME_RESPONSE:
		get_bytes(sc, f->data, sf != NULL ? sf->challenge : zero, 8);
		break;
	case FRAME_REKEY: f->message = zero; break;
	case FRAME_SUBFLOW_RESET:
		f->end.subflow = script_byte(sc) % 8;
		f->end.code = script_byte(sc) % 8;
		break;
	case FRAME_CLOSE: f->code = script_byte(sc); break;
	default: break;
	}
}

/* Appends a frame. False: nothing goes behind it. */
static bool
put_frame(struct world *w, struct script *sc, uint8_t via, uint8_t **at, uint8_t *end)
{
	struct frame f = {.type = script_byte(sc) % (FRAME_TYPE_COUNT + 4)};
	bool more = true;

	if (f.type >= FRAME_TYPE_COUNT) {
		make_stream(w, sc, f.type - FRAME_TYPE_COUNT, (size_t)(end - *at),
			    &f.stream);
		f.type = FRAME_STREAM;
		more = !f.stream.to_end;
	} else if (f.type == FRAME_ACK) {
		if (!make_ack(w, sc, via, &f.ack))
			return true;
	} else {
		make_small(w, sc, session_subflow(w->s, via), &f);
	}
	*at += frame_put(*at, (size_t)(end - *at), &f);
	return more;
}

/* The peer's packets */

static void
deliver(struct world *w, size_t len, uint8_t flags, bool twice)
{
	struct burst b = {
		.local = address(200),
		.remote = address(flags >> 1 & 3),
		.data = w->in,
		.len = len,
		.packet = len,
	};

	if (len == 0)
		return;
	if (twice) {
		memcpy(w->in + len, w->in, len);
		b.len = 2 * len;
	}
	w->fruitless = 0;
	w->over = session_input(w->s, &b, w->now) < 0;
}

/* Which counter: most often the next one. */
static uint64_t
counter_of(const struct world *w, struct script *sc, uint8_t id, uint8_t how)
{
	uint64_t next = w->next[id];

	switch (how) {
	case 4: return next + script_byte(sc);
	case 5: return next - min_u64(next, script_byte(sc));
	case 6: return next + ((uint64_t)script_byte(sc) << 12);
	case 7: return next + ((uint64_t)script_byte(sc) << 22);
	default: return next;
	}
}

static void
seal_and_deliver(struct world *w, struct script *sc, uint8_t id, uint8_t flags,
		 size_t len)
{
	uint64_t counter = counter_of(w, sc, id, flags >> 5);
	struct packet_header h = {
		.session = INDEX_OURS,
		.subflow = id,
		.generation = keypeer_generation(&w->peer),
		.ack_now = (flags & 1) != 0,
		.counter = (uint32_t)counter,
	};

	w->next[id] = max_u64(w->next[id], counter + 1);
	packet_header_put(w->in, &h);
	keypeer_seal(&w->peer, (struct aead_nonce){id, counter}, w->in, len);
	deliver(w, len + CRYPTO_TAG_LEN, flags, (flags & 8) != 0);
}

/* True: the session may answer before the next step. */
static bool
packet(struct world *w, struct script *sc)
{
	uint8_t id = script_byte(sc) % SESSION_SUBFLOWS_MAX, flags = script_byte(sc);
	uint8_t n = script_byte(sc) % 16, *at = w->in + WIRE_HEADER_LEN;
	uint8_t *end = w->in + PACKET_SIZE - CRYPTO_TAG_LEN;

	while (n > 0 && put_frame(w, sc, id, &at, end))
		n--;
	seal_and_deliver(w, sc, id, flags, (size_t)(at - w->in));
	return (flags & 16) == 0;
}

/* One subflow's packets but every so manyth, and but the last ones. */
static void
acknowledge(struct world *w, struct script *sc, const struct subflow *sf, uint8_t how)
{
	struct frame f = {.type = FRAME_ACK};
	uint64_t end = sf->loss.next - min_u64(sf->loss.next, how & 3);
	const uint64_t piece = (how & 12) == 0 ? end : (how & 12) * 2u;
	size_t len = WIRE_HEADER_LEN;

	while (end > 0 && f.ack.n_ranges < FRAME_ACK_RANGES_MAX) {
		uint64_t start = end - min_u64(end, piece);

		f.ack.ranges[f.ack.n_ranges++] = (struct range){start, end};
		end = start > 0 ? start - 1 : 0;
	}
	if (f.ack.n_ranges == 0)
		return;
	f.ack.subflow = sf->id;
	f.ack.received_at = (uint32_t)(w->now / NS_PER_US);
	len += frame_put(w->in + len, PACKET_SIZE - len, &f);
	seal_and_deliver(w, sc, sf->id, 0, len);
}

static void
pass_round(struct world *w, struct script *sc)
{
	uint8_t how = script_byte(sc), more = script_byte(sc);

	pass_time(w, more % 8);
	for (uint8_t i = 0; i < SESSION_SUBFLOWS_MAX && !w->over; i++) {
		const struct subflow *sf = session_subflow(w->s, i);

		if (sf != NULL && (how >> 6 == 0 || how >> 6 != i))
			acknowledge(w, sc, sf, how);
	}
	for (size_t i = 0; i < SLOTS && (more & 8) != 0 && !w->over; i++) {
		if (w->slots[i].st != NULL)
			write_some(w, w->slots[i].st, STORE_BLOCK, more >> 4);
	}
}

/* Bytes that need be no frames: sealed, or not even that. */
static void
raw(struct world *w, struct script *sc, bool sealed)
{
	uint8_t id = script_byte(sc) % SESSION_SUBFLOWS_MAX, flags = script_byte(sc);
	size_t len = min_size(script_byte(sc) * 4u, (size_t)(sc->end - sc->at));
	uint8_t *at = w->in + (sealed ? WIRE_HEADER_LEN : 0);

	memcpy(at, sc->at, len);
	sc->at += len;
	if (sealed)
		seal_and_deliver(w, sc, id, flags, WIRE_HEADER_LEN + len);
	else
		deliver(w, len, flags, false);
}

static void
keys(struct world *w, struct script *sc)
{
	uint8_t id = script_byte(sc) % SESSION_SUBFLOWS_MAX, flags = script_byte(sc);
	size_t len = WIRE_HEADER_LEN;
	struct frame f;

	if (!keypeer_act(&w->peer, script_byte(sc), w->now, &f))
		return;
	len += frame_put(w->in + len, PACKET_SIZE - len, &f);
	seal_and_deliver(w, sc, id, flags, len);
}

/* Life */

static void
begin(struct world *w, struct script *sc)
{
	static const uint8_t seed[CRYPTO_KEY_LEN] = "the same in every run";
	static const enum cc_kind ccs[] = {CC_BBR, CC_CUBIC, CC_FIXED, CC_BBR};
	uint8_t b = script_byte(sc), m = script_byte(sc);
	bool client = (b & 1) == 0;

	memset(w, 0, sizeof(*w));
	memset(&w->keys, 7, sizeof(w->keys));
	memset(w->keys.key_up, 1, sizeof(w->keys.key_up));
	memset(w->keys.key_a, 2, sizeof(w->keys.key_a));
	w->cfg = (struct session_settings){
		.role = client ? SESSION_CLIENT : SESSION_SERVER,
		.aead = AEAD_AES_128_GCM,
		.index = INDEX_OURS,
		.index_peer = INDEX_PEER,
		.cc = ccs[b >> 1 & 3],
		.scheduler = (enum scheduler_kind)(b >> 3 & 3),
		.max_streams = 1 + script_byte(sc) % SLOTS,
		.memory = (size_t)(512 * 1024) << (m & 1),
	};
	w->tidy = (m & 4) != 0;
	w->now = NS_PER_SEC;
	keypeer_init(&w->peer, !client, &w->keys, w->now, &w->cfg.rekey.secrets);
	for (size_t i = 0; i < REMEMBERED; i++)
		w->limit[i] = STREAM_WINDOW_MIN;
	w->s = session_new(&w->cfg, &w->keys, seed, w->now);
	if (w->s == NULL)
		abort();
	w->allocated = __sanitizer_get_current_allocated_bytes();
	add_subflow(w, 1, 1);
}

/* The program has done with its streams, and so has the peer at last. */
static void
leave(struct world *w)
{
	struct script none = {NULL, NULL};

	for (size_t i = 0; i < SLOTS; i++) {
		struct frame f = {.type = FRAME_RESET};
		struct stream *st = w->slots[i].st;
		size_t len = WIRE_HEADER_LEN;

		if (st == NULL)
			continue;
		f.reset.stream = st->id;
		f.reset.final = st->counted;
		session_reset(w->s, st, 0);
		forget(w, &w->slots[i]);
		if (w->over)
			continue;
		len += frame_put(w->in + len, PACKET_SIZE - len, &f);
		seal_and_deliver(w, &none, 1, 0, len);
	}
}

/* A client that can send, and is answered, has nothing left of its streams. */
static void
check_nothing_left(struct world *w)
{
	struct script none = {NULL, NULL};
	struct session_stats stats;

	for (int i = 0; i < 20 && !w->over; i++) {
		settle(w);
		w->now += 500 * NS_PER_MS;
		for (uint8_t id = 1; id < SESSION_SUBFLOWS_MAX && !w->over; id++) {
			if (session_subflow(w->s, id) != NULL)
				acknowledge(w, &none, session_subflow(w->s, id), 0);
		}
	}
	session_stats_get(w->s, &stats);
	if (w->over || stats.subflows_active == 0 || w->released)
		return;
	check(w, stats.streams == 0);
	check(w, stats.held_out == 0 && stats.held_in == 0);
}

/* As a daemon ends one: the peer is told, the streams go first. */
static void
end(struct world *w)
{
	struct burst b;

	leave(w);
	if (w->cfg.role == SESSION_CLIENT)
		check_nothing_left(w);
	for (uint8_t id = 0; id < SESSION_SUBFLOWS_MAX; id++) {
		size_t len = session_farewell(w->s, id, w->out, OUT_SIZE, &b, w->now);

		if (len > 0)
			check_burst(w, &b, len);
	}
	session_free(w->s);
	keypeer_done(&w->peer);
}

static void
step(struct world *w, struct script *sc)
{
	bool settles = true;

	switch ((enum op)(script_byte(sc) % OP_COUNT)) {
	case OP_PACKET: settles = packet(w, sc); break;
	case OP_RAW: raw(w, sc, true); break;
	case OP_NOISE: raw(w, sc, false); break;
	case OP_TIME: pass_time(w, script_byte(sc)); break;
	case OP_WAKE: wake(w, script_byte(sc)); break;
	case OP_PROGRAM: program(w, sc); break;
	case OP_ROUND: pass_round(w, sc); break;
	case OP_KEYS: keys(w, sc); break;
	case OP_AGAIN:
	case OP_COUNT: break;
	}
	if (settles && !w->over)
		settle(w);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct world w;
	struct script sc = {data, data + size}, last = sc;

	begin(&w, &sc);
	settle(&w);
	for (int n = 0; n < STEPS_MAX && sc.at < sc.end && !w.over; n++) {
		const struct script here = sc;
		struct script again;

		step(&w, &sc);
		if (*here.at % OP_COUNT != OP_AGAIN) {
			last = here;
			continue;
		}
		for (int i = script_byte(&sc) % 64; i > 0 && n < STEPS_MAX && !w.over;
		     i--, n++) {
			again = last;
			step(&w, &again);
		}
	}
	end(&w);
	return 0;
}
