#include "daemon/socks5.h"

#include "common/bytes.h"

#include <arpa/inet.h>
#include <string.h>

enum { VERSION = 5, LOGIN_VERSION = 1 };
enum { METHOD_NONE = 0, METHOD_LOGIN = 2, METHOD_NO_ACCEPTABLE = 0xff };
enum { COMMAND_CONNECT = 1 };
enum { TYPE_IPV4 = 1, TYPE_NAME = 3, TYPE_IPV6 = 4 };

enum reply { /* RFC 1928, section 6 */
	     REPLY_OK = 0,
	     REPLY_FAILED = 1,
	     REPLY_NOT_ALLOWED = 2,
	     REPLY_NET_UNREACHABLE = 3,
	     REPLY_HOST_UNREACHABLE = 4,
	     REPLY_REFUSED = 5,
	     REPLY_TTL_EXPIRED = 6,
	     REPLY_NO_SUCH_COMMAND = 7,
	     REPLY_NO_SUCH_TYPE = 8,
};

static void
answer_two(struct request *ret, uint8_t version, uint8_t code)
{
	ret->answer[0] = version;
	ret->answer[1] = code;
	ret->answer_len = 2;
}

/* The bound address is not told: it is the server's, and no client needs it. */
static size_t
write_reply(uint8_t *out, enum reply code)
{
	const uint8_t reply[10] = {VERSION, (uint8_t)code, 0, TYPE_IPV4};

	memcpy(out, reply, sizeof(reply));
	return sizeof(reply);
}

static enum request_step
refuse(struct request *ret, enum reply code)
{
	ret->answer_len = write_reply(ret->answer, code);
	return REQUEST_REFUSED;
}

static enum request_step
greeting(struct socks5 *s, const uint8_t *in, size_t len, struct request *ret)
{
	const uint8_t method = s->login != NULL ? METHOD_LOGIN : METHOD_NONE;

	if (in[0] != VERSION) {
		answer_two(ret, VERSION, METHOD_NO_ACCEPTABLE);
		return REQUEST_REFUSED;
	}
	if (len < 2 || len < 2 + (size_t)in[1])
		return REQUEST_MORE;
	ret->used = 2 + (size_t)in[1];
	if (memchr(in + 2, method, in[1]) == NULL) {
		answer_two(ret, VERSION, METHOD_NO_ACCEPTABLE);
		return REQUEST_REFUSED;
	}
	answer_two(ret, VERSION, method);
	s->stage = s->login != NULL ? SOCKS5_LOGIN : SOCKS5_REQUEST;
	return REQUEST_ANSWER;
}

static enum request_step
user_and_password(struct socks5 *s, const uint8_t *in, size_t len, struct request *ret)
{
	size_t user_len, password_len;

	if (in[0] != LOGIN_VERSION) {
		answer_two(ret, LOGIN_VERSION, 1);
		return REQUEST_REFUSED;
	}
	if (len < 2)
		return REQUEST_MORE;
	user_len = in[1];
	if (len < 3 + user_len)
		return REQUEST_MORE;
	password_len = in[2 + user_len];
	if (len < 3 + user_len + password_len)
		return REQUEST_MORE;
	ret->used = 3 + user_len + password_len;
	if (!login_matches(s->login, in + 2, user_len, in + 3 + user_len,
			   password_len)) {
		answer_two(ret, LOGIN_VERSION, 1);
		return REQUEST_REFUSED;
	}
	answer_two(ret, LOGIN_VERSION, 0);
	s->stage = SOCKS5_REQUEST;
	return REQUEST_ANSWER;
}

static int
set_dest_ip(struct request *ret, int family, const uint8_t *ip, uint16_t port)
{
	char text[INET6_ADDRSTRLEN];

	inet_ntop(family, ip, text, sizeof(text));
	return request_set_dest(ret, (const uint8_t *)text, strlen(text), port);
}

static enum request_step
request(const uint8_t *in, size_t len, struct request *ret)
{
	size_t at = 4;
	size_t n;
	uint16_t port;
	int err;

	if (in[0] != VERSION)
		return refuse(ret, REPLY_FAILED);
	if (len >= 2 && in[1] != COMMAND_CONNECT)
		return refuse(ret, REPLY_NO_SUCH_COMMAND);
	if (len >= 3 && in[2] != 0)
		return refuse(ret, REPLY_FAILED);
	if (len >= 4 && in[3] != TYPE_IPV4 && in[3] != TYPE_NAME && in[3] != TYPE_IPV6)
		return refuse(ret, REPLY_NO_SUCH_TYPE);
	if (len < 5)
		return REQUEST_MORE;
	if (in[3] == TYPE_NAME)
		n = in[at++];
	else
		n = in[3] == TYPE_IPV4 ? 4 : 16;
	if (len < at + n + 2)
		return REQUEST_MORE;
	ret->used = at + n + 2;
	port = get_be16(in + at + n);
	if (in[3] == TYPE_NAME)
		err = request_set_dest(ret, in + at, n, port);
	else
		err = set_dest_ip(ret, n == 4 ? AF_INET : AF_INET6, in + at, port);
	return err < 0 ? refuse(ret, REPLY_FAILED) : REQUEST_OPEN;
}

enum request_step
socks5_parse(struct socks5 *s, const uint8_t *in, size_t len, struct request *ret)
{
	ret->used = 0;
	ret->answer_len = 0;
	if (len == 0)
		return REQUEST_MORE;
	switch (s->stage) {
	case SOCKS5_GREETING: return greeting(s, in, len, ret);
	case SOCKS5_LOGIN: return user_and_password(s, in, len, ret);
	case SOCKS5_REQUEST: break;
	}
	return request(in, len, ret);
}

static enum reply
reply_of(enum open_status status)
{
	switch (status) {
	case OPEN_OK: return REPLY_OK;
	case OPEN_DENIED: return REPLY_NOT_ALLOWED;
	case OPEN_NET_UNREACHABLE: return REPLY_NET_UNREACHABLE;
	case OPEN_HOST_UNREACHABLE:
	case OPEN_NO_SUCH_NAME: return REPLY_HOST_UNREACHABLE;
	case OPEN_REFUSED: return REPLY_REFUSED;
	case OPEN_TIMED_OUT: return REPLY_TTL_EXPIRED; /* as is the custom */
	case OPEN_FAILED:
	case OPEN_NAME_FAILED:
	case OPEN_LIMIT:
	case OPEN_NO_TUNNEL:
	case OPEN_STATUS_COUNT: break;
	}
	return REPLY_FAILED;
}

size_t
socks5_answer(enum open_status status, uint8_t out[REQUEST_ANSWER_MAX])
{
	return write_reply(out, reply_of(status));
}
