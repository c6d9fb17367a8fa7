/*
 * fuzz_http - however the bytes are cut, the outcome is the same, and a
 * destination is a name or an address. The first byte says how they are cut and
 * whether a login is asked.
 */
#include "daemon/http_connect.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct outcome {
	enum request_step end;
	size_t used;
	struct request last;
};

static struct outcome
run(const struct login *login, const uint8_t *in, size_t len, size_t piece)
{
	struct http_connect h = {.login = login};
	struct outcome o = {.end = REQUEST_MORE};

	for (size_t here = 0; o.end == REQUEST_MORE && here < len;) {
		uint8_t *copy;

		here = min_size(here + piece, len);
		/* A copy of exact length, for the sanitizer to see overruns. */
		copy = malloc(here - o.used + 1);
		assert(copy != NULL);
		memcpy(copy, in + o.used, here - o.used);
		o.end = http_connect_parse(&h, copy, here - o.used, &o.last);
		free(copy);
		o.used += o.last.used;
		assert(o.used <= here);
		assert(o.end != REQUEST_ANSWER);
	}
	return o;
}

static void
check_dest(const struct config_host *dest)
{
	static const char set[] = "abcdefghijklmnopqrstuvwxyz0123456789"
				  "ABCDEFGHIJKLMNOPQRSTUVWXYZ-._";
	struct addr ip;

	assert(dest->port != 0 && dest->host[0] != '\0');
	assert(dest->host[strspn(dest->host, set)] == '\0' ||
	       (addr_parse_ip(dest->host, &ip) == 0 && ip.family == AF_INET6));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct login login;
	struct outcome whole, cut;
	const struct login *asked;

	if (size == 0 || login_init(&login, "alice", "s3cret") < 0)
		return 0;
	asked = data[0] & 1 ? &login : NULL;
	whole = run(asked, data + 1, size - 1, size);
	cut = run(asked, data + 1, size - 1, 1 + (data[0] >> 1));
	assert(whole.end == cut.end);
	if (size == 1)
		return 0;
	assert(whole.last.answer_len == cut.last.answer_len);
	assert(memcmp(whole.last.answer, cut.last.answer, cut.last.answer_len) == 0);
	if (whole.end != REQUEST_OPEN)
		return 0;
	assert(whole.used == cut.used);
	assert(strcmp(whole.last.dest.host, cut.last.dest.host) == 0);
	assert(whole.last.dest.port == cut.last.dest.port);
	check_dest(&whole.last.dest);
	return 0;
}
