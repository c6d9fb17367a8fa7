/*
 * The control server as it is, on real UNIX sockets, in a process of its own;
 * the parts of the proxy that it reports on are played by fakes below.
 */
#include "tests/unit/unit.h"

#include "common/ctlmsg.h"
#include "daemon/control.h"
#include "daemon/io/mptcp_info.h"
#include "daemon/io/unixsock.h"
#include "daemon/proxy.h"
#include "daemon/report.h"
#include "tests/unit/addrs.h"
#include "tests/unit/legs.h"
#include "tests/unit/seed.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATIENCE (20 * NS_PER_SEC)

/* --- fakes ----------------------------------------------------------------- */

struct uplinks {
	struct uplink u[2];
};

struct tunnel {
	unsigned n_streams;
	bool many_subflows;
};

struct subflows {
	struct subflows_counters counters;
};

struct ingress {
	struct ingress_counters counters;
};

size_t
uplinks_count(const struct uplinks *us)
{
	return ARRAY_LEN(us->u);
}

struct uplink *
uplinks_at(struct uplinks *us, size_t i)
{
	return &us->u[i];
}

struct uplink *
uplinks_by_id(struct uplinks *us, uint8_t id)
{
	return id >= 1 && id <= ARRAY_LEN(us->u) ? &us->u[id - 1] : NULL;
}

struct uplink *
uplinks_find(struct uplinks *us, const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(us->u); i++) {
		if (strcmp(us->u[i].name, name) == 0 ||
		    strcmp(us->u[i].interface, name) == 0)
			return &us->u[i];
	}
	return NULL;
}

void
uplinks_set_priority(struct uplinks *us, struct uplink *u, enum config_priority p)
{
	(void)us;
	u->priority = p;
}

const char *
uplink_state_name(enum uplink_state s)
{
	return s == UPLINK_ACTIVE ? "active" : "dead";
}

void
tunnel_choice_get(const struct tunnel *t, struct tunnel_choice *ret_choice)
{
	(void)t;
	*ret_choice = (struct tunnel_choice){"udp", "it fails over faster"};
}

struct hearing_text
uplink_reason(const struct uplink *u, ns_t now)
{
	(void)u;
	(void)now;
	return (struct hearing_text){"as it is"};
}

const char *
tunnel_state_text(const struct tunnel *t, enum config_transport kind)
{
	(void)t;
	if (kind == TRANSPORT_UDP)
		return "connected to vps";
	return "connecting: no answer from vps: \"x\"";
}

void
tunnel_counters_get(const struct tunnel *t, struct tunnel_counters *ret_counters)
{
	*ret_counters = (struct tunnel_counters){
		.streams_opened = 12000, .streams = t->n_streams, .fallbacks = 3};
}

const struct subflows_counters *
subflows_counters(const struct subflows *s)
{
	return &s->counters;
}

void
ingress_counters_get(const struct ingress *in, size_t i,
		     struct ingress_counters *ret_counters)
{
	(void)i;
	*ret_counters = in->counters;
}

void
tunnel_each_stream(struct tunnel *t, tunnel_each_fn fn, void *arg)
{
	legs_each(t->n_streams, t->many_subflows ? MPTCP_INFO_SUBFLOWS_MAX : 2, fn,
		  arg);
}

void
tunnel_each_subflow(struct tunnel *t, subflow_info_fn fn, void *arg)
{
	(void)t;
	(void)fn;
	(void)arg;
}

int
mptcp_info_get(int fd, struct mptcp_info_all *ret_info)
{
	return legs_info(fd, ret_info);
}

/* --- the server ------------------------------------------------------------- */

struct server {
	pid_t pid;
	char dir[64];
	char path[96], ro_path[96];
};

struct play {
	enum config_role role;
	bool bare; /* all parts NULL */
	unsigned n_streams;
	bool many_subflows;
};

struct parts {
	struct config config;
	struct uplinks uplinks;
	struct tunnel tunnel;
	struct subflows subflows;
	struct ingress ingress;
	struct proxy proxy;
};

static void
fill_parts(struct parts *s, const struct play *play, struct loop *l)
{
	const bool client = play->role == ROLE_CLIENT;

	s->config.role = play->role;
	s->config.n_listeners = client ? 1 : 0;
	strcpy(s->config.listeners[0].name, "web");
	s->uplinks.u[0] = (struct uplink){.id = 1,
					  .name = "dsl",
					  .interface = "ppp0",
					  .state = UPLINK_ACTIVE,
					  .v4 = addrs_of("192.0.2.1:1")};
	s->uplinks.u[0].v4.port = 0;
	s->uplinks.u[1] = (struct uplink){
		.id = 2, .name = "lte", .interface = "wwan0", .state = UPLINK_DEAD};
	s->tunnel = (struct tunnel){.n_streams = play->n_streams,
				    .many_subflows = play->many_subflows};
	s->proxy = (struct proxy){
		.config = &s->config, .loop = l, .started_at = loop_now(l)};
	strcpy(s->proxy.pm_reason, "somebody else listens");
	if (play->bare)
		return;
	s->proxy.uplinks = client ? &s->uplinks : NULL;
	s->proxy.tunnel = &s->tunnel;
	s->proxy.subflows = &s->subflows;
	s->proxy.ingress = client ? &s->ingress : NULL;
}

static void
on_term(void *arg, int signo)
{
	(void)signo;
	loop_stop(arg);
}

/* Never returns; a leak makes the exit code under ASan. */
static void
run_server(const struct server *sv, const struct play *play, int ready)
{
	struct parts *parts = calloc(1, sizeof(*parts));
	struct loop *l = loop_new();
	struct errmsg why;
	int err;

	if (parts == NULL || l == NULL)
		exit(3);
	fill_parts(parts, play, l);
	parts->proxy.control = control_new(l, sv->path, &parts->proxy, &why);
	if (parts->proxy.control == NULL || loop_on_signal(l, SIGTERM, on_term, l) < 0)
		exit(4);
	if (write(ready, "", 1) != 1)
		exit(5);
	err = loop_run(l);
	control_free(parts->proxy.control);
	loop_free(l);
	free(parts);
	exit(err == 0 ? 0 : 6);
}

static struct server
start(const struct play *play)
{
	struct server sv;
	int ready[2];
	char byte;

	strcpy(sv.dir, "/tmp/mpp-control-XXXXXX");
	assert_non_null(mkdtemp(sv.dir));
	snprintf(sv.path, sizeof(sv.path), "%s/c.sock", sv.dir);
	snprintf(sv.ro_path, sizeof(sv.ro_path), "%s/c-ro.sock", sv.dir);
	assert_int_equal(pipe(ready), 0);
	fflush(NULL);
	sv.pid = fork();
	assert_true(sv.pid >= 0);
	if (sv.pid == 0) {
		close(ready[0]);
		alarm(120); /* outlives no test */
		run_server(&sv, play, ready[1]);
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	return sv;
}

static void
stop(struct server *sv)
{
	int status;

	assert_int_equal(kill(sv->pid, SIGTERM), 0);
	assert_int_equal(waitpid(sv->pid, &status, 0), sv->pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	/* Both sockets are gone, or this fails. */
	assert_int_equal(rmdir(sv->dir), 0);
}

/* --- a client ---------------------------------------------------------------- */

struct ear {
	int fd;
	size_t len;
	char buf[CTLMSG_REPLY_MAX + 65536];
};

static struct ear *
dial(const char *path)
{
	struct ear *e = malloc(sizeof(*e));

	assert_non_null(e);
	e->fd = unixsock_connect(path, PATIENCE);
	assert_true(e->fd >= 0);
	e->len = 0;
	return e;
}

static void
hang_up(struct ear *e)
{
	close(e->fd);
	free(e);
}

static void
say_bytes(struct ear *e, const char *data, size_t len)
{
	assert_int_equal(send(e->fd, data, len, MSG_NOSIGNAL), len);
}

static void
say(struct ear *e, const char *text)
{
	say_bytes(e, text, strlen(text));
}

/* The next reply; NULL at the end. */
static json_t *
hear(struct ear *e)
{
	char *newline;
	json_t *reply;

	while ((newline = memchr(e->buf, '\n', e->len)) == NULL) {
		ssize_t n = recv(e->fd, e->buf + e->len, sizeof(e->buf) - e->len, 0);

		if (n < 0)
			fail_msg("recv: %s", strerror(errno));
		if (n == 0) {
			assert_int_equal(e->len, 0);
			return NULL;
		}
		e->len += (size_t)n;
	}
	assert_true(newline - e->buf <= CTLMSG_REPLY_MAX);
	reply = json_loadb(e->buf, (size_t)(newline - e->buf), JSON_REJECT_DUPLICATES,
			   NULL);
	assert_non_null(reply);
	e->len -= (size_t)(newline - e->buf) + 1;
	memmove(e->buf, newline + 1, e->len);
	return reply;
}

static void
expect_error(json_t *reply, const char *want)
{
	const char *code = NULL, *message = NULL;

	assert_non_null(reply);
	assert_true(json_is_false(json_object_get(reply, "ok")));
	assert_int_equal(json_unpack(reply, "{s:{s:s, s:s}}", "error", "code", &code,
				     "message", &message),
			 0);
	if (strcmp(code, want) != 0)
		fail_msg("wanted %s, got %s: %s", want, code, message);
	json_decref(reply);
}

/* The result of a reply that has to be good; ends the reply. */
static json_t *
expect_ok(json_t *reply)
{
	json_t *result;

	assert_non_null(reply);
	if (!json_is_true(json_object_get(reply, "ok")))
		fail_msg("%s", json_dumps(reply, 0));
	result = json_incref(json_object_get(reply, "result"));
	assert_true(json_is_object(result));
	json_decref(reply);
	return result;
}

static json_t *
ask(const char *path, const char *line)
{
	struct ear *e = dial(path);
	json_t *reply;

	say(e, line);
	say(e, "\n");
	reply = hear(e);
	hang_up(e);
	return reply;
}

static void
expect_alive(const char *path)
{
	json_decref(expect_ok(ask(path, "{\"cmd\":\"version\"}")));
}

static void
expect_text(json_t *object, const char *field, const char *want)
{
	const char *got = json_string_value(json_object_get(object, field));

	if (got == NULL || strcmp(got, want) != 0)
		fail_msg("%s: wanted %s, got %s", field, want, got);
}

static void
expect_number(json_t *object, const char *field, double want)
{
	json_t *got = json_object_get(object, field);

	if (!json_is_number(got) || json_number_value(got) != want)
		fail_msg("%s: wanted %g, got %g", field, want, json_number_value(got));
}

/* --- framing ------------------------------------------------------------------ */

static const struct play client_play = {.role = ROLE_CLIENT, .n_streams = 3};

static void
test_two_requests_in_one_write(void **state)
{
	struct server sv = start(&client_play);
	struct ear *e = dial(sv.path);

	(void)state;
	say(e, "{\"id\":1,\"cmd\":\"version\"}\n{\"id\":2,\"cmd\":\"nope\"}\r\n"
	       "\n{\"id\":3,\"cmd\":\"status\"}\n");
	json_decref(expect_ok(hear(e)));
	expect_error(hear(e), "unknown_command");
	expect_error(hear(e), "bad_json");
	json_decref(expect_ok(hear(e)));
	hang_up(e);
	stop(&sv);
}

static void
test_one_request_in_three_writes(void **state)
{
	struct server sv = start(&client_play);
	struct ear *e = dial(sv.path);

	(void)state;
	say(e, "{\"id\":1,\"c");
	expect_alive(sv.path);
	say(e, "md\":\"versi");
	expect_alive(sv.path);
	say(e, "on\"}\n");
	json_decref(expect_ok(hear(e)));
	hang_up(e);
	stop(&sv);
}

static void
test_end_of_requests(void **state)
{
	struct server sv = start(&client_play);
	struct ear *e = dial(sv.path);

	(void)state;
	say(e, "{\"cmd\":\"version\"}\n{\"cmd\":\"version\"}\n{\"cmd\":\"vers");
	shutdown(e->fd, SHUT_WR);
	json_decref(expect_ok(hear(e)));
	json_decref(expect_ok(hear(e)));
	assert_null(hear(e));
	hang_up(e);
	stop(&sv);
}

static void
test_long_lines(void **state)
{
	struct server sv = start(&client_play);
	struct ear *e = dial(sv.path);
	static char line[3 * CTLMSG_LINE_MAX];
	const size_t lengths[] = {CTLMSG_LINE_MAX, CTLMSG_LINE_MAX + 1,
				  CTLMSG_LINE_MAX + 2, sizeof(line) - 1};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
		const size_t len = lengths[i];

		memset(line, ' ', sizeof(line));
		memcpy(line, "{\"cmd\":\"version\"}", 17);
		line[len] = '\n';
		say_bytes(e, line, len + 1);
		if (len > CTLMSG_LINE_MAX)
			expect_error(hear(e), "too_long");
		else
			json_decref(expect_ok(hear(e)));
		/* One answer each, and the next line is a line again. */
		say(e, "{\"id\":5,\"cmd\":\"commands\"}\n");
		json_decref(expect_ok(hear(e)));
	}
	hang_up(e);
	stop(&sv);
}

static void
test_noise(void **state)
{
	struct server sv = start(&client_play);
	unsigned seed = seed_choose();
	char noise[4096];

	(void)state;
	srand(seed);
	for (int round = 0; round < 50; round++) {
		struct ear *e = dial(sv.path);

		for (size_t i = 0; i < sizeof(noise); i++)
			noise[i] = (char)rand();
		noise[0] = '}'; /* or it might be JSON by chance */
		noise[sizeof(noise) - 1] = '\n';
		say_bytes(e, noise, sizeof(noise));
		expect_error(hear(e), "bad_json");
		hang_up(e); /* with answers that nobody reads */
	}
	expect_alive(sv.path);
	stop(&sv);
}

/* --- limits ---------------------------------------------------------------------- */

static void
test_slow_reader(void **state)
{
	const struct play play = {.role = ROLE_CLIENT, .n_streams = 9000};
	struct server sv = start(&play);
	struct ear *e = dial(sv.path);
	enum { REQUESTS = 40 };
	char line[96];

	(void)state;
	for (int i = 0; i < REQUESTS; i++) {
		snprintf(line, sizeof(line),
			 "{\"id\":%d,\"cmd\":\"streams\",\"limit\":500}\n", i);
		say(e, line);
	}
	/* Some 5 MB of answers wait, and nobody else does. */
	for (int i = 0; i < 10; i++)
		expect_alive(sv.path);
	for (int i = 0; i < REQUESTS; i++) {
		json_t *reply = hear(e);

		assert_int_equal(json_integer_value(json_object_get(reply, "id")), i);
		json_decref(expect_ok(reply));
	}
	hang_up(e);
	stop(&sv);
}

/* Closed once it has read nothing for CONTROL_STALL; not while it reads slowly. */
static void
test_stalled_reader(void **state)
{
	const struct play play = {.role = ROLE_CLIENT, .n_streams = 9000};
	struct server sv = start(&play);
	struct ear *e = dial(sv.path);
	struct pollfd hup = {.fd = e->fd};

	(void)state;
	for (int i = 0; i < 40; i++)
		say(e, "{\"cmd\":\"streams\",\"limit\":500}\n");
	assert_int_equal(poll(&hup, 1, 2 * (int)(CONTROL_STALL / NS_PER_MS)), 1);
	assert_true(hup.revents & POLLHUP);
	expect_alive(sv.path);
	hang_up(e);
	stop(&sv);
}

static void
test_too_many_clients(void **state)
{
	struct server sv = start(&client_play);
	struct ear *e[CONTROL_CLIENTS_MAX], *extra;
	bool again = true;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(e); i++) {
		e[i] = dial(sv.path);
		say(e[i], "{\"cmd\":\"version\"}\n");
		json_decref(expect_ok(hear(e[i])));
	}
	extra = dial(sv.path);
	expect_error(hear(extra), "busy");
	assert_null(hear(extra));
	hang_up(extra);
	expect_alive(sv.ro_path); /* has places of its own */
	hang_up(e[0]);
	while (again) { /* until the server has seen that e[0] is gone */
		json_t *reply = ask(sv.path, "{\"cmd\":\"version\"}");

		again = json_is_false(json_object_get(reply, "ok"));
		json_decref(reply);
	}
	for (size_t i = 1; i < ARRAY_LEN(e); i++)
		hang_up(e[i]);
	stop(&sv);
}

static void
test_answer_too_long(void **state)
{
	const struct play play = {
		.role = ROLE_CLIENT, .n_streams = 9000, .many_subflows = true};
	struct server sv = start(&play);

	(void)state;
	expect_error(ask(sv.path, "{\"cmd\":\"subflows\",\"limit\":500}"),
		     "reply_too_long");
	json_decref(expect_ok(ask(sv.path, "{\"cmd\":\"subflows\",\"limit\":50}")));
	stop(&sv);
}

/* --- commands -------------------------------------------------------------------- */

static void
test_read_only_socket(void **state)
{
	struct server sv = start(&client_play);
	json_t *result, *first;

	(void)state;
	expect_error(ask(sv.ro_path, "{\"cmd\":\"uplink.set\",\"uplink\":\"dsl\","
				     "\"priority\":\"never\"}"),
		     "read_only");
	result = expect_ok(ask(sv.ro_path, "{\"cmd\":\"uplinks\"}"));
	first = json_array_get(json_object_get(result, "uplinks"), 0);
	expect_text(first, "priority", "always");
	json_decref(result);
	stop(&sv);
}

static void
test_uplink_set(void **state)
{
	struct server sv = start(&client_play);
	json_t *result, *second;

	(void)state;
	result = expect_ok(ask(sv.path, "{\"cmd\":\"uplink.set\",\"uplink\":\"wwan0\","
					"\"priority\":\"backup\",\"later\":[1]}"));
	expect_text(result, "name", "lte");
	expect_text(result, "ifname", "wwan0");
	expect_text(result, "priority", "backup");
	json_decref(result);
	result = expect_ok(ask(sv.path, "{\"cmd\":\"uplinks\"}"));
	second = json_array_get(json_object_get(result, "uplinks"), 1);
	expect_text(second, "priority", "backup");
	json_decref(result);
	result = expect_ok(ask(sv.path, "{\"cmd\":\"uplink.set\",\"uplink\":\"lte\","
					"\"priority\":\"off\"}"));
	expect_text(result, "priority", "never");
	json_decref(result);
	stop(&sv);
}

static void
test_bad_arguments(void **state)
{
	static const struct {
		const char *line, *code, *message;
	} table[] = {
		{"{\"cmd\":\"uplink.set\"}", "bad_argument", "\"uplink\" is missing"},
		{"{\"cmd\":\"uplink.set\",\"uplink\":7,\"priority\":\"backup\"}",
		 "bad_argument", "\"uplink\" is not a string"},
		{"{\"cmd\":\"uplink.set\",\"uplink\":\"dsl\"}", "bad_argument",
		 "\"priority\" is missing"},
		{"{\"cmd\":\"uplink.set\",\"uplink\":\"dsl\",\"priority\":null}",
		 "bad_argument", "\"priority\" is not a string"},
		{"{\"cmd\":\"uplink.set\",\"uplink\":\"dsl\",\"priority\":\"fast\"}",
		 "bad_priority", "\"fast\" is not one of always, backup, never"},
		{"{\"cmd\":\"uplink.set\",\"uplink\":\"w\xc3\xa4\",\"priority\":"
		 "\"off\"}",
		 "unknown_uplink",
		 "no uplink is called \"w\\xc3\\xa4\"; known: dsl, lte"},
		{"{\"cmd\":\"streams\",\"limit\":0}", "bad_argument",
		 "\"limit\" is not a whole number from 1 to 500"},
		{"{\"cmd\":\"streams\",\"limit\":501}", "bad_argument", "\"limit\""},
		{"{\"cmd\":\"streams\",\"from\":-1}", "bad_argument", "\"from\""},
		{"{\"cmd\":\"streams\",\"from\":\"1\"}", "bad_argument", "\"from\""},
		{"{\"cmd\":\"subflows\",\"from\":1.5}", "bad_argument", "\"from\""},
		{"{\"cmd\":\"subflows\",\"from\":9223372036854775807}", "bad_argument",
		 "\"from\""},
		{"{\"cmd\":\"\"}", "unknown_command", "no command is called \"\""},
	};
	struct server sv = start(&client_play);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		json_t *reply = ask(sv.path, table[i].line);
		json_t *error = json_object_get(reply, "error");
		const char *said = json_string_value(json_object_get(error, "message"));

		if (said == NULL || strstr(said, table[i].message) == NULL)
			fail_msg("row %zu: %s", i, said);
		expect_error(reply, table[i].code);
	}
	stop(&sv);
}

static void
test_server_role(void **state)
{
	const struct play play = {.role = ROLE_SERVER, .n_streams = 1};
	struct server sv = start(&play);
	json_t *result, *row;

	(void)state;
	expect_error(ask(sv.path, "{\"cmd\":\"uplinks\"}"), "wrong_role");
	expect_error(ask(sv.path, "{\"cmd\":\"uplink.set\",\"uplink\":\"dsl\","
				  "\"priority\":\"backup\"}"),
		     "wrong_role");
	result = expect_ok(ask(sv.path, "{\"cmd\":\"status\"}"));
	expect_text(result, "role", "server");
	assert_null(json_object_get(result, "listeners"));
	assert_null(json_object_get(result, "auto"));
	json_decref(result);
	result = expect_ok(ask(sv.path, "{\"cmd\":\"subflows\"}"));
	row = json_array_get(json_object_get(result, "subflows"), 0);
	assert_true(json_is_null(json_object_get(row, "uplink")));
	json_decref(result);
	stop(&sv);
}

static void
test_status(void **state)
{
	struct server sv = start(&client_play);
	json_t *result = expect_ok(ask(sv.path, "{\"cmd\":\"status\"}"));
	json_t *mptcp = json_object_get(result, "mptcp");
	json_t *udp = json_object_get(result, "udp");
	json_t *pm = json_object_get(result, "path_manager");
	json_t *streams = json_object_get(result, "streams");
	json_t *used = json_object_get(json_object_get(result, "descriptors"), "used");
	json_t *rss = json_object_get(json_object_get(result, "memory"), "rss_bytes");

	(void)state;
	expect_text(result, "role", "client");
	expect_text(result, "version", MPPROXY_VERSION);
	expect_number(result, "pid", sv.pid);
	expect_text(udp, "state", "connected to vps");
	expect_text(mptcp, "state", "connecting");
	expect_text(mptcp, "reason", "no answer from vps: \"x\"");
	expect_text(json_object_get(result, "auto"), "transport", "udp");
	expect_text(json_object_get(result, "auto"), "reason", "it fails over faster");
	expect_text(pm, "in_use", "kernel");
	expect_text(pm, "reason", "somebody else listens");
	expect_number(streams, "open", 3);
	expect_number(streams, "opened", 12000);
	expect_number(streams, "fallbacks", 3);
	assert_in_range(json_integer_value(used), 5, 100);
	assert_in_range(json_integer_value(rss), 500 * 1000, INT64_C(1) << 34);
	assert_int_equal(json_array_size(json_object_get(result, "listeners")), 1);
	json_decref(result);
	stop(&sv);
}

static void
test_bare_proxy(void **state)
{
	const struct play play = {.role = ROLE_CLIENT, .bare = true};
	struct server sv = start(&play);
	json_t *result;

	(void)state;
	result = expect_ok(ask(sv.path, "{\"cmd\":\"status\"}"));
	expect_text(json_object_get(result, "udp"), "state", "down");
	json_decref(result);
	result = expect_ok(ask(sv.path, "{\"cmd\":\"streams\"}"));
	expect_number(result, "total", 0);
	json_decref(result);
	json_decref(expect_ok(ask(sv.path, "{\"cmd\":\"uplinks\"}")));
	json_decref(expect_ok(ask(sv.path, "{\"cmd\":\"subflows\"}")));
	expect_error(ask(sv.path, "{\"cmd\":\"uplink.set\",\"uplink\":\"dsl\","
				  "\"priority\":\"backup\"}"),
		     "unknown_uplink");
	stop(&sv);
}

static void
test_pages_of_streams(void **state)
{
	const struct play play = {.role = ROLE_CLIENT, .n_streams = 9000};
	struct server sv = start(&play);
	struct ear *e = dial(sv.path);
	unsigned next = 1;

	(void)state;
	while (next <= 9000) {
		char line[96];
		json_t *result, *row;
		size_t i;

		snprintf(line, sizeof(line),
			 "{\"cmd\":\"streams\",\"from\":%u,\"limit\":500}\n", next - 1);
		say(e, line);
		result = expect_ok(hear(e));
		expect_number(result, "total", 9000);
		expect_number(result, "from", next - 1);
		expect_number(result, "limit", 500);
		assert_int_equal(json_array_size(json_object_get(result, "streams")),
				 500);
		json_array_foreach(json_object_get(result, "streams"), i, row)
		{
			expect_number(row, "id", next++);
		}
		json_decref(result);
	}
	hang_up(e);
	stop(&sv);
}

/* Each command of the list is answered in some way other than "unknown". */
static void
test_commands(void **state)
{
	struct server sv = start(&client_play);
	json_t *result = expect_ok(ask(sv.path, "{\"cmd\":\"commands\"}"));
	json_t *row;
	size_t i;

	(void)state;
	assert_int_equal(json_array_size(json_object_get(result, "commands")), 7);
	json_array_foreach(json_object_get(result, "commands"), i, row)
	{
		const char *name = json_string_value(json_object_get(row, "name"));
		char line[96];
		json_t *reply;

		snprintf(line, sizeof(line), "{\"cmd\":\"%s\"}", name);
		reply = ask(sv.path, line);
		if (strcmp(name, "uplink.set") == 0) {
			assert_true(json_is_false(json_object_get(row, "read_only")));
			expect_error(reply, "bad_argument");
		} else {
			assert_true(json_is_true(json_object_get(row, "read_only")));
			json_decref(expect_ok(reply));
		}
	}
	json_decref(result);
	stop(&sv);
}

/* --- socket files -------------------------------------------------------------- */

static void
test_socket_files(void **state)
{
	struct server sv = start(&client_play);
	struct loop *l = loop_new();
	char long_path[200];
	struct stat st;
	struct errmsg why;

	(void)state;
	assert_int_equal(stat(sv.path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0660);
	assert_int_equal(stat(sv.ro_path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0660);

	assert_null(control_new(l, sv.path, NULL, &why));
	assert_non_null(strstr(why.text, "another daemon"));
	expect_alive(sv.path); /* its sockets were left alone */
	expect_alive(sv.ro_path);

	snprintf(long_path, sizeof(long_path), "%s/%0108d.sock", sv.dir, 0);
	assert_null(control_new(l, long_path, NULL, &why));
	assert_non_null(strstr(why.text, "too long"));
	assert_null(control_new(l, "/nonexistent/x.sock", NULL, &why));
	assert_non_null(strstr(why.text, "directory"));
	loop_free(l);
	stop(&sv);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_two_requests_in_one_write),
		cmocka_unit_test(test_one_request_in_three_writes),
		cmocka_unit_test(test_end_of_requests),
		cmocka_unit_test(test_long_lines),
		cmocka_unit_test(test_noise),
		cmocka_unit_test(test_slow_reader),
		cmocka_unit_test(test_stalled_reader),
		cmocka_unit_test(test_too_many_clients),
		cmocka_unit_test(test_answer_too_long),
		cmocka_unit_test(test_read_only_socket),
		cmocka_unit_test(test_uplink_set),
		cmocka_unit_test(test_bad_arguments),
		cmocka_unit_test(test_server_role),
		cmocka_unit_test(test_status),
		cmocka_unit_test(test_bare_proxy),
		cmocka_unit_test(test_pages_of_streams),
		cmocka_unit_test(test_commands),
		cmocka_unit_test(test_socket_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
