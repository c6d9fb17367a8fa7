/*
 * fuzz_socks5 - however the bytes are cut, the outcome is the same, and a
 * destination is printable. The first byte says how they are cut and whether a
 * login is asked.
 */
#include "daemon/socks5.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct outcome {
	enum request_step end;
	size_t used;
	struct config_host dest;
	uint8_t answers[64];
	size_t answers_len;
};

static enum request_step
feed(struct socks5 *s, const uint8_t *in, size_t len, struct outcome *o)
{
	struct request r = {.used = 0};
	/* A copy of exact length, for the sanitizer to see overruns. */
	uint8_t *copy = malloc(len + 1);

	assert(copy != NULL);
	memcpy(copy, in, len);
	o->end = socks5_parse(s, copy, len, &r);
	free(copy);
	assert(r.used <= len);
	o->used += r.used;
	assert(r.answer_len <= sizeof(o->answers) - o->answers_len);
	memcpy(o->answers + o->answers_len, r.answer, r.answer_len);
	o->answers_len += r.answer_len;
	if (o->end == REQUEST_OPEN)
		o->dest = r.dest;
	return o->end;
}

static struct outcome
run(const struct login *login, const uint8_t *in, size_t len, size_t piece)
{
	struct socks5 s = {.login = login};
	struct outcome o = {.end = REQUEST_MORE};

	for (size_t here = 0; o.end == REQUEST_MORE && here < len;) {
		here = min_size(here + piece, len);
		while (feed(&s, in + o.used, here - o.used, &o) == REQUEST_ANSWER)
			;
	}
	return o;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct login login;
	struct outcome whole, cut;
	const struct login *asked;

	if (size == 0 || size > 2048 || login_init(&login, "alice", "s3cret") < 0)
		return 0;
	asked = data[0] & 1 ? &login : NULL;
	whole = run(asked, data + 1, size - 1, size);
	cut = run(asked, data + 1, size - 1, 1 + (data[0] >> 1));
	assert(whole.end == cut.end && whole.used == cut.used);
	assert(whole.answers_len == cut.answers_len);
	assert(memcmp(whole.answers, cut.answers, cut.answers_len) == 0);
	assert(strcmp(whole.dest.host, cut.dest.host) == 0);
	assert(whole.dest.port == cut.dest.port);
	assert((whole.dest.port != 0) == (whole.end == REQUEST_OPEN));
	for (const char *c = whole.dest.host; *c != '\0'; c++)
		assert(*c > ' ' && *c < 0x7f);
	return 0;
}
