/*
 * What a session believes of a peer that has the keys, frame by frame, and what it
 * says to that. Whole links are tests/sim's.
 */
#include "tests/unit/unit.h"

#include "daemon/core/join.h"
#include "daemon/core/session_parts.h"
#include "daemon/core/wire.h"

#include <string.h>
#include <sys/socket.h>

enum {
	INDEX_OURS = 0x111111, /* of the session under test */
	INDEX_PEER = 0x222222,
	MEMORY = 1024 * 1024,
	ROOM = 2048,
};
#define SEC NS_PER_SEC
#define RTT (30 * NS_PER_MS)

/* The session, and a peer that says what it is told to and remembers what it hears. */
struct pair {
	struct session *s;
	struct handshake_keys keys;
	struct aead seal, open;
	ns_t now;
	struct addr from;  /* of the peer */
	uint64_t next[8];  /* counters, by subflow: the peer's */
	uint64_t heard[8]; /* the same of the session's, one after the last that came */
	struct frame frames[FRAME_TYPE_COUNT]; /* the last one that came */
	unsigned n[FRAME_TYPE_COUNT];
	struct addr to; /* where the last packet went */
};

static struct addr
address(uint8_t host)
{
	return (struct addr){.ip = {192, 0, 2, host}, .port = 4433, .family = AF_INET};
}

static void
begin(struct pair *p, enum session_role role)
{
	struct session_settings cfg = {
		.role = role,
		.aead = AEAD_CHACHA20_POLY1305,
		.index = INDEX_OURS,
		.index_peer = INDEX_PEER,
		.cc = CC_BBR,
		.scheduler = SCHEDULER_EARLIEST,
		.max_streams = 100,
		.memory = MEMORY,
	};
	const struct handshake_keys *k = &p->keys;
	bool client = role == SESSION_CLIENT;
	uint8_t seed[CRYPTO_KEY_LEN] = {1};

	memset(p, 0, sizeof(*p));
	for (size_t i = 0; i < sizeof(p->keys); i++)
		((uint8_t *)&p->keys)[i] = (uint8_t)(i * 7 + 1);
	p->now = SEC;
	p->from = address(1);
	p->s = session_new(&cfg, k, seed, p->now);
	assert_non_null(p->s);
	assert_int_equal(aead_init(&p->seal, cfg.aead, true,
				   client ? k->key_down : k->key_up,
				   client ? k->iv_down : k->iv_up),
			 0);
	assert_int_equal(aead_init(&p->open, cfg.aead, false,
				   client ? k->key_up : k->key_down,
				   client ? k->iv_up : k->iv_down),
			 0);
}

static void
end(struct pair *p)
{
	session_free(p->s);
	aead_done(&p->seal);
	aead_done(&p->open);
}

/* A packet of one frame. What session_input() says. */
static int
say(struct pair *p, uint8_t subflow, const struct frame *f)
{
	uint8_t data[ROOM];
	const struct packet_header h = {INDEX_OURS, subflow, 0, false,
					(uint32_t)p->next[subflow]};
	size_t len = WIRE_HEADER_LEN;
	struct burst b = {.local = address(100), .remote = p->from, .data = data};

	packet_header_put(data, &h);
	len += frame_put(data + len, sizeof(data) - len - CRYPTO_TAG_LEN, f);
	assert_true(len > WIRE_HEADER_LEN);
	assert_int_equal(aead_seal(&p->seal,
				   (struct aead_nonce){subflow, p->next[subflow]}, data,
				   WIRE_HEADER_LEN, data + WIRE_HEADER_LEN,
				   len - WIRE_HEADER_LEN),
			 0);
	p->next[subflow]++;
	b.len = b.packet = len + CRYPTO_TAG_LEN;
	return session_input(p->s, &b, p->now);
}

static void
take(struct pair *p, uint8_t *data, size_t len)
{
	const uint8_t *at = data + WIRE_HEADER_LEN, *past = data + len - CRYPTO_TAG_LEN;
	struct packet_header h;
	struct aead_nonce nonce;

	assert_int_equal(packet_header_get(data, len, &h), 0);
	nonce = (struct aead_nonce){h.subflow,
				    packet_counter(h.counter, p->heard[h.subflow])};
	assert_int_equal(aead_open(&p->open, nonce, data, WIRE_HEADER_LEN,
				   data + WIRE_HEADER_LEN, len - WIRE_HEADER_LEN),
			 0);
	p->heard[h.subflow] = nonce.counter + 1;
	while (at < past) {
		struct frame f;

		assert_int_equal(frame_get(&at, past, &f), 0);
		if (f.type >= FRAME_TYPE_COUNT)
			continue;
		p->frames[f.type] = f;
		p->n[f.type]++;
	}
}

/* Everything that the session has to say now; the counts begin anew. */
static void
hear(struct pair *p)
{
	static uint8_t buf[65536];
	struct burst b;
	size_t len;

	memset(p->n, 0, sizeof(p->n));
	while ((len = session_output(p->s, buf, sizeof(buf), &b, p->now)) > 0) {
		for (size_t at = 0; at < len; at += b.packet)
			take(p, buf + at, min_size(b.packet, len - at));
		p->to = b.remote;
	}
}

/* Everything that it has said on this subflow has come, it hears by way of another. */
static void
acknowledge_via(struct pair *p, uint8_t via, uint8_t subflow)
{
	struct frame f = {.type = FRAME_ACK};

	f.ack.subflow = subflow;
	f.ack.n_ranges = 1;
	f.ack.ranges[0].end = p->heard[subflow];
	assert_int_equal(say(p, via, &f), 1);
}

static void
acknowledge(struct pair *p, uint8_t subflow)
{
	acknowledge_via(p, subflow, subflow);
}

static const struct subflow *
subflow(const struct pair *p)
{
	return session_subflow(p->s, 1);
}

static struct stream *
new_stream(struct pair *p)
{
	struct stream *st = session_open(p->s, (const uint8_t *)"x", 1, NULL);

	assert_non_null(st);
	return st;
}

/* Joins */

static struct frame
join(struct pair *p)
{
	struct frame f = {.type = FRAME_JOIN};

	assert_int_equal(join_token(p->keys.key_b, &f.join.token), 0);
	memset(f.join.nonce, 'n', sizeof(f.join.nonce));
	return f;
}

/* MP_JOIN's HMAC, of the client or of the server, over what was said so far. */
static void
sign(struct pair *p, bool by_client, const uint8_t nonce[8], uint8_t *ret_mac,
     size_t len)
{
	const uint8_t *theirs =
		p->frames[by_client ? FRAME_JOIN_REPLY : FRAME_JOIN].join.nonce;
	const struct join_side speaker = {by_client ? p->keys.key_a : p->keys.key_b,
					  nonce};
	const struct join_side other = {by_client ? p->keys.key_b : p->keys.key_a,
					theirs};
	uint8_t mac[CRYPTO_HASH_LEN];

	assert_int_equal(join_hmac(&speaker, &other, 8, mac), 0);
	memcpy(ret_mac, mac, len);
}

static struct frame
confirmation(struct pair *p, const struct frame *joined)
{
	struct frame f = {.type = FRAME_JOIN_CONFIRM};

	sign(p, true, joined->join.nonce, f.join.hmac, 20);
	return f;
}

/* A server with one subflow that is proven. */
static void
begin_joined(struct pair *p)
{
	struct frame f;

	begin(p, SESSION_SERVER);
	f = join(p);
	assert_int_equal(say(p, 1, &f), 1);
	hear(p);
	f = confirmation(p, &f);
	assert_int_equal(say(p, 1, &f), 1);
	assert_true(subflow(p)->proven);
	hear(p);
}

/* A client with one subflow that is active. */
static void
begin_active(struct pair *p)
{
	const struct subflow_way way = {address(100), address(1), 0, 1};

	begin(p, SESSION_CLIENT);
	assert_int_equal(session_add_subflow(p->s, &way, true, p->now), 1);
	hear(p);
	p->now += RTT;
	acknowledge(p, 1);
}

/* The same with two. */
static void
begin_two(struct pair *p)
{
	const struct subflow_way way = {address(101), address(1), 1, 2};

	begin_active(p);
	assert_int_equal(session_add_subflow(p->s, &way, true, p->now), 2);
	hear(p);
	p->now += RTT;
	acknowledge(p, 1);
	acknowledge(p, 2);
}

static void
server_wants_its_token(void **state)
{
	struct pair p;
	struct frame f;

	(void)state;
	begin(&p, SESSION_SERVER);
	f = join(&p);
	f.join.token ^= 1;
	assert_int_equal(say(&p, 1, &f), 1);
	hear(&p);
	assert_int_equal(p.n[FRAME_JOIN_REPLY], 0);
	f.join.token ^= 1;
	assert_int_equal(say(&p, 1, &f), 1);
	hear(&p);
	assert_int_equal(p.n[FRAME_JOIN_REPLY], 1);
	end(&p);
}

static void
server_compares_the_confirmation(void **state)
{
	struct pair p;
	struct frame f, right;

	(void)state;
	begin(&p, SESSION_SERVER);
	f = join(&p);
	assert_int_equal(say(&p, 1, &f), 1);
	hear(&p);
	right = f = confirmation(&p, &f);
	for (size_t i = 0; i < 20; i++) {
		f.join.hmac[i] ^= 0x80;
		assert_int_equal(say(&p, 1, &f), 1);
		assert_false(subflow(&p)->proven);
		f = right;
	}
	assert_int_equal(say(&p, 1, &right), 1);
	assert_true(subflow(&p)->proven);
	assert_int_equal(subflow(&p)->state, SUBFLOW_ACTIVE);
	end(&p);
}

static void
client_compares_the_reply(void **state)
{
	const struct subflow_way way = {address(100), address(1), 0, 1};
	struct frame f = {.type = FRAME_JOIN_REPLY}, right;
	struct pair p;

	(void)state;
	begin(&p, SESSION_CLIENT);
	assert_int_equal(session_add_subflow(p.s, &way, false, p.now), 1);
	hear(&p);
	assert_int_equal(p.n[FRAME_JOIN], 1);
	memset(f.join.nonce, 's', sizeof(f.join.nonce));
	sign(&p, false, f.join.nonce, f.join.hmac, 8);
	right = f;
	for (size_t i = 0; i < 8; i++) {
		f.join.hmac[i] ^= 1;
		assert_int_equal(say(&p, 1, &f), 1);
		assert_int_equal(subflow(&p)->state, SUBFLOW_JOINING);
		f = right;
	}
	assert_int_equal(say(&p, 1, &right), 1);
	assert_int_equal(subflow(&p)->state, SUBFLOW_ACTIVE);
	hear(&p);
	assert_true(p.n[FRAME_JOIN_CONFIRM] > 0);
	/* It goes along until it is known to have come. */
	p.now += 2 * SEC;
	session_expire(p.s, p.now);
	hear(&p);
	assert_true(p.n[FRAME_JOIN_CONFIRM] > 0);
	acknowledge(&p, 1);
	p.now += 2 * SEC;
	session_expire(p.s, p.now);
	hear(&p);
	assert_true(p.n[FRAME_PING] > 0);
	assert_int_equal(p.n[FRAME_JOIN_CONFIRM], 0);
	end(&p);
}

/* Whatever its peer says: the server decides. */
static void
who_was_sent_away_does_not_join_again(void **state)
{
	static const uint8_t why[] = {SUBFLOW_END_PROHIBITED, SUBFLOW_END_RESOURCES};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(why); i++) {
		struct pair p;
		struct frame f;

		begin_joined(&p);
		session_reset_subflow(p.s, 1, why[i], p.now);
		hear(&p);
		assert_int_equal(subflow(&p)->state, SUBFLOW_ENDED);
		p.now += 2 * SEC;
		f = join(&p);
		f.join.nonce[0]++;
		assert_int_equal(say(&p, 1, &f), 1);
		assert_int_equal(subflow(&p)->state,
				 i == 0 ? SUBFLOW_ENDED : SUBFLOW_JOINING);
		end(&p);
	}
}

/* Tiers */

static void
joins_as_a_backup(void **state)
{
	struct pair p;
	struct frame f;

	(void)state;
	begin(&p, SESSION_SERVER);
	f = join(&p);
	f.join.tier = TIER_BACKUP;
	assert_int_equal(say(&p, 1, &f), 1);
	assert_int_equal(subflow_tier(subflow(&p)), TIER_BACKUP);
	end(&p);
}

static void
the_last_word_on_a_tier_counts(void **state)
{
	struct frame f = {.type = FRAME_PRIO};
	struct pair p;

	(void)state;
	begin_joined(&p);
	f.prio.subflow = 1;
	f.prio.seq = 2;
	f.prio.tier = TIER_BACKUP;
	assert_int_equal(say(&p, 1, &f), 1);
	f.prio.seq = 1;
	f.prio.tier = 0;
	assert_int_equal(say(&p, 1, &f), 1);
	assert_int_equal(subflow_tier(subflow(&p)), TIER_BACKUP);
	f.prio.seq = 3;
	assert_int_equal(say(&p, 1, &f), 1);
	assert_int_equal(subflow_tier(subflow(&p)), 0);
	end(&p);
}

static void
a_lost_tier_is_said_again(void **state)
{
	unsigned times = 0;
	struct pair p;

	(void)state;
	begin_active(&p);
	session_set_tier(p.s, 1, TIER_BACKUP);
	for (int i = 0; i < 10; i++) {
		hear(&p);
		times += p.n[FRAME_PRIO];
		p.now = max_ns(p.now, session_deadline(p.s));
		session_expire(p.s, p.now);
	}
	assert_true(times >= 2);
	assert_int_equal(p.frames[FRAME_PRIO].prio.tier, TIER_BACKUP);
	hear(&p);
	acknowledge(&p, 1);
	hear(&p);
	assert_int_equal(p.n[FRAME_PRIO], 0);
	end(&p);
}

/* Addresses */

static void
an_address_is_proven_by_its_own_challenge(void **state)
{
	const struct frame ping = {.type = FRAME_PING};
	struct frame f = {.type = FRAME_RESPONSE};
	uint8_t first[8];
	struct pair p;

	(void)state;
	begin_joined(&p);
	for (uint8_t host = 2; host < 4; host++) {
		p.from = address(host);
		assert_int_equal(say(&p, 1, &ping), 1);
		assert_false(subflow(&p)->proven);
		hear(&p);
		assert_int_equal(p.n[FRAME_CHALLENGE], 1);
		assert_true(addr_equal(&p.to, &p.from));
		if (host == 2)
			memcpy(first, p.frames[FRAME_CHALLENGE].data, sizeof(first));
	}
	memcpy(f.data, first, sizeof(first));
	assert_int_equal(say(&p, 1, &f), 1);
	assert_false(subflow(&p)->proven);
	memcpy(f.data, p.frames[FRAME_CHALLENGE].data, sizeof(f.data));
	f.data[7] ^= 1;
	assert_int_equal(say(&p, 1, &f), 1);
	assert_false(subflow(&p)->proven);
	f.data[7] ^= 1;
	assert_int_equal(say(&p, 1, &f), 1);
	assert_true(subflow(&p)->proven);
	end(&p);
}

/* Whoever sends a copy of it from elsewhere does not get what follows. */
static void
an_old_packet_moves_nothing(void **state)
{
	const struct frame ping = {.type = FRAME_PING};
	struct pair p;

	(void)state;
	begin_joined(&p);
	p.next[1]++;
	assert_int_equal(say(&p, 1, &ping), 1);
	p.next[1] -= 2;
	p.from = address(2);
	assert_int_equal(say(&p, 1, &ping), 1);
	assert_true(subflow(&p)->proven);
	hear(&p);
	assert_true(p.n[FRAME_ACK] > 0);
	p.from = address(1);
	assert_true(addr_equal(&p.to, &p.from));
	end(&p);
}

/* The end */

static void
fastclose_wants_the_key(void **state)
{
	(void)state;
	for (int client = 0; client < 2; client++) {
		struct frame f = {.type = FRAME_FASTCLOSE};
		struct pair p;

		if (client)
			begin_active(&p);
		else
			begin_joined(&p);
		memcpy(f.key, client ? p.keys.key_b : p.keys.key_a, sizeof(f.key));
		assert_int_equal(say(&p, 1, &f), 1);
		memcpy(f.key, client ? p.keys.key_a : p.keys.key_b, sizeof(f.key));
		f.key[7] ^= 1;
		assert_int_equal(say(&p, 1, &f), 1);
		assert_false(session_is_over(p.s));
		f.key[7] ^= 1;
		assert_int_equal(say(&p, 1, &f), -ECONNRESET);
		assert_true(session_is_over(p.s));
		end(&p);
	}
}

/* Windows */

static int
say_byte(struct pair *p, uint64_t stream, uint64_t off)
{
	struct frame f = {.type = FRAME_STREAM};
	const uint8_t byte = 'x';

	f.stream.stream = stream;
	f.stream.off = off;
	f.stream.data = &byte;
	f.stream.len = 1;
	return say(p, 1, &f);
}

/* Half of the memory, by the highest offsets. */
static void
the_session_s_window_is_kept_to_the_byte(void **state)
{
	struct pair p;

	(void)state;
	begin_joined(&p);
	assert_int_equal(MEMORY / 2, 2 * STREAM_WINDOW_MIN);
	assert_int_equal(say_byte(&p, 1, STREAM_WINDOW_MIN - 1), 1);
	assert_int_equal(say_byte(&p, 2, STREAM_WINDOW_MIN - 1), 1);
	assert_int_equal(say_byte(&p, 2, 0), 1);
	assert_int_equal(say_byte(&p, 3, 0), -ECONNRESET);
	end(&p);
}

static void
a_window_never_moves_back(void **state)
{
	struct frame f = {.type = FRAME_STREAM_MAX};
	struct stream *st;
	struct pair p;

	(void)state;
	begin_active(&p);
	st = new_stream(&p);
	f.max.stream = st->id;
	f.max.max = 2 * STREAM_WINDOW_MIN;
	assert_int_equal(say(&p, 1, &f), 1);
	f.max.max = STREAM_WINDOW_MIN;
	assert_int_equal(say(&p, 1, &f), 1);
	assert_int_equal(st->out_limit, 2 * STREAM_WINDOW_MIN);
	end(&p);
}

/* Packets */

/* take() opens them by the whole counter. */
static void
counters_go_beyond_32_bits(void **state)
{
	const struct subflow_way way = {address(100), address(1), 0, 1};
	struct loss *l;
	struct pair p;

	(void)state;
	begin(&p, SESSION_CLIENT);
	assert_int_equal(session_add_subflow(p.s, &way, true, p.now), 1);
	l = &p.s->subflows[1]->loss;
	l->low = l->next = p.heard[1] = UINT32_MAX;
	for (int i = 0; i < 3; i++) {
		hear(&p);
		p.now += 2 * SEC;
		session_expire(p.s, p.now);
	}
	assert_true(p.heard[1] > UINT64_C(1) << 32);
	end(&p);
}

/* One hole more than there is room for. */
static void
what_was_refused_is_not_acknowledged(void **state)
{
	struct pair p;

	(void)state;
	begin_joined(&p);
	for (uint64_t i = 0; i <= REORDER_ISLANDS_MAX; i++)
		assert_int_equal(say_byte(&p, 1, 2 * i + 1), 1);
	hear(&p);
	assert_int_equal(p.frames[FRAME_ACK].ack.ranges[0].end, p.next[1] - 1);
	assert_int_equal(say_byte(&p, 1, 0), 1);
	assert_int_equal(say_byte(&p, 1, 2 * REORDER_ISLANDS_MAX + 1), 1);
	hear(&p);
	assert_int_equal(p.frames[FRAME_ACK].ack.ranges[0].end, p.next[1]);
	end(&p);
}

static void
write_some(struct pair *p, struct stream *st, size_t most)
{
	uint8_t *at;
	size_t len;

	while (most > 0 && (at = session_room(p->s, st, &len)) != NULL) {
		len = min_size(len, most);
		memset(at, 'x', len);
		session_written(p->s, st, len, p->now);
		most -= len;
	}
}

/* A wide window: nothing but the pace holds it back. */
static void
what_is_sent_keeps_the_pace(void **state)
{
	enum { RATE = 1000000, ELAPSED_MS = 20 };
	struct stream *st;
	struct subflow *sf;
	struct pair p;
	uint64_t before;

	(void)state;
	begin_active(&p);
	sf = p.s->subflows[1];
	st = new_stream(&p);
	write_some(&p, st, MEMORY);
	sf->cc.cwnd = MEMORY;
	sf->cc.pacing_rate = RATE;
	hear(&p);
	before = sf->sent;
	assert_true(st->out.sent < STREAM_HELD_MIN / 2);
	for (int i = 0; i < ELAPSED_MS; i++) {
		p.now += NS_PER_MS;
		hear(&p);
	}
	assert_in_range(sf->sent - before, RATE * ELAPSED_MS / 1000 - MTU_MAX,
			RATE * ELAPSED_MS / 1000 + MTU_MAX);
	end(&p);
}

static void
silence_gives_the_flight_to_others(void **state)
{
	const struct subflow *sf;
	struct stream *st;
	struct pair p;

	(void)state;
	begin_two(&p);
	st = new_stream(&p);
	write_some(&p, st, MEMORY);
	hear(&p);
	sf = subflow(&p);
	assert_non_null(loss_oldest(&sf->loss));
	assert_int_equal(st->out.lost.n, 0);
	acknowledge(&p, 2);
	p.now = subflow_doubt_at(sf);
	session_expire(p.s, p.now);
	assert_int_equal(sf->state, SUBFLOW_SUSPECT);
	assert_null(loss_oldest(&sf->loss));
	assert_true(st->out.lost.n > 0);
	p.now += SUBFLOW_DEAD_AFTER;
	session_expire(p.s, p.now);
	assert_int_equal(sf->state, SUBFLOW_DEAD);
	end(&p);
}

/* What is said within 10 ms. */
static void
hear_on(struct pair *p)
{
	for (int i = 0; i < 10; i++) {
		hear(p);
		p->now += NS_PER_MS;
	}
}

/* There and back by different ways is no round trip of either. */
static void
a_detour_is_no_round_trip(void **state)
{
	const struct subflow *sf;
	struct stream *st;
	struct pair p;

	(void)state;
	begin_two(&p);
	sf = session_subflow(p.s, 2);
	st = new_stream(&p);
	for (int i = 0; i < 2; i++) {
		p.now += 2 * SUBFLOW_DEAF;
		write_some(&p, st, ROOM * 20);
		hear(&p);
		assert_true(sf->loss.in_flight > 0);
		p.now += RTT / 3;
		acknowledge(&p, 1);
		acknowledge_via(&p, 1, 2);
		assert_int_equal(sf->loss.in_flight, 0);
		assert_int_equal(rtt_minimum(&sf->rtt), RTT);
		assert_int_equal(sf->cc.bbr.model.min_rtt, RTT);
	}
	end(&p);
}

/* But better than none, where the way back has died. */
static void
a_detour_counts_when_nothing_else_comes(void **state)
{
	const struct subflow *sf;
	struct stream *st;
	struct pair p;

	(void)state;
	begin_two(&p);
	sf = session_subflow(p.s, 2);
	st = new_stream(&p);
	for (ns_t span = 0; span <= SUBFLOW_DEAF + 2 * RTT; span += RTT / 3) {
		if (span <= SUBFLOW_DEAF)
			assert_int_equal(sf->cc.bbr.model.min_rtt, RTT);
		write_some(&p, st, ROOM * 2);
		hear(&p);
		p.now += RTT / 3;
		acknowledge(&p, 1);
		p.heard[2]--; /* something is always on its way */
		acknowledge_via(&p, 1, 2);
		p.heard[2]++;
	}
	assert_true(sf->cc.bbr.model.min_rtt < RTT);
	end(&p);
}

/* New data may take a slow way; what everything waits for does not. */
static void
what_was_lost_waits_for_the_fast_way(void **state)
{
	const struct chunk lost = {.len = MTU_MAX};
	struct subflow *fast, *slow;
	struct stream *st;
	struct pair p;
	uint64_t before;

	(void)state;
	begin_two(&p);
	fast = p.s->subflows[1];
	slow = p.s->subflows[2];
	slow->rtt.srtt = slow->rtt.min[0].value = 10 * RTT;
	st = new_stream(&p);
	write_some(&p, st, MEMORY);
	hear_on(&p);
	assert_false(subflow_has_room(fast));
	slow->cc.cwnd = MEMORY;
	before = slow->sent;
	p.now += NS_PER_MS;
	hear(&p);
	assert_true(slow->sent > before);

	sendbuf_lost(&st->out, &lost);
	before = slow->sent;
	slow->loss.app_limited_until = 0;
	p.now += NS_PER_MS;
	hear(&p);
	assert_int_equal(slow->sent, before);
	assert_int_equal(slow->loss.app_limited_until, 0);
	p.now += RTT;
	acknowledge(&p, 1);
	hear(&p);
	assert_int_equal(stream_lost(st), 0);
	assert_true(slow->sent > before);
	end(&p);
}

static void
a_young_stream_goes_first(void **state)
{
	struct stream *bulk, *young;
	struct subflow *sf;
	struct pair p;

	(void)state;
	begin_active(&p);
	sf = p.s->subflows[1];
	sf->cc.cwnd = MEMORY;
	sf->cc.pacing_rate = 2 * MEMORY;
	bulk = new_stream(&p);
	young = new_stream(&p);
	write_some(&p, bulk, MEMORY);
	hear_on(&p);
	write_some(&p, young, 100);
	hear(&p);
	assert_int_equal(young->out.sent, 100);
	assert_true(bulk->out.sent < bulk->out.end);
	end(&p);
}

static uint64_t
resent(const struct pair *p)
{
	struct session_stats st;

	session_stats_get(p->s, &st);
	return st.resent;
}

/* Where nothing follows that would show its loss. */
static void
a_tail_is_copied(void **state)
{
	enum { WHOLE = 64 * 1024, TAIL = 16 * 1024 };
	struct stream *stream;
	struct pair p;
	uint64_t before;

	(void)state;
	begin_two(&p);
	for (uint8_t id = 1; id <= 2; id++) {
		p.s->subflows[id]->cc.cwnd = MEMORY;
		p.s->subflows[id]->cc.pacing_rate = 10 * MEMORY;
	}
	stream = new_stream(&p);
	write_some(&p, stream, WHOLE - TAIL);
	hear_on(&p);
	assert_int_equal(stream->out.sent, WHOLE - TAIL);
	acknowledge(&p, 1);
	acknowledge(&p, 2);
	before = resent(&p);
	write_some(&p, stream, TAIL);
	session_end(p.s, stream);
	hear_on(&p);
	assert_int_equal(stream->out.sent, WHOLE);
	assert_int_equal(resent(&p) - before, TAIL);
	end(&p);
}

/* Its rate then says nothing of what it could do. */
static void
what_has_nothing_to_send_is_not_slow(void **state)
{
	struct stream *st;
	struct pair p;

	(void)state;
	begin_active(&p);
	hear(&p);
	assert_int_not_equal(subflow(&p)->loss.app_limited_until, 0);
	p.s->subflows[1]->loss.app_limited_until = 0;
	st = new_stream(&p);
	write_some(&p, st, MEMORY);
	hear(&p);
	assert_int_equal(subflow(&p)->loss.app_limited_until, 0);
	end(&p);
}

static void
what_returns_starts_slowly(void **state)
{
	const struct addr local = address(100);
	struct pair p;

	(void)state;
	begin_active(&p);
	session_subflow_down(p.s, 1, p.now);
	p.s->subflows[1]->cc.cwnd = MEMORY;
	session_subflow_up(p.s, 1, &local, p.now);
	hear(&p);
	assert_true(p.n[FRAME_PING] > 0);
	acknowledge(&p, 1);
	assert_int_equal(subflow(&p)->state, SUBFLOW_ACTIVE);
	assert_true(subflow(&p)->cc.cwnd < MEMORY / 10);
	end(&p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(server_wants_its_token),
		cmocka_unit_test(server_compares_the_confirmation),
		cmocka_unit_test(client_compares_the_reply),
		cmocka_unit_test(who_was_sent_away_does_not_join_again),
		cmocka_unit_test(joins_as_a_backup),
		cmocka_unit_test(the_last_word_on_a_tier_counts),
		cmocka_unit_test(a_lost_tier_is_said_again),
		cmocka_unit_test(an_address_is_proven_by_its_own_challenge),
		cmocka_unit_test(an_old_packet_moves_nothing),
		cmocka_unit_test(fastclose_wants_the_key),
		cmocka_unit_test(the_session_s_window_is_kept_to_the_byte),
		cmocka_unit_test(a_window_never_moves_back),
		cmocka_unit_test(counters_go_beyond_32_bits),
		cmocka_unit_test(what_was_refused_is_not_acknowledged),
		cmocka_unit_test(what_is_sent_keeps_the_pace),
		cmocka_unit_test(silence_gives_the_flight_to_others),
		cmocka_unit_test(a_detour_is_no_round_trip),
		cmocka_unit_test(a_detour_counts_when_nothing_else_comes),
		cmocka_unit_test(what_was_lost_waits_for_the_fast_way),
		cmocka_unit_test(a_young_stream_goes_first),
		cmocka_unit_test(a_tail_is_copied),
		cmocka_unit_test(what_has_nothing_to_send_is_not_slow),
		cmocka_unit_test(what_returns_starts_slowly),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
