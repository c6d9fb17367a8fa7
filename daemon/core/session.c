#include "daemon/core/join.h"
#include "daemon/core/session_parts.h"

#include <stdlib.h>
#include <string.h>

/* Life */

static int
take_keys(struct session *s, const struct handshake_keys *keys, ns_t now)
{
	bool client = s->cfg.role == SESSION_CLIENT;
	int err;

	memcpy(s->key_a, keys->key_a, sizeof(s->key_a));
	memcpy(s->key_b, keys->key_b, sizeof(s->key_b));
	err = join_token(s->key_a, client ? &s->token_local : &s->token_peer);
	if (err == 0)
		err = join_token(s->key_b, client ? &s->token_peer : &s->token_local);
	if (err == 0)
		err = rekey_init(&s->rekey, &s->cfg.rekey, client, s->cfg.aead, keys,
				 now);
	return err;
}

struct session *
session_new(const struct session_settings *cfg, const struct handshake_keys *keys,
	    const uint8_t seed[CRYPTO_KEY_LEN], ns_t now)
{
	struct session *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->cfg = *cfg;
	s->next_subflow = 1;
	s->next_stream = 1;
	s->wake_at = NS_NEVER;
	for (size_t i = 0; i < STREAM_BUCKETS; i++)
		list_init(&s->streams[i]);
	list_init(&s->young);
	list_init(&s->bulk);
	list_init(&s->talk);
	list_init(&s->told);
	list_init(&s->hungry);
	s->held_out.max = cfg->memory;
	s->held_in.max = cfg->memory;
	s->held_out.spare_max = s->held_in.spare_max = SPARE_BLOCKS;
	/* Half: blocks are charged whole, and holes lie between them. */
	s->in_limit = cfg->memory / 2;
	s->out_limit = STREAM_WINDOW_MIN;
	s->tell_session_max = true;
	if (cfg->role == SESSION_SERVER)
		s->seen = calloc(1, sizeof(*s->seen));
	if ((cfg->role == SESSION_SERVER && s->seen == NULL) ||
	    prng_init(&s->rng, seed) < 0 ||
	    prng_bytes(&s->rng, &s->salt, sizeof(s->salt)) < 0 ||
	    take_keys(s, keys, now) < 0) {
		session_free(s);
		return NULL;
	}
	s->salt |= 1;
	return s;
}

void
session_free(struct session *s)
{
	if (s == NULL)
		return;
	for (size_t i = 0; i < STREAM_BUCKETS; i++) {
		list_for_each_safe (it, &s->streams[i])
			stream_free(list_entry(it, struct stream, by_id));
	}
	for (size_t i = 0; i < SESSION_SUBFLOWS_MAX; i++)
		subflow_free(s->subflows[i]);
	rekey_done(&s->rekey);
	budget_done(&s->held_out);
	budget_done(&s->held_in);
	prng_done(&s->rng);
	free(s->seen);
	crypto_wipe(s, sizeof(*s));
	free(s);
}

/* Streams */

/* Salted: a peer chooses its ids. */
static struct list *
bucket(const struct session *s, uint64_t id)
{
	return (struct list *)&s->streams[(id * s->salt) >> 54];
}

struct stream *
session_find_stream(const struct session *s, uint64_t id)
{
	list_for_each (it, bucket(s, id)) {
		struct stream *st = list_entry(it, struct stream, by_id);

		if (st->id == id)
			return st;
	}
	return NULL;
}

static struct stream *
add_stream(struct session *s, uint64_t id)
{
	struct stream *st;

	if (s->n_streams >= s->cfg.max_streams)
		return NULL;
	st = stream_new(id, &s->held_out, &s->held_in);
	if (st == NULL)
		return NULL;
	list_append(bucket(s, id), &st->by_id);
	s->n_streams++;
	return st;
}

struct stream *
session_new_stream(struct session *s, uint64_t id)
{
	struct stream *st;

	if (s->cfg.role != SESSION_SERVER || !numbers_is_free(s->seen, id))
		return NULL;
	st = add_stream(s, id);
	if (st != NULL && !numbers_mark(s->seen, id)) {
		stream_free(st);
		s->n_streams--;
		return NULL;
	}
	return st;
}

bool
session_is_past(const struct session *s, uint64_t id)
{
	return s->cfg.role == SESSION_CLIENT || !numbers_is_free(s->seen, id);
}

struct stream *
session_open(struct session *s, const uint8_t *request, size_t len, void *user)
{
	struct stream *st;

	assert(s->cfg.role == SESSION_CLIENT && len > 0 && len <= FRAME_REQUEST_MAX);
	st = add_stream(s, s->next_stream);
	if (st == NULL)
		return NULL;
	st->request = malloc(len);
	if (st->request == NULL) {
		stream_free(st);
		s->n_streams--;
		return NULL;
	}
	memcpy(st->request, request, len);
	st->request_len = (uint16_t)len;
	st->user = user;
	s->next_stream++;
	session_say(s, st, STREAM_OPEN);
	return st;
}

void
session_answer(struct session *s, struct stream *st, uint8_t status)
{
	st->status = status;
	free(st->request);
	st->request = NULL;
	session_say(s, st, STREAM_OPENED);
}

void
session_say(struct session *s, struct stream *st, uint8_t word)
{
	st->words |= word;
	if (list_empty(&st->talk))
		list_append(&s->talk, &st->talk);
}

void
session_tell(struct session *s, struct stream *st, uint8_t news)
{
	if (st->released)
		return;
	st->news |= news;
	if (list_empty(&st->told))
		list_append(&s->told, &st->told);
}

bool
session_next_event(struct session *s, struct session_event *ret_event)
{
	struct stream *st;

	if (list_empty(&s->told))
		return false;
	st = list_entry(s->told.next, struct stream, told);
	list_remove(&st->told);
	ret_event->stream = st;
	ret_event->news = st->news;
	st->news = 0;
	return true;
}

uint64_t
session_credit(const struct session *s)
{
	return s->out_limit > s->out_total ? s->out_limit - s->out_total : 0;
}

void
session_turn(struct session *s, struct stream *st)
{
	bool wants = !st->reset && stream_has_data(st, session_credit(s));

	if (!wants || st->young != (st->burst < STREAM_YOUNG)) {
		list_remove(&st->turn);
		st->young = st->burst < STREAM_YOUNG;
	}
	if (wants && list_empty(&st->turn))
		list_append(st->young ? &s->young : &s->bulk, &st->turn);
}

/* Bytes taken from its user beyond what can soon be sent would only wait here. */
static uint64_t
held_limit(const struct session *s)
{
	uint64_t rate = 0;

	session_for_each (sf, s) {
		if (sf->state == SUBFLOW_ACTIVE)
			rate += subflow_bandwidth(sf);
	}
	return max_u64(STREAM_HELD_MIN,
		       rate / 1000 * (uint64_t)(session_slowest_rtt(s) / NS_PER_MS) *
			       5 / 4 / s->n_streams);
}

void
session_turn_all(struct session *s)
{
	for (size_t i = 0; i < STREAM_BUCKETS; i++) {
		list_for_each (it, &s->streams[i])
			session_turn(s, list_entry(it, struct stream, by_id));
	}
}

uint8_t *
session_room(struct session *s, struct stream *st, size_t *ret_len)
{
	uint8_t *at;

	st->starved = true;
	*ret_len = 0;
	if (st->out.fin || st->reset || stream_backlog(st) >= held_limit(s))
		return NULL;
	if (sendbuf_room(&st->out, &at, ret_len) < 0) {
		if (list_empty(&st->hungry))
			list_append(&s->hungry, &st->hungry);
		return NULL;
	}
	st->starved = false;
	return at;
}

void
session_written(struct session *s, struct stream *st, size_t len, ns_t now)
{
	(void)now;
	if (st->out.una == st->out.end)
		st->burst = 0;
	sendbuf_commit(&st->out, len);
	session_turn(s, st);
}

void
session_end(struct session *s, struct stream *st)
{
	sendbuf_end(&st->out);
	session_turn(s, st);
}

const uint8_t *
session_readable(const struct stream *st, size_t *ret_len)
{
	return reorder_readable(&st->in, ret_len);
}

/* The window of all streams follows what they consume. */
static void
grant(struct session *s, uint64_t len)
{
	uint64_t window = s->cfg.memory / 2;

	s->in_consumed += len;
	if (s->in_limit - s->in_consumed > window * 3 / 4)
		return;
	s->in_limit = s->in_consumed + window;
	s->tell_session_max = true;
}

void
session_consumed(struct session *s, struct stream *st, size_t len, ns_t now)
{
	if (stream_consumed(st, len, session_slowest_rtt(s), now))
		session_say(s, st, STREAM_MAX);
	grant(s, len);
	session_reap(s, st);
}

void
session_give_up_input(struct session *s, struct stream *st)
{
	grant(s, st->counted - min_u64(st->in.read, st->counted));
	st->counted = st->in.read;
}

void
session_reset(struct session *s, struct stream *st, uint8_t code)
{
	if (st->reset)
		return;
	st->reset = true;
	st->reset_code = code;
	st->words = 0;
	session_say(s, st, STREAM_RESET);
	session_turn(s, st);
}

void
session_release(struct session *s, struct stream *st)
{
	st->released = true;
	st->user = NULL;
	list_remove(&st->told);
	session_reap(s, st);
}

void
session_reap(struct session *s, struct stream *st)
{
	if (!stream_is_over(st))
		return;
	session_give_up_input(s, st);
	stream_free(st);
	s->n_streams--;
	session_feed(s);
}

void
session_feed(struct session *s)
{
	while (!list_empty(&s->hungry) &&
	       s->held_out.used + FEED_BLOCKS * STORE_BLOCK <= s->held_out.max) {
		struct stream *st = list_entry(s->hungry.next, struct stream, hungry);

		list_remove(&st->hungry);
		session_tell(s, st, STREAM_NEWS_WRITABLE);
	}
}

/* Time */

bool
session_is_over(const struct session *s)
{
	return s->broken || s->closed;
}

ns_t
session_deadline(const struct session *s)
{
	ns_t at = min_ns(s->wake_at, rekey_deadline(&s->rekey));

	if (session_is_over(s))
		return NS_NEVER;
	at = min_ns(at, session_addrs_deadline(s));
	session_for_each (sf, s)
		at = min_ns(at, subflow_deadline(sf));
	return at;
}

void
session_expire(struct session *s, ns_t now)
{
	session_for_each (sf, s) {
		if (sf->loss.loss_at <= now) {
			struct loss_sample sample = {.now = now};

			loss_detect(&sf->loss, &sf->rtt, now, &sample);
			session_sampled(s, sf, &sample, now);
		}
		session_check_health(s, sf, now);
	}
	session_addrs_expire(s, now);
	if (rekey_expire(&s->rekey, &s->rng, now))
		session_say_rekey(s);
}

void
session_stats_get(const struct session *s, struct session_stats *ret_stats)
{
	*ret_stats = s->stats;
	ret_stats->held_out = s->held_out.used;
	ret_stats->held_in = s->held_in.used;
	ret_stats->streams = s->n_streams;
	ret_stats->rekeys = s->rekey.turns;
	ret_stats->subflows_active = 0;
	session_for_each (sf, s)
		ret_stats->subflows_active += sf->state == SUBFLOW_ACTIVE;
}

const struct subflow *
session_subflow(const struct session *s, uint8_t id)
{
	return id < SESSION_SUBFLOWS_MAX ? s->subflows[id] : NULL;
}
