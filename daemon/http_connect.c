#include "daemon/http_connect.h"

#include "daemon/ingress.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* A piece of the line in hand; never NUL-terminated. */
struct span {
	const char *s;
	size_t len;
};

enum problem {
	PROBLEM_NONE,
	PROBLEM_MALFORMED,
	PROBLEM_TARGET,
	PROBLEM_METHOD,
	PROBLEM_NOT_CONNECT,
	PROBLEM_BODY,
	PROBLEM_HOST,
	PROBLEM_LOGIN,
	PROBLEM_TOO_LONG,
	PROBLEM_VERSION,
};

struct response {
	const char *status;
	const char *field; /* a whole line, or "" */
	const char *text;
};

static const struct response problems[] = {
	[PROBLEM_NONE] = {"500 Internal Server Error", "", ""},
	[PROBLEM_MALFORMED] = {"400 Bad Request", "", "malformed request"},
	[PROBLEM_TARGET] = {"400 Bad Request", "", "the target is not HOST:PORT"},
	[PROBLEM_METHOD] = {"400 Bad Request", "", "this is a proxy for CONNECT only"},
	[PROBLEM_NOT_CONNECT] = {"501 Not Implemented", "",
				 "this proxy implements CONNECT only"},
	[PROBLEM_BODY] = {"400 Bad Request", "", "CONNECT has no body"},
	[PROBLEM_HOST] = {"400 Bad Request", "", "exactly one Host field is needed"},
	[PROBLEM_LOGIN] = {"407 Proxy Authentication Required",
			   "Proxy-Authenticate: Basic realm=\"proxy\"\r\n",
			   "user and password are needed"},
	[PROBLEM_TOO_LONG] = {"431 Request Header Fields Too Large", "",
			      "the request header is too long"},
	[PROBLEM_VERSION] = {"505 HTTP Version Not Supported", "",
			     "HTTP/1.1 and HTTP/1.0 are supported"},
};

static size_t
write_response(uint8_t *out, const struct response *r)
{
	int len = snprintf((char *)out, REQUEST_ANSWER_MAX,
			   "HTTP/1.1 %s\r\n"
			   "%s"
			   "Content-Type: text/plain\r\n"
			   "Content-Length: %zu\r\n"
			   "Connection: close\r\n"
			   "\r\n"
			   "%s\n",
			   r->status, r->field, strlen(r->text) + 1, r->text);

	assert(len > 0 && len < REQUEST_ANSWER_MAX);
	return (size_t)len;
}

static bool
is(struct span a, const char *text)
{
	return a.len == strlen(text) && memcmp(a.s, text, a.len) == 0;
}

static bool
is_nocase(struct span a, const char *text)
{
	return a.len == strlen(text) && strncasecmp(a.s, text, a.len) == 0;
}

static bool
only_of(struct span a, const char *more)
{
	for (size_t i = 0; i < a.len; i++) {
		const char c = a.s[i];
		const char lower = (char)(c | 0x20);

		if ((c >= '0' && c <= '9') || (lower >= 'a' && lower <= 'z'))
			continue;
		if (c == '\0' || strchr(more, c) == NULL)
			return false;
	}
	return a.len > 0;
}

static bool
is_token(struct span a) /* RFC 9110, 5.6.2 */
{
	return only_of(a, "!#$%&'*+-.^_`|~");
}

/* Takes what is before the first `c` off `rest`, and the `c`; false: none. */
static bool
cut(struct span *rest, char c, struct span *ret_head)
{
	const char *at = memchr(rest->s, c, rest->len);

	if (at == NULL)
		return false;
	*ret_head = (struct span){rest->s, (size_t)(at - rest->s)};
	rest->len -= ret_head->len + 1;
	rest->s = at + 1;
	return true;
}

static enum problem
read_target(struct http_connect *h, struct span target)
{
	char text[HOST_MAX + sizeof("[]:65535")];
	struct config_host dest;
	struct addr ip;

	if (target.len >= sizeof(text))
		return PROBLEM_TARGET;
	memcpy(text, target.s, target.len);
	text[target.len] = '\0';
	if (addr_split(text, dest.host, sizeof(dest.host), &dest.port) < 0)
		return PROBLEM_TARGET;
	if (text[0] == '[') {
		if (addr_parse_ip(dest.host, &ip) < 0 || ip.family != AF_INET6)
			return PROBLEM_TARGET;
	} else if (!only_of((struct span){dest.host, strlen(dest.host)}, "-._")) {
		return PROBLEM_TARGET;
	}
	h->dest = dest;
	return PROBLEM_NONE;
}

static bool
is_version(struct span v)
{
	return v.len == 8 && memcmp(v.s, "HTTP/", 5) == 0 && v.s[6] == '.' &&
	       v.s[5] >= '0' && v.s[5] <= '9' && v.s[7] >= '0' && v.s[7] <= '9';
}

static enum problem
request_line(struct http_connect *h, struct span line)
{
	struct span method, target;

	if (!cut(&line, ' ', &method) || !cut(&line, ' ', &target))
		return PROBLEM_MALFORMED;
	if (!is_token(method) || target.len == 0 || !is_version(line))
		return PROBLEM_MALFORMED;
	if (line.s[5] != '1')
		return PROBLEM_VERSION;
	if (!is(method, "CONNECT"))
		return memmem(target.s, target.len, "://", 3) != NULL
			       ? PROBLEM_NOT_CONNECT
			       : PROBLEM_METHOD;
	h->needs_host = line.s[7] != '0';
	return read_target(h, target);
}

static enum problem
read_login(struct http_connect *h, struct span value)
{
	struct span scheme;

	if (h->has_login)
		return PROBLEM_MALFORMED;
	h->has_login = true;
	if (h->login == NULL || !cut(&value, ' ', &scheme) ||
	    !is_nocase(scheme, "basic"))
		return PROBLEM_NONE;
	while (value.len > 0 && value.s[0] == ' ') {
		value.s++;
		value.len--;
	}
	h->login_fits = login_matches_basic(h->login, value.s, value.len);
	return PROBLEM_NONE;
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static enum problem
field_line(struct http_connect *h, struct span line)
{
	struct span name;

	/* A folded line begins with a blank, which is no token. */
	if (!cut(&line, ':', &name) || !is_token(name))
		return PROBLEM_MALFORMED;
	while (line.len > 0 && is_blank(line.s[0])) {
		line.s++;
		line.len--;
	}
	while (line.len > 0 && is_blank(line.s[line.len - 1]))
		line.len--;
	if (is_nocase(name, "transfer-encoding"))
		return PROBLEM_BODY;
	if (is_nocase(name, "content-length") && !is(line, "0"))
		return PROBLEM_BODY;
	if (is_nocase(name, "proxy-authorization"))
		return read_login(h, line);
	if (is_nocase(name, "host")) {
		if (h->has_host)
			return PROBLEM_HOST;
		h->has_host = true;
	}
	return PROBLEM_NONE;
}

static enum problem
end_of_header(const struct http_connect *h)
{
	if (h->needs_host && !h->has_host)
		return PROBLEM_HOST;
	if (h->login != NULL && !h->login_fits)
		return PROBLEM_LOGIN;
	return PROBLEM_NONE;
}

static bool
is_control(uint8_t c)
{
	return (c < 0x20 && c != '\t' && c != '\r') || c == 0x7f;
}

/*
 * Finds a whole line, without its CRLF.
 *
 * -EAGAIN   the rest of it is not here yet
 * -EBADMSG  a byte that no header has, CR or LF by itself
 * -E2BIG    the header is too long
 */
static int
take_line(struct http_connect *h, const uint8_t *in, size_t len, struct span *ret_line)
{
	const size_t end = min_size(len, INGRESS_HEADER_MAX - h->total);

	for (; h->scanned < end; h->scanned++) {
		const size_t i = h->scanned;
		const bool after_cr = i > 0 && in[i - 1] == '\r';

		if (after_cr && in[i] == '\n') {
			*ret_line = (struct span){(const char *)in, i - 1};
			h->total += i + 1;
			h->scanned = 0;
			return 0;
		}
		if (after_cr || is_control(in[i]))
			return -EBADMSG;
	}
	return h->total + end == INGRESS_HEADER_MAX ? -E2BIG : -EAGAIN;
}

static enum request_step
refuse(struct request *ret, enum problem p)
{
	ret->answer_len = write_response(ret->answer, &problems[p]);
	return REQUEST_REFUSED;
}

enum request_step
http_connect_parse(struct http_connect *h, const uint8_t *in, size_t len,
		   struct request *ret)
{
	struct span line;
	int err;

	ret->used = 0;
	ret->answer_len = 0;
	while ((err = take_line(h, in + ret->used, len - ret->used, &line)) == 0) {
		const bool last = h->dest.port != 0 && line.len == 0;
		enum problem p;

		ret->used += line.len + 2;
		if (last)
			p = end_of_header(h);
		else if (h->dest.port == 0)
			p = request_line(h, line);
		else
			p = field_line(h, line);
		if (p != PROBLEM_NONE)
			return refuse(ret, p);
		if (last) {
			ret->dest = h->dest;
			return REQUEST_OPEN;
		}
	}
	if (err == -EAGAIN)
		return REQUEST_MORE;
	return refuse(ret, err == -E2BIG ? PROBLEM_TOO_LONG : PROBLEM_MALFORMED);
}

static const char *
status_line(enum open_status status)
{
	switch (status) {
	case OPEN_DENIED: return "403 Forbidden";
	case OPEN_LIMIT:
	case OPEN_NO_TUNNEL: return "503 Service Unavailable";
	case OPEN_TIMED_OUT: return "504 Gateway Timeout";
	case OPEN_OK:
	case OPEN_FAILED:
	case OPEN_NET_UNREACHABLE:
	case OPEN_HOST_UNREACHABLE:
	case OPEN_REFUSED:
	case OPEN_NO_SUCH_NAME:
	case OPEN_NAME_FAILED:
	case OPEN_STATUS_COUNT: break;
	}
	return "502 Bad Gateway";
}

size_t
http_connect_answer(enum open_status status, uint8_t out[REQUEST_ANSWER_MAX])
{
	static const char established[] = "HTTP/1.1 200 Connection established\r\n\r\n";
	const struct response r = {status_line(status), "", open_status_text(status)};

	if (status != OPEN_OK)
		return write_response(out, &r);
	memcpy(out, established, sizeof(established) - 1);
	return sizeof(established) - 1;
}
