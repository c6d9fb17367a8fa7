#include "tests/unit/frames.h"

#include <string.h>

static bool
same_ack(const struct frame_ack *a, const struct frame_ack *b)
{
	return a->subflow == b->subflow && a->received_at == b->received_at &&
	       a->delay == b->delay && a->n_ranges == b->n_ranges &&
	       memcmp(a->ranges, b->ranges, a->n_ranges * sizeof(a->ranges[0])) == 0;
}

static bool
same_bytes(const uint8_t *a, size_t a_len, const uint8_t *b, size_t b_len)
{
	return a_len == b_len && (a_len == 0 || memcmp(a, b, a_len) == 0);
}

static bool
same_stream(const struct frame_stream *a, const struct frame_stream *b)
{
	return a->stream == b->stream && a->off == b->off && a->fin == b->fin &&
	       a->to_end == b->to_end && same_bytes(a->data, a->len, b->data, b->len);
}

static bool
same_join(uint8_t type, const struct frame_join *a, const struct frame_join *b)
{
	size_t hmac_len = type == FRAME_JOIN ? 0 : type == FRAME_JOIN_REPLY ? 8 : 20;

	if (type == FRAME_JOIN && a->token != b->token)
		return false;
	if (type != FRAME_JOIN_CONFIRM &&
	    (memcmp(a->nonce, b->nonce, sizeof(a->nonce)) != 0 ||
	     a->addr_id != b->addr_id || a->tier != b->tier))
		return false;
	return memcmp(a->hmac, b->hmac, hmac_len) == 0;
}

static bool
same_addr(uint8_t type, const struct frame_addr *a, const struct frame_addr *b)
{
	if (a->id != b->id)
		return false;
	if (type != FRAME_REMOVE_ADDR && !addr_equal(&a->addr, &b->addr))
		return false;
	return type != FRAME_ADD_ADDR || memcmp(a->hmac, b->hmac, sizeof(a->hmac)) == 0;
}

bool
frames_same(const struct frame *a, const struct frame *b)
{
	if (a->type != b->type)
		return false;
	switch (a->type) {
	case FRAME_PADDING:
	case FRAME_PING:
	case FRAME_REKEY_ASK: return true;
	case FRAME_ACK: return same_ack(&a->ack, &b->ack);
	case FRAME_STREAM: return same_stream(&a->stream, &b->stream);
	case FRAME_OPEN:
		return a->open.stream == b->open.stream &&
		       same_bytes(a->open.request, a->open.len, b->open.request,
				  b->open.len);
	case FRAME_OPENED:
		return a->opened.stream == b->opened.stream &&
		       a->opened.status == b->opened.status;
	case FRAME_RESET:
		return a->reset.stream == b->reset.stream &&
		       a->reset.code == b->reset.code &&
		       a->reset.final == b->reset.final;
	case FRAME_STREAM_MAX:
	case FRAME_SESSION_MAX:
		return a->max.stream == b->max.stream && a->max.max == b->max.max;
	case FRAME_JOIN:
	case FRAME_JOIN_REPLY:
	case FRAME_JOIN_CONFIRM: return same_join(a->type, &a->join, &b->join);
	case FRAME_PRIO:
		return a->prio.seq == b->prio.seq &&
		       a->prio.subflow == b->prio.subflow &&
		       a->prio.tier == b->prio.tier;
	case FRAME_ADD_ADDR:
	case FRAME_ADD_ADDR_ECHO:
	case FRAME_REMOVE_ADDR: return same_addr(a->type, &a->addr, &b->addr);
	case FRAME_FASTCLOSE: return memcmp(a->key, b->key, sizeof(a->key)) == 0;
	case FRAME_SUBFLOW_RESET:
		return a->end.subflow == b->end.subflow && a->end.code == b->end.code;
	case FRAME_CLOSE: return a->code == b->code;
	case FRAME_CHALLENGE:
	case FRAME_RESPONSE: return memcmp(a->data, b->data, sizeof(a->data)) == 0;
	case FRAME_REKEY:
		return memcmp(a->message, b->message, FRAME_HANDSHAKE_LEN) == 0;
	default: return false;
	}
}
