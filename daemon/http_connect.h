/*
 * http_connect - the server's side of HTTP CONNECT, as bytes.
 *
 * Model:   a request line and fields, a line at a time; strict where leniency
 *          lets two readers see two requests: lines end in CRLF and nothing
 *          else, no folded lines, no body, one Host.
 * Bounds:  INGRESS_HEADER_MAX bytes of header.
 * Source:  RFC 9110, 9.3.6 and 11.7; RFC 9112, 2 to 6; RFC 7617.
 */
#ifndef DAEMON_HTTP_CONNECT_H
#define DAEMON_HTTP_CONNECT_H

#include "daemon/login.h"
#include "daemon/request.h"
#include "daemon/tunnel.h"

struct http_connect {
	const struct login *login; /* NULL: none asked */
	struct config_host dest;   /* of the request line; port 0: not read yet */
	size_t total;              /* bytes of lines used */
	size_t scanned; /* bytes looked at of the line that is not complete */
	bool needs_host, has_host;
	bool has_login, login_fits;
};

/* `h` begins with its login and the rest zero. See request.h. */
enum request_step http_connect_parse(struct http_connect *h, const uint8_t *in,
				     size_t len, struct request *ret);

/* Writes the response; returns its length. */
size_t http_connect_answer(enum open_status status, uint8_t out[REQUEST_ANSWER_MAX]);

#endif
