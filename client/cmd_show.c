#include "client/cmd.h"
#include "client/ctl.h"
#include "client/print.h"

#include <stdio.h>
#include <string.h>

static const struct print_column uplink_columns[] = {
	{"UPLINK", "name", PRINT_TEXT},        {"INTERFACE", "ifname", PRINT_TEXT},
	{"STATE", "state", PRINT_STATE},       {"FOR", "state_s", PRINT_SECONDS},
	{"PRIORITY", "priority", PRINT_TEXT},  {"SRTT", "srtt_ms", PRINT_MS},
	{"SUBFLOWS", "subflows", PRINT_COUNT}, {"ADDRESSES", "addresses", PRINT_LIST},
	{"REASON", "reason", PRINT_TEXT},
};

static const struct print_column stream_columns[] = {
	{"ID", "id", PRINT_COUNT},
	{"PEER", "peer", PRINT_TEXT},
	{"LISTENER", "listener", PRINT_TEXT},
	{"TRANSPORT", "transport", PRINT_TEXT},
	{"DESTINATION", "destination", PRINT_TEXT},
	{"STATE", "state", PRINT_STATE},
	{"PROTECT", "protect", PRINT_TEXT},
	{"SUBFLOWS", "subflows", PRINT_COUNT},
	{"UP", "bytes_up", PRINT_BYTES},
	{"DOWN", "bytes_down", PRINT_BYTES},
	{"AGE", "age_s", PRINT_SECONDS},
	{"FALLBACK", "fallback", PRINT_TEXT},
};

static const struct print_column subflow_columns[] = {
	{"STREAM", "stream", PRINT_COUNT},       {"UPLINK", "uplink", PRINT_TEXT},
	{"LOCAL", "local", PRINT_TEXT},          {"REMOTE", "remote", PRINT_TEXT},
	{"STATE", "state", PRINT_STATE},         {"BACKUP", "backup", PRINT_YES},
	{"SRTT", "srtt_ms", PRINT_MS},           {"CWND", "cwnd", PRINT_COUNT},
	{"IN-FLIGHT", "in_flight", PRINT_COUNT}, {"LOST", "lost", PRINT_COUNT},
	{"RETRANS", "retransmits", PRINT_COUNT}, {"SENT", "bytes_tx", PRINT_BYTES},
	{"RECEIVED", "bytes_rx", PRINT_BYTES},   {"RATE", "rate_tx", PRINT_RATE},
};

static const struct print_column session_columns[] = {
	{"PEER", "peer", PRINT_TEXT},
	{"ID", "id", PRINT_COUNT},
	{"UPLINK", "uplink", PRINT_TEXT},
	{"CARRIER", "carrier", PRINT_TEXT},
	{"LOCAL", "local", PRINT_TEXT},
	{"REMOTE", "remote", PRINT_TEXT},
	{"STATE", "state", PRINT_STATE},
	{"FOR", "state_s", PRINT_SECONDS},
	{"PRIORITY", "priority", PRINT_TEXT},
	{"SRTT", "srtt_ms", PRINT_MS},
	{"MIN-RTT", "min_rtt_ms", PRINT_MS},
	{"QUEUE", "queueing_ms", PRINT_MS},
	{"CWND", "cwnd_bytes", PRINT_BYTES},
	{"IN-FLIGHT", "in_flight_bytes", PRINT_BYTES},
	{"LOST", "pkt_lost", PRINT_COUNT},
	{"SENT", "bytes_tx", PRINT_BYTES},
	{"RECEIVED", "bytes_rx", PRINT_BYTES},
	{"RATE", "rate_tx", PRINT_RATE},
	{"MTU", "mtu", PRINT_COUNT},
};

static const struct print_column listener_columns[] = {
	{"LISTENER", "name", PRINT_TEXT},
	{"TYPE", "type", PRINT_TEXT},
	{"ADDRESS", "address", PRINT_TEXT},
	{"ACCEPTED", "accepted", PRINT_COUNT},
	{"PENDING", "pending", PRINT_COUNT},
	{"REFUSED", "refused_header", PRINT_COUNT},
	{"TIMED-OUT", "timed_out", PRINT_COUNT},
	{"SHED", "shed", PRINT_COUNT},
};

struct value {
	char s[300];
};

/* The field of an object in `root`, as text. */
static struct value
get(json_t *root, const char *object, const char *field, enum print_format format)
{
	json_t *from = object == NULL ? root : json_object_get(root, object);
	struct value v;

	print_value(v.s, sizeof(v.s), format, json_object_get(from, field));
	return v;
}

static void
print_with_reason(const char *label, json_t *r, const char *object, const char *field)
{
	struct value reason = get(r, object, "reason", PRINT_TEXT);
	bool none = strcmp(reason.s, "-") == 0;

	print_line(label, "%s%s%s", get(r, object, field, PRINT_TEXT).s,
		   none ? "" : ": ", none ? "" : reason.s);
}

static void
print_figures(json_t *r)
{
	print_line("streams", "%s open, %s opened, %s refused, %s reset",
		   get(r, "streams", "open", PRINT_COUNT).s,
		   get(r, "streams", "opened", PRINT_COUNT).s,
		   get(r, "streams", "refused", PRINT_COUNT).s,
		   get(r, "streams", "reset", PRINT_COUNT).s);
	print_line("  ended ones", "%s up, %s down",
		   get(r, "streams", "ended_bytes_up", PRINT_BYTES).s,
		   get(r, "streams", "ended_bytes_down", PRINT_BYTES).s);
	print_line("legs", "%s waiting, %s fell back to plain TCP",
		   get(r, "streams", "legs_waiting", PRINT_COUNT).s,
		   get(r, "streams", "fallbacks", PRINT_COUNT).s);
	print_line("handshakes", "%s done, %s half open, %s strangers",
		   get(r, "streams", "handshakes", PRINT_COUNT).s,
		   get(r, "streams", "half_open", PRINT_COUNT).s,
		   get(r, "streams", "strangers", PRINT_COUNT).s);
	print_line("subflows",
		   "%s joined, %s joins failed, %s found dead, "
		   "%s by the peer",
		   get(r, "subflows", "joined", PRINT_COUNT).s,
		   get(r, "subflows", "join_failed", PRINT_COUNT).s,
		   get(r, "subflows", "found_dead", PRINT_COUNT).s,
		   get(r, "subflows", "peer_said_dead", PRINT_COUNT).s);
}

static void
print_sessions(json_t *r)
{
	print_line("udp sessions", "%s, %s subflows active, %s of buffers",
		   get(r, "udp", "sessions", PRINT_COUNT).s,
		   get(r, "udp", "subflows_active", PRINT_COUNT).s,
		   get(r, "udp", "held_bytes", PRINT_BYTES).s);
	print_line("  since start",
		   "%s sent, %s again, %s packets refused, keys renewed %s times",
		   get(r, "udp", "sent_bytes", PRINT_BYTES).s,
		   get(r, "udp", "resent_bytes", PRINT_BYTES).s,
		   get(r, "udp", "refused_packets", PRINT_COUNT).s,
		   get(r, "udp", "rekeys", PRINT_COUNT).s);
}

static void
show_status(json_t *r)
{
	json_t *listeners = json_object_get(r, "listeners");

	print_line("mpproxyd", "%s, %s, pid %s, up %s",
		   get(r, NULL, "version", PRINT_TEXT).s,
		   get(r, NULL, "role", PRINT_TEXT).s,
		   get(r, NULL, "pid", PRINT_COUNT).s,
		   get(r, NULL, "uptime_s", PRINT_SECONDS).s);
	print_with_reason("mptcp", r, "mptcp", "state");
	print_with_reason("udp", r, "udp", "state");
	if (json_object_get(r, "auto") != NULL)
		print_with_reason("auto", r, "auto", "transport");
	print_with_reason("path manager", r, "path_manager", "in_use");
	print_figures(r);
	print_sessions(r);
	print_line("memory", "%s resident",
		   get(r, "memory", "rss_bytes", PRINT_BYTES).s);
	print_line("descriptors", "%s of %s",
		   get(r, "descriptors", "used", PRINT_COUNT).s,
		   get(r, "descriptors", "max", PRINT_COUNT).s);
	if (json_array_size(listeners) > 0) {
		putchar('\n');
		print_table(listener_columns, ARRAY_LEN(listener_columns), listeners);
	}
}

static void
show_uplinks(json_t *r)
{
	print_table(uplink_columns, ARRAY_LEN(uplink_columns),
		    json_object_get(r, "uplinks"));
}

/* Says on standard error, and so outside of the table, that there are more. */
static void
mention_rest(json_t *r, const char *what)
{
	uint64_t asked = (uint64_t)json_integer_value(json_object_get(r, "limit"));
	uint64_t from = (uint64_t)json_integer_value(json_object_get(r, "from"));
	uint64_t total = (uint64_t)json_integer_value(json_object_get(r, "total"));

	if (from >= total || total - from <= asked)
		return;
	print_error("note: %s up to %llu of %llu; go on with --from %llu", what,
		    (unsigned long long)(from + asked), (unsigned long long)total,
		    (unsigned long long)(from + asked));
}

static void
show_streams(json_t *r)
{
	print_table(stream_columns, ARRAY_LEN(stream_columns),
		    json_object_get(r, "streams"));
	mention_rest(r, "streams");
}

/* The rows of one transport; other columns are of use for each. */
static json_t *
rows_of(json_t *rows, const char *transport)
{
	json_t *row, *found = json_array();
	size_t i;

	json_array_foreach(rows, i, row)
	{
		const char *t = json_string_value(json_object_get(row, "transport"));

		if (t != NULL && strcmp(t, transport) == 0)
			json_array_append(found, row);
	}
	return found;
}

void
cmd_show_sessions(json_t *rows)
{
	print_table(session_columns, ARRAY_LEN(session_columns), rows);
}

static void
show_subflows(json_t *r)
{
	json_t *udp = rows_of(json_object_get(r, "subflows"), "udp");
	json_t *mptcp = rows_of(json_object_get(r, "subflows"), "mptcp");

	if (json_array_size(udp) > 0) {
		cmd_show_sessions(udp);
		putchar('\n');
	}
	print_table(subflow_columns, ARRAY_LEN(subflow_columns), mptcp);
	mention_rest(r, "subflows");
	json_decref(udp);
	json_decref(mptcp);
}

static void
show_version(json_t *r)
{
	printf("mpproxyd %s (%s)\nmpproxyctl " MPPROXY_VERSION "\n",
	       get(r, NULL, "version", PRINT_TEXT).s,
	       get(r, NULL, "role", PRINT_TEXT).s);
}

static const struct {
	const char *name;
	void (*show)(json_t *result);
} shows[] = {
	{"status", show_status},   {"uplinks", show_uplinks},
	{"streams", show_streams}, {"subflows", show_subflows},
	{"version", show_version},
};

static json_t *
request_for(const char *name, const struct cmd_options *o)
{
	json_t *request = json_pack("{s:s}", "cmd", name);

	if (o->from > 0)
		json_object_set_new(request, "from", json_integer((json_int_t)o->from));
	if (o->limit > 0)
		json_object_set_new(request, "limit",
				    json_integer((json_int_t)o->limit));
	return request;
}

enum cmd_exit
cmd_show(const struct cmd *c, const struct cmd_options *o)
{
	enum cmd_exit code;
	json_t *result;

	code = ctl_ask(o, request_for(c->name, o), &result);
	if (code != CMD_DONE)
		return code;
	if (o->json)
		print_json(result);
	for (size_t i = 0; i < ARRAY_LEN(shows) && !o->json; i++) {
		if (strcmp(c->name, shows[i].name) == 0)
			shows[i].show(result);
	}
	json_decref(result);
	return CMD_DONE;
}
