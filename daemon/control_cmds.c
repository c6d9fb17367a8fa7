#include "daemon/control_cmds.h"

#include "daemon/proxy.h"
#include "daemon/report.h"

#include <stdio.h>
#include <string.h>

typedef json_t *(*command_fn)(struct proxy *p, const json_t *args,
			      struct ctlmsg_error *e);

struct command {
	const char *name;
	bool changes; /* refused on the read-only socket */
	command_fn run;
	const char *help;
};

/* A name as somebody else wrote it, fit for a sentence. */
struct quoted {
	char s[128];
};

static struct quoted
quote(const char *name)
{
	struct quoted q;

	errmsg_escape(q.s, sizeof(q.s), name, strlen(name));
	return q;
}

static int
take_text(const json_t *args, const char *name, const char **ret_text,
	  struct ctlmsg_error *e)
{
	const json_t *value = json_object_get(args, name);

	if (value == NULL)
		return ctlmsg_fail(e, CTLMSG_BAD_ARGUMENT, "\"%s\" is missing", name);
	if (!json_is_string(value))
		return ctlmsg_fail(e, CTLMSG_BAD_ARGUMENT, "\"%s\" is not a string",
				   name);
	*ret_text = json_string_value(value);
	return 0;
}

/* Leaves the number alone where the argument is absent. */
static int
take_number(const json_t *args, const char *name, uint64_t min, uint64_t max,
	    uint64_t *ret_number, struct ctlmsg_error *e)
{
	const json_t *value = json_object_get(args, name);
	json_int_t n = json_integer_value(value);

	if (value == NULL)
		return 0;
	if (!json_is_integer(value) || n < (json_int_t)min || n > (json_int_t)max)
		return ctlmsg_fail(e, CTLMSG_BAD_ARGUMENT,
				   "\"%s\" is not a whole number from %llu to %llu",
				   name, (unsigned long long)min,
				   (unsigned long long)max);
	*ret_number = (uint64_t)n;
	return 0;
}

static int
take_page(const json_t *args, struct report_page *ret_page, struct ctlmsg_error *e)
{
	struct report_page page = {.from = 0, .limit = REPORT_PAGE_DEFAULT};
	int err;

	err = take_number(args, "from", 0, INT32_MAX, &page.from, e);
	if (err == 0)
		err = take_number(args, "limit", 1, REPORT_PAGE_MAX, &page.limit, e);
	if (err == 0)
		*ret_page = page;
	return err;
}

static int
require_client(const struct proxy *p, struct ctlmsg_error *e)
{
	if (p->config->role == ROLE_CLIENT)
		return 0;
	return ctlmsg_fail(e, CTLMSG_WRONG_ROLE,
			   "this is the server: uplinks are the client's, ask there");
}

static json_t *
run_version(struct proxy *p, const json_t *args, struct ctlmsg_error *e)
{
	(void)args;
	(void)e;
	return report_version(p);
}

static json_t *
run_status(struct proxy *p, const json_t *args, struct ctlmsg_error *e)
{
	(void)args;
	(void)e;
	return report_status(p);
}

static json_t *
run_uplinks(struct proxy *p, const json_t *args, struct ctlmsg_error *e)
{
	(void)args;
	return require_client(p, e) < 0 ? NULL : report_uplinks(p);
}

static json_t *
run_streams(struct proxy *p, const json_t *args, struct ctlmsg_error *e)
{
	struct report_page page;

	return take_page(args, &page, e) < 0 ? NULL : report_streams(p, &page);
}

static json_t *
run_subflows(struct proxy *p, const json_t *args, struct ctlmsg_error *e)
{
	struct report_page page;

	return take_page(args, &page, e) < 0 ? NULL : report_subflows(p, &page);
}

static int
refuse_unknown_uplink(const struct proxy *p, const char *name, struct ctlmsg_error *e)
{
	const size_t n = p->uplinks == NULL ? 0 : uplinks_count(p->uplinks);
	char known[ERRMSG_MAX / 2] = "";
	size_t len = 0;

	for (size_t i = 0; i < n && len < sizeof(known); i++) {
		const struct uplink *u = uplinks_at(p->uplinks, i);

		len += (size_t)snprintf(known + len, sizeof(known) - len, "%s%s",
					i == 0 ? "" : ", ", quote(u->name).s);
	}
	return ctlmsg_fail(e, CTLMSG_UNKNOWN_UPLINK,
			   "no uplink is called \"%s\"; known: %s", quote(name).s,
			   n == 0 ? "none" : known);
}

static int
take_uplink(const struct proxy *p, const json_t *args, struct uplink **ret_uplink,
	    struct ctlmsg_error *e)
{
	struct uplink *u = NULL;
	const char *name;
	int err;

	err = take_text(args, "uplink", &name, e);
	if (err < 0)
		return err;
	if (p->uplinks != NULL)
		u = uplinks_find(p->uplinks, name);
	if (u == NULL)
		return refuse_unknown_uplink(p, name, e);
	*ret_uplink = u;
	return 0;
}

static int
take_priority(const json_t *args, enum config_priority *ret_priority,
	      struct ctlmsg_error *e)
{
	const char *word;
	int err;

	err = take_text(args, "priority", &word, e);
	if (err < 0)
		return err;
	if (config_parse_priority(word, ret_priority) < 0)
		return ctlmsg_fail(e, CTLMSG_BAD_PRIORITY,
				   "\"%s\" is not one of always, backup, never",
				   quote(word).s);
	return 0;
}

static json_t *
run_uplink_set(struct proxy *p, const json_t *args, struct ctlmsg_error *e)
{
	enum config_priority priority;
	struct uplink *u = NULL;

	if (require_client(p, e) < 0 || take_uplink(p, args, &u, e) < 0 ||
	    take_priority(args, &priority, e) < 0)
		return NULL;
	uplinks_set_priority(p->uplinks, u, priority);
	return json_pack("{s:s, s:s, s:s}", "name", quote(u->name).s, "ifname",
			 quote(u->interface).s, "priority",
			 config_priority_name(u->priority));
}

static json_t *
run_commands(struct proxy *p, const json_t *args, struct ctlmsg_error *e);

static const struct command commands[] = {
	{"status", false, run_status, "what the daemon is doing"},
	{"uplinks", false, run_uplinks, "the uplinks and their states"},
	{"streams", false, run_streams, "the open streams, by from and limit"},
	{"subflows", false, run_subflows, "subflows, by from and limit"},
	{"version", false, run_version, "version and role"},
	{"uplink.set", true, run_uplink_set, "sets the priority of an uplink"},
	{"commands", false, run_commands, "this list"},
};

static json_t *
run_commands(struct proxy *p, const json_t *args, struct ctlmsg_error *e)
{
	json_t *list = json_array();

	(void)p;
	(void)args;
	(void)e;
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		json_array_append_new(list, json_pack("{s:s, s:b, s:s}", "name",
						      commands[i].name, "read_only",
						      !commands[i].changes, "help",
						      commands[i].help));
	return json_pack("{s:o}", "commands", list);
}

static const struct command *
find(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		if (strcmp(name, commands[i].name) == 0)
			return &commands[i];
	}
	return NULL;
}

json_t *
control_cmds_run(struct proxy *p, const struct ctlmsg_request *r, bool read_only,
		 struct ctlmsg_error *ret_error)
{
	const struct command *c = find(r->cmd);

	if (c == NULL) {
		ctlmsg_fail(ret_error, CTLMSG_UNKNOWN_COMMAND,
			    "no command is called \"%s\"; \"commands\" lists them",
			    quote(r->cmd).s);
		return NULL;
	}
	if (c->changes && read_only) {
		ctlmsg_fail(ret_error, CTLMSG_READ_ONLY,
			    "\"%s\" changes something: use the socket without -ro",
			    c->name);
		return NULL;
	}
	ctlmsg_fail(ret_error, CTLMSG_INTERNAL, "no memory for the answer");
	return c->run(p, r->root, ret_error);
}
