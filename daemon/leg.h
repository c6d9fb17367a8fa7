/*
 * leg - one kernel MPTCP connection between the daemons, and its records.
 *
 * Model:   bytes are read into a scratch buffer that all legs share, opened
 *          there in place, and looked at before the next leg is read; only
 *          the start of a record whose end has not come is kept with the leg.
 *          What the kernel does not take at once waits in `out`.
 *
 *	socket --leg_fill()--> scratch --leg_next()--> records
 *	                          '------leg_keep()--> leg->in
 *	leg_send(), leg_write() --> socket, the rest --> leg->out
 *
 *          One direction may turn plain: then leg_rest() gives what was read
 *          behind the PLAIN record, and the owner uses the socket itself.
 * Bounds:  `in` holds less than one record; `out` what one call was given.
 * Owner:   the embedding stream or heartbeat; leg_done() closes the socket.
 * Errors:  0 or -errno; after an error the leg can only be reset.
 */
#ifndef DAEMON_LEG_H
#define DAEMON_LEG_H

#include "common/base.h"
#include "daemon/core/record.h"
#include "daemon/io/loop.h"

enum {
	SCRATCH_RECORDS = 8,
	/* What one read may bring, and one batch of sealed records may take. */
	SCRATCH_SIZE = SCRATCH_RECORDS * RECORD_LEN_MAX,

	LEG_HEADER = 4, /* type byte of a stream header */
	LEG_HEADER_LEN = 12,
	LEG_HELLO_LEN = 10,
	LEG_SEND_MAX = 1024, /* payload of one leg_send() */
};

/* What a leg is for: the first byte of HELLO. */
enum leg_kind { LEG_STREAM = 1, LEG_HEARTBEAT = 2 };

/* Session index and stream number: what a leg's keys are found by. */
struct leg_header {
	uint32_t session_index; /* 24 bits */
	uint64_t number;
};

struct leg_hello {
	enum leg_kind kind;
	uint8_t boot_id[8]; /* of the client: the same until it restarts */
	uint8_t uplink;     /* id of the first subflow's uplink */
};

struct scratch {
	uint8_t in[SCRATCH_SIZE];
	size_t in_off, in_len;
	uint8_t out[SCRATCH_SIZE];
};

struct leg {
	int fd; /* -1: none */
	struct watch watch;
	struct record_key seal, open;
	uint8_t *in;
	size_t in_len;
	uint8_t *out;
	size_t out_off, out_len;
};

void leg_init(struct leg *l);
/* Takes over `fd`; nothing is wanted from it yet. */
int leg_start(struct leg *l, struct loop *loop, int fd,
	      void (*on_ready)(void *arg, int what), void *arg) MUST_CHECK;
/* Both directions' keys from a session's stream secret. */
int leg_set_keys(struct leg *l, enum aead_alg alg, const uint8_t *stream_secret,
		 uint64_t number, bool client) MUST_CHECK;
/* Closes with FIN, or with RST where `reset`; wipes the keys. */
void leg_done(struct leg *l, bool reset);

void leg_header_write(const struct leg_header *h, uint8_t ret_bytes[LEG_HEADER_LEN]);
int leg_header_read(const uint8_t bytes[LEG_HEADER_LEN],
		    struct leg_header *ret_header) MUST_CHECK;
void leg_hello_write(const struct leg_hello *h, uint8_t ret_bytes[LEG_HELLO_LEN]);
int leg_hello_read(const struct record *r, struct leg_hello *ret_hello) MUST_CHECK;

/*
 * Reads at most `budget` bytes behind what the leg has kept. -EAGAIN: nothing
 * there. -ECONNABORTED: the peer closed. What was kept stays kept on error.
 */
int leg_fill(struct leg *l, struct scratch *sc, size_t budget) MUST_CHECK;
/* The next whole record in the scratch. -EAGAIN: none; else as record_open(). */
int leg_next(struct leg *l, struct scratch *sc, struct record *ret_rec) MUST_CHECK;
/* What is left in the scratch, which is then empty: plain bytes after PLAIN. */
size_t leg_rest(struct scratch *sc, uint8_t **ret_bytes);
/* Keeps what is left in the scratch for the next leg_fill(). -ENOMEM. */
int leg_keep(struct leg *l, struct scratch *sc) MUST_CHECK;

/* Puts what was kept into the scratch, without reading. */
void leg_unkeep(struct leg *l, struct scratch *sc);

/* Seals and sends one small record; `len` at most LEG_SEND_MAX. */
int leg_send(struct leg *l, enum record_type type, const void *payload,
	     size_t len) MUST_CHECK;
/* Sends bytes that are sealed already, or plain. */
int leg_write(struct leg *l, const uint8_t *bytes, size_t len) MUST_CHECK;
/* The socket is writable: sends what waits. */
int leg_flush(struct leg *l) MUST_CHECK;
bool leg_is_flushed(const struct leg *l);

#endif
