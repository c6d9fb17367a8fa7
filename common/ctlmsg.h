/*
 * ctlmsg - the lines of the control socket: one JSON object each.
 *
 * Model:   {"id":7,"cmd":"uplink.set","uplink":"lte","priority":"backup"}
 *          {"id":7,"ok":true,"result":{...}}
 *          {"id":7,"ok":false,"error":{"code":"bad_priority","message":"..."}}
 *          `id` is whatever integer or string the request had, or left out.
 * Bounds:  CTLMSG_LINE_MAX bytes and CTLMSG_DEPTH_MAX levels of a request.
 * Owner:   a request owns its JSON until ctlmsg_request_done().
 * Errors:  a code, which is a stable label, and a sentence for a person.
 * Source:  docs/control.md.
 */
#ifndef COMMON_CTLMSG_H
#define COMMON_CTLMSG_H

#include "common/base.h"
#include "common/errmsg.h"

#include <jansson.h>

enum {
	CTLMSG_LINE_MAX = 64 * 1024,    /* of a request, without the newline */
	CTLMSG_REPLY_MAX = 1024 * 1024, /* of a reply, without the newline */
	CTLMSG_DEPTH_MAX = 16,          /* objects and arrays in one another */
	CTLMSG_ID_MAX = 64,             /* bytes of an id that is a string */
};

enum ctlmsg_code {
	CTLMSG_TOO_LONG,
	CTLMSG_BAD_JSON,
	CTLMSG_BAD_REQUEST,
	CTLMSG_UNKNOWN_COMMAND,
	CTLMSG_READ_ONLY,
	CTLMSG_BAD_ARGUMENT,
	CTLMSG_WRONG_ROLE,
	CTLMSG_UNKNOWN_UPLINK,
	CTLMSG_BAD_PRIORITY,
	CTLMSG_REPLY_TOO_LONG,
	CTLMSG_BUSY,
	CTLMSG_INTERNAL,
	CTLMSG_CODE_COUNT,
};
const char *ctlmsg_code_name(enum ctlmsg_code code);

struct ctlmsg_error {
	enum ctlmsg_code code;
	struct errmsg why;
};

/* Sets both. Returns -EINVAL, so that failing reads `return ctlmsg_fail(...)`. */
int ctlmsg_fail(struct ctlmsg_error *e, enum ctlmsg_code code, const char *fmt, ...)
	PRINTF_LIKE(3, 4);

struct ctlmsg_request {
	json_t *root; /* the whole object, arguments included */
	json_t *id;   /* in root; NULL: none */
	const char *cmd;
};

/*
 * Reads one line, without its newline. -EINVAL: `ret_error` says why, and
 * `r->id` is set where an id was found nonetheless. The caller ends `r` with
 * ctlmsg_request_done() either way.
 */
int ctlmsg_parse(const char *line, size_t len, struct ctlmsg_request *r,
		 struct ctlmsg_error *ret_error) MUST_CHECK;
void ctlmsg_request_done(struct ctlmsg_request *r);

/*
 * A reply without its newline, for the caller to free(). `id` may be NULL.
 * NULL: no memory.
 */
char *ctlmsg_ok(json_t *id, json_t *result);
char *ctlmsg_refusal(json_t *id, const struct ctlmsg_error *e);

#endif
