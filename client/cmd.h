/*
 * cmd - the commands of mpproxyctl, in one table.
 */
#ifndef CLIENT_CMD_H
#define CLIENT_CMD_H

#include "common/base.h"

#include <jansson.h>

/* Exit codes; scripts rely on them (docs/mpproxyctl.1). */
enum cmd_exit {
	CMD_DONE = 0,
	CMD_FAILED = 1, /* refused by the daemon, or failed here */
	CMD_USAGE = 2,
	CMD_NO_DAEMON = 3,
};

struct cmd_options {
	const char *socket; /* NULL: one of the default ones */
	bool json;
	bool paged; /* --from or --limit was given */
	uint64_t from, limit;
	char **args; /* behind the command's name */
	int n_args;
};

struct cmd {
	const char *name;
	const char *args; /* as --help shows them; "" for none */
	int n_args;
	bool pages; /* --from and --limit are for it */
	const char *help;
	const char *more; /* for COMMAND --help; "" for nothing more */
	enum cmd_exit (*run)(const struct cmd *c, const struct cmd_options *o);
};

extern const struct cmd cmd_table[];
extern const size_t cmd_table_len;

enum cmd_exit cmd_genkey(const struct cmd *c, const struct cmd_options *o);
enum cmd_exit cmd_pubkey(const struct cmd *c, const struct cmd_options *o);
enum cmd_exit cmd_show(const struct cmd *c, const struct cmd_options *o);
enum cmd_exit cmd_why(const struct cmd *c, const struct cmd_options *o);
enum cmd_exit cmd_set_backup(const struct cmd *c, const struct cmd_options *o);
enum cmd_exit cmd_set_priority(const struct cmd *c, const struct cmd_options *o);

/* The table of a session's subflows: rows of the daemon's `subflows`. */
void cmd_show_sessions(json_t *rows);

#endif
