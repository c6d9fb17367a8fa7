#include "common/log.h"
#include "daemon/config.h"
#include "daemon/io/service.h"
#include "daemon/proxy.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { EXIT_USAGE = 2 };

struct options {
	const char *file;
	bool check;
	bool restore_pm;
};

static void
print_help(void)
{
	puts("usage: mpproxyd -c FILE [--check | --restore-pm]\n"
	     "\n"
	     "Carries TCP streams over several uplinks at once, between a client and "
	     "a\n"
	     "server of this program. Logs to standard error; stops on SIGTERM.\n"
	     "\n"
	     "  -c, --config FILE   the configuration (see mpproxy.conf(5))\n"
	     "      --check         read the configuration, say what is wrong, and "
	     "exit\n"
	     "      --foreground    stay in the foreground: it always does\n"
	     "      --restore-pm    put the kernel's path manager back after a crash\n"
	     "  -h, --help          this text\n"
	     "  -V, --version       the version\n"
	     "\n"
	     "Exit status: 0 done, 1 failed, 2 usage.");
}

static int
parse_options(int argc, char **argv, struct options *ret_options)
{
	static const struct option longs[] = {
		{"config", required_argument, NULL, 'c'},
		{"check", no_argument, NULL, 'k'},
		{"foreground", no_argument, NULL, 'f'},
		{"restore-pm", no_argument, NULL, 'r'},
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'},
		{NULL, 0, NULL, 0},
	};
	struct options o = {0};
	int c;

	while ((c = getopt_long(argc, argv, "c:hV", longs, NULL)) != -1) {
		switch (c) {
		case 'c': o.file = optarg; break;
		case 'k': o.check = true; break;
		case 'f': break;
		case 'r': o.restore_pm = true; break;
		case 'h': print_help(); exit(EXIT_SUCCESS);
		case 'V': puts("mpproxyd " MPPROXY_VERSION); exit(EXIT_SUCCESS);
		default: return -EINVAL;
		}
	}
	if (optind < argc || o.file == NULL)
		return -EINVAL;
	*ret_options = o;
	return 0;
}

static int
run(const struct config *c)
{
	struct errmsg why = {""};
	struct proxy *p = proxy_new(c, &why);
	int err;

	if (p == NULL) {
		log_error("%s", why.text);
		return EXIT_FAILURE;
	}
	log_info("started: role=%s version=%s pid=%d",
		 c->role == ROLE_CLIENT ? "client" : "server", MPPROXY_VERSION,
		 getpid());
	service_ready();
	err = proxy_run(p);
	service_stopping();
	proxy_free(p);
	if (err < 0)
		log_error("event loop: %s", strerror(-err));
	else
		log_info("stopped");
	return err < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int
restore_pm(const struct config *c)
{
	struct errmsg why;

	if (proxy_restore_pm(c, &why) == 0)
		return EXIT_SUCCESS;
	log_error("%s", why.text);
	return EXIT_FAILURE;
}

static int
harden(void)
{
	int err = service_hide_memory();

	umask(077);
	return err < 0 ? err : service_ignore_sigpipe();
}

int
main(int argc, char **argv)
{
	struct errmsg why = {""};
	struct options o;
	struct config *c;
	int status, err;

	if (parse_options(argc, argv, &o) < 0) {
		fputs("usage: mpproxyd -c FILE [--check]; see mpproxyd --help\n",
		      stderr);
		return EXIT_USAGE;
	}
	log_to_journal(getenv("JOURNAL_STREAM") != NULL);
	err = harden();
	if (err < 0)
		log_warn("memory is not hidden from others: %s", strerror(-err));
	c = config_load(o.file, &why);
	if (c == NULL) {
		fprintf(stderr, "mpproxyd: %s\n", why.text);
		return EXIT_FAILURE;
	}
	log_set_level(c->log_level);
	if (o.check)
		status = EXIT_SUCCESS;
	else if (o.restore_pm)
		status = restore_pm(c);
	else
		status = run(c);
	config_free(c);
	return status;
}
