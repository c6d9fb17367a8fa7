#include "client/cmd.h"
#include "client/ctl.h"
#include "client/print.h"

#include <stdio.h>

static enum cmd_exit
set_priority(const struct cmd_options *o, const char *uplink, const char *priority)
{
	json_t *request = json_pack("{s:s, s:s, s:s}", "cmd", "uplink.set", "uplink",
				    uplink, "priority", priority);
	const char *name, *ifname, *now;
	enum cmd_exit code;
	json_t *result;

	if (request == NULL) {
		print_error("the uplink or the priority is not valid UTF-8");
		return CMD_USAGE;
	}
	code = ctl_ask(o, request, &result);
	if (code != CMD_DONE)
		return code;
	if (o->json)
		print_json(result);
	else if (json_unpack(result, "{s:s, s:s, s:s}", "name", &name, "ifname",
			     &ifname, "priority", &now) == 0)
		printf("uplink %s (%s): priority %s\n", name, ifname, now);
	json_decref(result);
	return CMD_DONE;
}

enum cmd_exit
cmd_set_backup(const struct cmd *c, const struct cmd_options *o)
{
	(void)c;
	return set_priority(o, o->args[0], "backup");
}

enum cmd_exit
cmd_set_priority(const struct cmd *c, const struct cmd_options *o)
{
	(void)c;
	return set_priority(o, o->args[0], o->args[1]);
}
