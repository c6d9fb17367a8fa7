/*
 * mpproxyctl - speaks to mpproxyd over its control socket; makes keys.
 */
#include "client/cmd.h"
#include "client/print.h"

#include "common/units.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OPT_FROM = 256, OPT_LIMIT };

static const struct option long_options[] = {
	{"socket", required_argument, NULL, 's'},
	{"json", no_argument, NULL, 'j'},
	{"from", required_argument, NULL, OPT_FROM},
	{"limit", required_argument, NULL, OPT_LIMIT},
	{"help", no_argument, NULL, 'h'},
	{"version", no_argument, NULL, 'V'},
	{NULL, 0, NULL, 0},
};

static void
print_help(void)
{
	printf("Usage: mpproxyctl [-s SOCKET] [-j] COMMAND [ARGUMENT ...]\n\n"
	       "Commands (mpproxyctl COMMAND --help tells more):\n");
	for (size_t i = 0; i < cmd_table_len; i++)
		printf("  %-14s%s\n", cmd_table[i].name, cmd_table[i].help);
	printf("\nOptions:\n"
	       "  -s, --socket SOCKET  control socket of the daemon; else the client's "
	       "or\n"
	       "                       the server's in /run/mpproxy, whichever is "
	       "there\n"
	       "  -j, --json           print the daemon's JSON\n"
	       "  -h, --help           print this\n"
	       "  -V, --version        print the version of mpproxyctl\n");
}

static void
explain(const struct cmd *c)
{
	printf("Usage: mpproxyctl %s%s%s\n\n%s\n", c->name, *c->args == '\0' ? "" : " ",
	       c->args, c->help);
	if (*c->more != '\0')
		printf("\n%s", c->more);
}

static const struct cmd *
find(const char *name)
{
	for (size_t i = 0; i < cmd_table_len; i++) {
		if (strcmp(name, cmd_table[i].name) == 0)
			return &cmd_table[i];
	}
	return NULL;
}

static bool
parse_page(const char *option, const char *text, uint64_t *ret_number)
{
	if (units_parse_number(text, 0, INT32_MAX, ret_number) == 0)
		return true;
	print_error("--%s: \"%s\" is not a number from 0 to %d", option, text,
		    INT32_MAX);
	return false;
}

struct parsed {
	struct cmd_options options;
	bool help, version;
};

static bool
parse_options(int argc, char **argv, struct parsed *p)
{
	struct cmd_options *o = &p->options;
	int opt;

	while ((opt = getopt_long(argc, argv, "s:jhV", long_options, NULL)) != -1) {
		if (opt == 's')
			o->socket = optarg;
		else if (opt == 'j')
			o->json = true;
		else if (opt == 'h')
			p->help = true;
		else if (opt == 'V')
			p->version = true;
		else if (opt == OPT_FROM && parse_page("from", optarg, &o->from))
			o->paged = true;
		else if (opt == OPT_LIMIT && parse_page("limit", optarg, &o->limit))
			o->paged = true;
		else
			return false;
	}
	return true;
}

static enum cmd_exit
dispatch(const char *name, const struct parsed *p)
{
	const struct cmd *c = find(name);

	if (c == NULL) {
		print_error("\"%s\" is not a command; mpproxyctl --help lists them",
			    name);
		return CMD_USAGE;
	}
	if (p->help) {
		explain(c);
		return CMD_DONE;
	}
	if (p->options.n_args != c->n_args) {
		print_error("usage: mpproxyctl %s%s%s", c->name,
			    *c->args == '\0' ? "" : " ", c->args);
		return CMD_USAGE;
	}
	if (p->options.paged && !c->pages) {
		print_error("--from and --limit are not for %s", c->name);
		return CMD_USAGE;
	}
	return c->run(c, &p->options);
}

static enum cmd_exit
run(int argc, char **argv)
{
	struct parsed p = {0};

	if (!parse_options(argc, argv, &p))
		return CMD_USAGE;
	if (p.version) {
		printf("mpproxyctl " MPPROXY_VERSION "\n");
		return CMD_DONE;
	}
	if (optind < argc) {
		p.options.args = argv + optind + 1;
		p.options.n_args = argc - optind - 1;
		return dispatch(argv[optind], &p);
	}
	if (p.help) {
		print_help();
		return CMD_DONE;
	}
	print_error("which command? mpproxyctl --help lists them");
	return CMD_USAGE;
}

int
main(int argc, char **argv)
{
	enum cmd_exit code = run(argc, argv);

	/* Half a key or half a table in a full file must not look like success. */
	if ((fflush(stdout) != 0 || ferror(stdout)) && code == CMD_DONE) {
		print_error("standard output: %s", strerror(errno));
		code = CMD_FAILED;
	}
	return (int)code;
}
