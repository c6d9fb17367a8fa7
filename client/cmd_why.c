#include "client/cmd.h"
#include "client/ctl.h"
#include "client/print.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { ENTRIES = 64 }; /* no session has more subflows, and they come first */

static const char *
text_of(const json_t *row, const char *field)
{
	const char *text = json_string_value(json_object_get(row, field));

	return text != NULL ? text : "";
}

/* By its name or its interface, as the daemon would take it. NULL: there is none. */
static json_t *
find_uplink(json_t *uplinks, const char *wanted)
{
	size_t i;
	json_t *row;

	json_array_foreach(uplinks, i, row)
	{
		if (strcasecmp(text_of(row, "name"), wanted) == 0)
			return row;
	}
	json_array_foreach(uplinks, i, row)
	{
		if (strcmp(text_of(row, "ifname"), wanted) == 0)
			return row;
	}
	return NULL;
}

/* Those of the session's subflows that go over the uplink. */
static json_t *
subflows_over(json_t *subflows, json_t *uplink)
{
	json_t *row, *found = json_array();
	size_t i;

	json_array_foreach(subflows, i, row)
	{
		if (strcmp(text_of(row, "transport"), "udp") == 0 &&
		    json_equal(json_object_get(row, "uplink_id"),
			       json_object_get(uplink, "id")))
			json_array_append(found, row);
	}
	return found;
}

static void
print_field(const char *label, json_t *uplink, const char *field,
	    enum print_format format)
{
	char value[300];

	print_line(label, "%s",
		   print_value(value, sizeof(value), format,
			       json_object_get(uplink, field)));
}

static void
explain(json_t *uplink, json_t *subflows)
{
	print_field("uplink", uplink, "name", PRINT_TEXT);
	print_field("interface", uplink, "ifname", PRINT_TEXT);
	print_field("state", uplink, "state", PRINT_TEXT);
	print_field("for", uplink, "state_s", PRINT_SECONDS);
	print_field("why", uplink, "reason", PRINT_TEXT);
	print_field("priority", uplink, "priority", PRINT_TEXT);
	print_field("addresses", uplink, "addresses", PRINT_LIST);
	print_field("subflows", uplink, "subflows", PRINT_COUNT);
	if (json_array_size(subflows) > 0) {
		putchar('\n');
		cmd_show_sessions(subflows);
	}
}

static enum cmd_exit
tell(const struct cmd_options *o, json_t *uplinks, json_t *subflows)
{
	json_t *uplink = find_uplink(json_object_get(uplinks, "uplinks"), o->args[0]);
	json_t *over, *both;

	if (uplink == NULL) {
		print_error("no uplink is called \"%s\"; mpproxyctl uplinks lists them",
			    o->args[0]);
		return CMD_FAILED;
	}
	over = subflows_over(json_object_get(subflows, "subflows"), uplink);
	both = json_pack("{s:O, s:O}", "uplink", uplink, "subflows", over);
	if (o->json)
		print_json(both);
	else
		explain(uplink, over);
	json_decref(both);
	json_decref(over);
	return CMD_DONE;
}

enum cmd_exit
cmd_why(const struct cmd *c, const struct cmd_options *o)
{
	json_t *uplinks = NULL, *subflows = NULL;
	enum cmd_exit code;

	(void)c;
	code = ctl_ask(o, json_pack("{s:s}", "cmd", "uplinks"), &uplinks);
	if (code == CMD_DONE)
		code = ctl_ask(
			o, json_pack("{s:s, s:i}", "cmd", "subflows", "limit", ENTRIES),
			&subflows);
	if (code == CMD_DONE)
		code = tell(o, uplinks, subflows);
	json_decref(uplinks);
	json_decref(subflows);
	return code;
}
