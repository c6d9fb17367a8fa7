#include "daemon/strangers.h"

#include "common/bytes.h"
#include "daemon/core/wire.h"
#include "daemon/io/carrier.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	/* The larger of an initiation and a header with its first record. */
	STRANGER_BUFFER = LEG_HEADER_LEN + RECORD_OVERHEAD + RECORD_FIRST_MAX,
	DATAGRAMS_AT = 1, /* behind WIRE_OVER_TCP */
};

struct stranger {
	struct list node;   /* of all, oldest first */
	struct list bucket; /* of those whose source has the same hash */
	struct mptcp_server *server;
	struct addr remote, source; /* source: ratelimit_source() */
	struct leg leg;
	ns_t since;
	bool ignored; /* answered, or wrong: read and dropped */
	size_t have;
	uint8_t buf[STRANGER_BUFFER];
};

static_assert((int)HANDSHAKE_LEN <= (int)STRANGER_BUFFER, "an initiation fits");
static_assert(DATAGRAMS_AT + (int)CARRIER_LENGTH_LEN + (int)CARRIER_DATAGRAM_MAX <=
		      (int)STRANGER_BUFFER,
	      "a datagram fits");

static void
bury(struct deferred *d)
{
	struct mptcp_server *sv = container_of(d, struct mptcp_server, bury);

	list_for_each_safe (it, &sv->strangers_gone) {
		list_remove(it);
		free(list_entry(it, struct stranger, node));
	}
}

static void
stranger_end(struct stranger *st)
{
	struct mptcp_server *sv = st->server;

	leg_done(&st->leg, false);
	list_remove(&st->bucket);
	list_remove(&st->node);
	list_append(&sv->strangers_gone, &st->node);
	sv->n_strangers--;
	loop_defer(sv->loop, &sv->bury, bury);
}

static void
ignore(struct stranger *st)
{
	if (!st->ignored)
		st->server->mptcp.base.counters.strangers++;
	st->ignored = true;
}

static void
take_initiation(struct stranger *st)
{
	struct mptcp_server *sv = st->server;
	ns_t now = loop_now(sv->loop);
	uint8_t answer[HANDSHAKE_LEN];
	int err;

	if (st->have < HANDSHAKE_LEN)
		return;
	err = mptcp_peers_answer(&sv->peers, &st->source, st->buf, st->have, now,
				 answer);
	if (err < 0 && err != -EPROTONOSUPPORT) {
		ignore(st);
		return;
	}
	if (err == 0)
		sv->mptcp.base.counters.handshakes++;
	st->ignored = true;
	/* A fresh socket takes a few hundred bytes whole; if not, it is over. */
	if (send(st->leg.fd, answer, sizeof(answer), MSG_NOSIGNAL) != sizeof(answer))
		stranger_end(st);
}

/* The connection has another owner, who watches it already. */
static void
let_go(struct stranger *st)
{
	watch_done(&st->leg.watch);
	leg_init(&st->leg);
	stranger_end(st);
}

/* HELLO has opened: the leg changes hands, with what was read behind it. */
static int
hand_over(struct stranger *st, const struct mptcp_peers_keys *keys, uint64_t number,
	  const struct leg_hello *hello, size_t used)
{
	struct mptcp_server *sv = st->server;
	struct server_session *ss = keys->session;
	struct leg leg = st->leg;
	size_t rest = st->have - used;
	int restarted = 0;
	bool is_free;

	if (rest > 0) {
		leg.in = malloc(rest);
		if (leg.in == NULL)
			return -ENOMEM;
		memcpy(leg.in, st->buf + used, rest);
		leg.in_len = rest;
	}
	if (ss == NULL)
		restarted = mptcp_peers_confirm(&sv->peers, keys->pending,
						hello->boot_id, &ss);
	if (restarted < 0) {
		free(leg.in);
		return restarted;
	}
	is_free = numbers_mark(&ss->numbers, number);
	assert(is_free); /* it was when the keys were found */
	watch_done(&leg.watch);
	leg_init(&st->leg);
	stranger_end(st);
	if (restarted > 0)
		mptcp_server_peer_restarted(sv, ss->peer);
	mptcp_server_admit(sv, ss->peer, &leg, hello, number);
	return 0;
}

/* As its header has it, or the most it may be: then it is refused. */
static size_t
first_record_len(const struct stranger *st)
{
	const size_t most = RECORD_OVERHEAD + RECORD_FIRST_MAX;

	return min_size(2u + get_be16(st->buf + LEG_HEADER_LEN), most);
}

static int
take_header(struct stranger *st)
{
	struct mptcp_peers_keys keys;
	struct leg_header header;
	struct leg_hello hello;
	struct record r;
	size_t used;
	int err;

	/* Keys cost more than bytes: they are made once, for the whole record. */
	if (st->have < LEG_HEADER_LEN + RECORD_HEADER_LEN)
		return 0;
	if (st->have < LEG_HEADER_LEN + first_record_len(st))
		return 0;
	err = leg_header_read(st->buf, &header);
	if (err == 0)
		err = mptcp_peers_find_keys(&st->server->peers, header.session_index,
					    header.number, &keys);
	if (err == 0)
		err = leg_set_keys(&st->leg, keys.alg, keys.stream_secret,
				   header.number, false);
	if (err < 0)
		return err;
	err = record_open(&st->leg.open, st->buf + LEG_HEADER_LEN,
			  st->have - LEG_HEADER_LEN, RECORD_FIRST_MAX, &r, &used);
	if (err == 0)
		err = leg_hello_read(&r, &hello);
	if (err == 0)
		err = hand_over(st, &keys, header.number, &hello,
				LEG_HEADER_LEN + used);
	if (err < 0) {
		record_key_done(&st->leg.open);
		record_key_done(&st->leg.seal);
	}
	return err;
}

/* The length of the first datagram in the buffer; 0: it is not all there.
 * -EPROTO: it is no length. */
static int
first_datagram(const struct stranger *st)
{
	int len;

	if (st->have < DATAGRAMS_AT + CARRIER_LENGTH_LEN)
		return 0;
	len = get_be16(st->buf + DATAGRAMS_AT);
	if (len == 0 || len > CARRIER_DATAGRAM_MAX)
		return -EPROTO;
	return st->have < DATAGRAMS_AT + CARRIER_LENGTH_LEN + (size_t)len ? 0 : len;
}

static bool
reply(struct stranger *st, const struct door_knock *k)
{
	uint8_t out[CARRIER_LENGTH_LEN + HANDSHAKE_LEN];
	size_t len = CARRIER_LENGTH_LEN + k->reply_len;

	put_be16(out, (uint16_t)k->reply_len);
	memcpy(out + CARRIER_LENGTH_LEN, k->reply, k->reply_len);
	return send(st->leg.fd, out, len, MSG_NOSIGNAL) == (ssize_t)len;
}

/* Datagrams of the udp transport, one by one. Those that are wrong are as good as
 * lost, as they would be over UDP; a length that is not one is a stranger's. */
static void
take_datagrams(struct stranger *st)
{
	const struct door *door = st->server->door;
	int len;

	while ((len = first_datagram(st)) > 0) {
		uint8_t *data = st->buf + DATAGRAMS_AT + CARRIER_LENGTH_LEN;
		size_t end = DATAGRAMS_AT + CARRIER_LENGTH_LEN + (size_t)len;
		struct door_knock k = {
			.fd = st->leg.fd,
			.remote = st->remote,
			.data = data,
			.len = (size_t)len,
			.rest = st->buf + end,
			.rest_len = st->have - end,
		};
		enum door_verdict v = door->knock(door->arg, &k);

		if (v == DOOR_TAKEN) {
			let_go(st);
			return;
		}
		if (v == DOOR_REPLY && !reply(st, &k)) {
			stranger_end(st);
			return;
		}
		st->have = DATAGRAMS_AT + k.rest_len;
		memmove(st->buf + DATAGRAMS_AT, k.rest, k.rest_len);
	}
	if (len < 0)
		ignore(st);
}

static void
look(struct stranger *st)
{
	switch (st->buf[0]) {
	case HANDSHAKE_INITIATION: take_initiation(st); return;
	case LEG_HEADER:
		if (take_header(st) < 0)
			ignore(st);
		return;
	case WIRE_OVER_TCP:
		if (st->server->door != NULL)
			take_datagrams(st);
		else
			ignore(st);
		return;
	default: ignore(st);
	}
}

static void
on_ready(void *arg, int what)
{
	struct stranger *st = arg;
	ssize_t n;

	(void)what;
	if (st->ignored)
		st->have = 0;
	if (st->have == sizeof(st->buf)) {
		ignore(st);
		return;
	}
	n = recv(st->leg.fd, st->buf + st->have, sizeof(st->buf) - st->have, 0);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		stranger_end(st);
		return;
	}
	st->have += (size_t)n;
	if (!st->ignored)
		look(st);
}

static struct list *
bucket_of(struct mptcp_server *sv, const struct addr *source)
{
	uint32_t hash = source->family;

	for (size_t i = 0; i < sizeof(source->ip); i++)
		hash = (hash ^ source->ip[i]) * 16777619u;
	return &sv->buckets[(hash >> 10) % SOURCE_BUCKETS];
}

/* Makes room where the source, or the whole, has as many as it may. */
static void
make_room(struct mptcp_server *sv, struct list *bucket, const struct addr *source)
{
	struct stranger *oldest = NULL;
	unsigned same = 0;

	list_for_each (it, bucket) {
		struct stranger *st = list_entry(it, struct stranger, bucket);

		if (!addr_same_ip(&st->source, source))
			continue;
		if (oldest == NULL)
			oldest = st;
		same++;
	}
	if (same < HALF_OPEN_PER_SOURCE)
		oldest = NULL;
	if (oldest == NULL && sv->n_strangers >= sv->strangers_max)
		oldest = list_entry(sv->strangers.next, struct stranger, node);
	if (oldest != NULL) {
		ignore(oldest);
		stranger_end(oldest);
	}
}

void
strangers_take(struct mptcp_server *sv, int fd, const struct addr *remote)
{
	struct stranger *st = calloc(1, sizeof(*st));
	struct list *bucket;

	if (st == NULL) {
		close(fd);
		return;
	}
	st->server = sv;
	st->since = loop_now(sv->loop);
	st->remote = *remote;
	st->source = ratelimit_source(remote);
	leg_init(&st->leg);
	if (leg_start(&st->leg, sv->loop, fd, on_ready, st) < 0) {
		close(fd);
		free(st);
		return;
	}
	bucket = bucket_of(sv, &st->source);
	make_room(sv, bucket, &st->source);
	list_append(bucket, &st->bucket);
	list_append(&sv->strangers, &st->node);
	sv->n_strangers++;
	watch_want(&st->leg.watch, LOOP_READ);
}

void
strangers_expire(struct mptcp_server *sv)
{
	ns_t now = loop_now(sv->loop);

	while (!list_empty(&sv->strangers)) {
		struct stranger *st =
			list_entry(sv->strangers.next, struct stranger, node);

		if (now - st->since < HALF_OPEN_LIFE)
			return;
		ignore(st);
		stranger_end(st);
	}
}

void
strangers_end_all(struct mptcp_server *sv)
{
	while (!list_empty(&sv->strangers))
		stranger_end(list_entry(sv->strangers.next, struct stranger, node));
	loop_undefer(&sv->bury);
	bury(&sv->bury);
}
