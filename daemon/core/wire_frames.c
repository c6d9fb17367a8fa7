#include "daemon/core/wire_frames.h"

#include "common/bytes.h"

#include <string.h>

/* What all but ACK need of a frame; the rest is neither cleared nor copied. */
#define SMALL (offsetof(struct frame, addr) + sizeof(struct frame_addr))
_Static_assert(sizeof(struct frame_join) <= sizeof(struct frame_addr), "SMALL");
_Static_assert(sizeof(struct frame_open) <= sizeof(struct frame_addr), "SMALL");

/* Each field is named once, for both directions: one of the two is NULL. */
struct cursor {
	struct wire_reader *r;
	struct wire_writer *w;
};

static void
byte(struct cursor *c, uint8_t *v)
{
	if (c->r != NULL)
		*v = wire_get_byte(c->r);
	else
		wire_put_byte(c->w, *v);
}

static void
tier(struct cursor *c, uint8_t *v)
{
	byte(c, v);
	if (c->r != NULL && *v > FRAME_TIER_MAX)
		c->r->bad = true;
	assert(c->r != NULL || *v <= FRAME_TIER_MAX);
}

static void
word(struct cursor *c, uint32_t *v)
{
	if (c->r != NULL)
		*v = wire_get_word(c->r);
	else
		wire_put_word(c->w, *v);
}

static void
number(struct cursor *c, uint64_t *v)
{
	if (c->r != NULL)
		*v = wire_get_number(c->r);
	else
		wire_put_number(c->w, *v);
}

/* Bytes that a frame points to. */
static void
outside(struct cursor *c, const uint8_t **p, size_t len)
{
	if (c->r != NULL)
		*p = wire_get_bytes(c->r, len);
	else
		wire_put_bytes(c->w, *p, len);
}

/* Bytes that a frame has in itself. */
static void
inside(struct cursor *c, uint8_t *to, size_t len)
{
	const uint8_t *p = to;

	outside(c, &p, len);
	if (c->r != NULL && p != NULL)
		memcpy(to, p, len);
}

static void
address(struct cursor *c, struct addr *a)
{
	uint8_t version = a->family == AF_INET ? 4 : 6, port[2];

	assert(c->r != NULL || a->family == AF_INET || a->family == AF_INET6);
	byte(c, &version);
	if (c->r != NULL && version != 4 && version != 6)
		c->r->bad = true;
	a->family = version == 4 ? AF_INET : AF_INET6;
	inside(c, a->ip, version == 4 ? 4 : 16);
	put_be16(port, a->port);
	inside(c, port, sizeof(port));
	a->port = get_be16(port);
}

static void
request(struct cursor *c, struct frame_open *open)
{
	uint64_t len = open->len;

	number(c, &open->stream);
	if (c->r != NULL)
		len = wire_get_within(c->r, 1, FRAME_REQUEST_MAX);
	else
		wire_put_number(c->w, len);
	assert(c->r != NULL || (len >= 1 && len <= FRAME_REQUEST_MAX));
	open->len = len;
	outside(c, &open->request, len);
}

static void
joiner(struct cursor *c, struct frame_join *j)
{
	inside(c, j->nonce, sizeof(j->nonce));
	byte(c, &j->addr_id);
	tier(c, &j->tier);
}

static void
announced(struct cursor *c, uint8_t type, struct frame_addr *a)
{
	byte(c, &a->id);
	if (type != FRAME_REMOVE_ADDR)
		address(c, &a->addr);
	if (type == FRAME_ADD_ADDR)
		inside(c, a->hmac, sizeof(a->hmac));
}

static void
fields(struct cursor *c, struct frame *f)
{
	switch (f->type) {
	case FRAME_OPEN: request(c, &f->open); break;
	case FRAME_OPENED:
		number(c, &f->opened.stream);
		byte(c, &f->opened.status);
		break;
	case FRAME_RESET:
		number(c, &f->reset.stream);
		byte(c, &f->reset.code);
		number(c, &f->reset.final);
		break;
	case FRAME_STREAM_MAX:
		number(c, &f->max.stream);
		number(c, &f->max.max);
		break;
	case FRAME_SESSION_MAX: number(c, &f->max.max); break;
	case FRAME_JOIN:
		word(c, &f->join.token);
		joiner(c, &f->join);
		break;
	case FRAME_JOIN_REPLY:
		joiner(c, &f->join);
		inside(c, f->join.hmac, 8);
		break;
	case FRAME_JOIN_CONFIRM: inside(c, f->join.hmac, 20); break;
	case FRAME_PRIO:
		number(c, &f->prio.seq);
		byte(c, &f->prio.subflow);
		tier(c, &f->prio.tier);
		break;
	case FRAME_ADD_ADDR:
	case FRAME_ADD_ADDR_ECHO:
	case FRAME_REMOVE_ADDR: announced(c, f->type, &f->addr); break;
	case FRAME_FASTCLOSE: inside(c, f->key, sizeof(f->key)); break;
	case FRAME_SUBFLOW_RESET:
		byte(c, &f->end.subflow);
		byte(c, &f->end.code);
		break;
	case FRAME_CLOSE: byte(c, &f->code); break;
	case FRAME_CHALLENGE:
	case FRAME_RESPONSE: inside(c, f->data, sizeof(f->data)); break;
	case FRAME_REKEY: outside(c, &f->message, FRAME_HANDSHAKE_LEN); break;
	default: assert(f->type == FRAME_PING || f->type == FRAME_REKEY_ASK);
	}
}

void
wire_frames_get(struct wire_reader *r, uint8_t type, struct frame *ret_frame)
{
	struct cursor c = {.r = r};
	struct frame f;

	memset(&f, 0, SMALL);
	f.type = type;
	fields(&c, &f);
	if (!r->bad)
		memcpy(ret_frame, &f, SMALL);
}

void
wire_frames_put(struct wire_writer *w, const struct frame *f)
{
	struct cursor c = {.w = w};
	struct frame copy;

	memcpy(&copy, f, SMALL);
	wire_put_byte(w, f->type);
	fields(&c, &copy);
}
