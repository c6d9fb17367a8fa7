#include "tests/unit/script.h"

#include "daemon/core/acks.h"
#include "daemon/core/loss.h"
#include "daemon/core/store.h"
#include "daemon/core/stream.h"

uint8_t
script_byte(struct script *sc)
{
	return sc->at < sc->end ? *sc->at++ : 0;
}

uint64_t
script_number(struct script *sc)
{
	static const uint64_t edges[] = {
		STREAM_WINDOW_MIN - 1,
		STREAM_WINDOW_MIN,
		STREAM_WINDOW_MIN + 1,
		STREAM_WINDOW_MAX,
		STREAM_WINDOW_MAX,
		STORE_BLOCK - 1,
		STORE_BLOCK,
		UINT64_C(1) << 32,
		UINT32_MAX,
		INT32_MAX,
		UINT64_C(1) << 61,
		WIRE_NUMBER_MAX,
		LOSS_PACKETS_MAX,
		ACKS_WINDOW,
		65535,
		65536,
	};
	uint8_t b = script_byte(sc), low = b & 63;

	switch (b >> 6) {
	case 0: return low;
	case 1: return (uint64_t)script_byte(sc) << low & WIRE_NUMBER_MAX;
	case 2: return edges[low % ARRAY_LEN(edges)];
	default: return WIRE_NUMBER_MAX - low;
	}
}
