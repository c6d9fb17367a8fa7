#include "common/ctlmsg.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *const code_names[CTLMSG_CODE_COUNT] = {
	[CTLMSG_TOO_LONG] = "too_long",
	[CTLMSG_BAD_JSON] = "bad_json",
	[CTLMSG_BAD_REQUEST] = "bad_request",
	[CTLMSG_UNKNOWN_COMMAND] = "unknown_command",
	[CTLMSG_READ_ONLY] = "read_only",
	[CTLMSG_BAD_ARGUMENT] = "bad_argument",
	[CTLMSG_WRONG_ROLE] = "wrong_role",
	[CTLMSG_UNKNOWN_UPLINK] = "unknown_uplink",
	[CTLMSG_BAD_PRIORITY] = "bad_priority",
	[CTLMSG_REPLY_TOO_LONG] = "reply_too_long",
	[CTLMSG_BUSY] = "busy",
	[CTLMSG_INTERNAL] = "internal",
};

const char *
ctlmsg_code_name(enum ctlmsg_code code)
{
	assert(code < CTLMSG_CODE_COUNT);
	return code_names[code];
}

int
ctlmsg_fail(struct ctlmsg_error *e, enum ctlmsg_code code, const char *fmt, ...)
{
	va_list ap;

	e->code = code;
	va_start(ap, fmt);
	vsnprintf(e->why.text, sizeof(e->why.text), fmt, ap);
	va_end(ap);
	return -EINVAL;
}

/*
 * Counts brackets outside of strings. jansson recurses, and has no bound of
 * its own that we could set; what is not JSON at all is left to it.
 */
static bool
depth_fits(const char *line, size_t len)
{
	bool in_string = false;
	unsigned depth = 0;

	for (size_t i = 0; i < len; i++) {
		char c = line[i];

		if (in_string && c == '\\')
			i++;
		else if (c == '"')
			in_string = !in_string;
		else if (in_string)
			continue;
		else if ((c == '{' || c == '[') && ++depth > CTLMSG_DEPTH_MAX)
			return false;
		else if ((c == '}' || c == ']') && depth > 0)
			depth--;
	}
	return true;
}

static json_t *
load(const char *line, size_t len, struct ctlmsg_error *ret_error)
{
	char text[160];
	json_error_t why;
	json_t *root;

	if (len > CTLMSG_LINE_MAX) {
		ctlmsg_fail(ret_error, CTLMSG_TOO_LONG,
			    "a request has at most %d bytes", CTLMSG_LINE_MAX);
		return NULL;
	}
	if (!depth_fits(line, len)) {
		ctlmsg_fail(ret_error, CTLMSG_BAD_JSON, "more than %d levels deep",
			    CTLMSG_DEPTH_MAX);
		return NULL;
	}
	root = json_loadb(line, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &why);
	if (root == NULL)
		ctlmsg_fail(
			ret_error, CTLMSG_BAD_JSON, "column %d: %s", why.column,
			errmsg_escape(text, sizeof(text), why.text, strlen(why.text)));
	return root;
}

static int
take_id(struct ctlmsg_request *r, struct ctlmsg_error *ret_error)
{
	json_t *id = json_object_get(r->root, "id");

	if (id == NULL || json_is_null(id))
		return 0;
	if (!json_is_integer(id) && !json_is_string(id))
		return ctlmsg_fail(ret_error, CTLMSG_BAD_REQUEST,
				   "\"id\" is neither an integer nor a string");
	if (json_is_string(id) && json_string_length(id) > CTLMSG_ID_MAX)
		return ctlmsg_fail(ret_error, CTLMSG_BAD_REQUEST,
				   "\"id\" has more than %d bytes", CTLMSG_ID_MAX);
	r->id = id;
	return 0;
}

int
ctlmsg_parse(const char *line, size_t len, struct ctlmsg_request *r,
	     struct ctlmsg_error *ret_error)
{
	json_t *cmd;
	int err;

	memset(r, 0, sizeof(*r));
	r->root = load(line, len, ret_error);
	if (r->root == NULL)
		return -EINVAL;
	if (!json_is_object(r->root))
		return ctlmsg_fail(ret_error, CTLMSG_BAD_REQUEST,
				   "a request is a JSON object");
	err = take_id(r, ret_error);
	if (err < 0)
		return err;
	cmd = json_object_get(r->root, "cmd");
	if (cmd == NULL)
		return ctlmsg_fail(ret_error, CTLMSG_BAD_REQUEST, "\"cmd\" is missing");
	if (!json_is_string(cmd))
		return ctlmsg_fail(ret_error, CTLMSG_BAD_REQUEST,
				   "\"cmd\" is not a string");
	r->cmd = json_string_value(cmd);
	return 0;
}

void
ctlmsg_request_done(struct ctlmsg_request *r)
{
	json_decref(r->root);
	memset(r, 0, sizeof(*r));
}

static char *
dump(json_t *reply)
{
	char *text = reply == NULL ? NULL
				   : json_dumps(reply,
						JSON_COMPACT | JSON_REAL_PRECISION(12));

	json_decref(reply);
	return text;
}

char *
ctlmsg_ok(json_t *id, json_t *result)
{
	return dump(json_pack("{s:O*, s:b, s:O}", "id", id, "ok", 1, "result", result));
}

char *
ctlmsg_refusal(json_t *id, const struct ctlmsg_error *e)
{
	return dump(json_pack("{s:O*, s:b, s:{s:s, s:s}}", "id", id, "ok", 0, "error",
			      "code", ctlmsg_code_name(e->code), "message",
			      e->why.text));
}
