#include "daemon/config_table.h"

#include <string.h>
#include <strings.h>

const struct config_kind_info config_kinds[KIND_COUNT] = {
	[KIND_GENERAL] = {"general", false, FOR_BOTH, 1},
	[KIND_UPLINKS] = {"uplinks", false, FOR_CLIENT, 1},
	[KIND_UPLINK] = {"uplink", true, FOR_CLIENT, UPLINKS_MAX},
	[KIND_SERVER] = {"server", true, FOR_CLIENT, 1},
	[KIND_LISTEN] = {"listen", true, FOR_CLIENT, CONFIG_LISTENERS_MAX},
	[KIND_PEER] = {"peer", true, FOR_SERVER, CONFIG_PEERS_MAX},
};

const struct config_word config_roles[] = {
	{.text = "client", .value = ROLE_CLIENT},
	{.text = "server", .value = ROLE_SERVER},
	{0},
};

const struct config_word config_priorities[] = {
	{.text = "always", .value = PRIORITY_ALWAYS},
	{.text = "backup", .value = PRIORITY_BACKUP},
	{.text = "never", .value = PRIORITY_NEVER},
	{.text = "on", .value = PRIORITY_ALWAYS, .hidden = true},
	{.text = "nobackup", .value = PRIORITY_ALWAYS, .hidden = true},
	{.text = "off", .value = PRIORITY_NEVER, .hidden = true},
	{0},
};

const struct config_word config_ingresses[] = {
	{.text = "forward", .value = INGRESS_FORWARD},
	{.text = "socks5", .value = INGRESS_SOCKS5},
	{.text = "http", .value = INGRESS_HTTP},
	{0},
};

static const struct config_word log_levels[] = {
	{.text = "error", .value = LOG_LEVEL_ERROR},
	{.text = "warn", .value = LOG_LEVEL_WARN},
	{.text = "info", .value = LOG_LEVEL_INFO},
	{.text = "debug", .value = LOG_LEVEL_DEBUG},
	{0},
};

static const struct config_word path_managers[] = {
	{.text = "auto", .value = PM_AUTO},
	{.text = "userspace", .value = PM_USERSPACE},
	{.text = "kernel", .value = PM_KERNEL},
	{0},
};

static const struct config_word transports[] = {
	{.text = "auto", .value = TRANSPORT_AUTO},
	{.text = "mptcp", .value = TRANSPORT_MPTCP},
	{.text = "udp", .value = TRANSPORT_UDP},
	{0},
};

static const struct config_word protections[] = {
	{.text = "full", .value = PROTECT_FULL},
	{.text = "auth", .value = PROTECT_AUTH},
	{0},
};

static const struct config_word schedulers[] = {
	{.text = "earliest", .value = SCHEDULER_EARLIEST},
	{.text = "minrtt", .value = SCHEDULER_MINRTT},
	{.text = "lowest-latency", .value = SCHEDULER_LOWEST_LATENCY},
	{.text = "redundant", .value = SCHEDULER_REDUNDANT},
	{0},
};

static const struct config_word booleans[] = {
	{.text = "yes", .value = true},
	{.text = "no", .value = false},
	{0},
};

/* The kernel's name of an algorithm has 16 bytes with its NUL (TCP_CA_NAME_MAX). */
enum { CONGESTION_MAX = 15 };

/* sun_path has 108 bytes; "-ro" and a NUL go into it as well. */
enum { SOCKET_PATH_MAX = 104 };

#define AT(type, member)   .offset = offsetof(struct type, member)
#define LIST(type, member) AT(type, member), .count = offsetof(struct type, n_##member)
#define ONE_OF(list)       .type = TYPE_WORD, .words = (list)
#define YES_NO             .type = TYPE_BOOL, .words = booleans
#define PATH               .type = TYPE_PATH, .max = CONFIG_PATH_MAX - 1

/* The role comes first: what is known of the others depends on it. */
const struct config_key config_keys[] = {
	{KIND_GENERAL, "role", ONE_OF(config_roles), .roles = FOR_BOTH,
	 .required = true, AT(config, role),
	 .help = "which side of the pair this daemon is"},
	{KIND_GENERAL, "private_key_file", PATH, .roles = FOR_BOTH, .required = true,
	 AT(config, private_key_file),
	 .help = "this daemon's private key, from mpproxyctl genkey"},
	{KIND_GENERAL, "control_socket", .type = TYPE_PATH, .max = SOCKET_PATH_MAX,
	 .roles = FOR_BOTH, .initial = "/run/mpproxy/{role}.sock",
	 AT(config, control_socket), .help = "where mpproxyctl reaches the daemon"},
	{KIND_GENERAL, "state_directory", PATH, .roles = FOR_BOTH,
	 .initial = "/var/lib/mpproxy", AT(config, state_directory),
	 .help = "what must outlive the daemon"},
	{KIND_GENERAL, "log_level", ONE_OF(log_levels), .roles = FOR_BOTH,
	 .initial = "info", AT(config, log_level), .help = "how much is logged"},
	{KIND_GENERAL, "mptcp_pm", ONE_OF(path_managers), .roles = FOR_BOTH,
	 .initial = "auto", AT(config, mptcp_pm), .help = "who manages MPTCP subflows"},
	{KIND_GENERAL, "congestion", .type = TYPE_CONGESTION, .max = CONGESTION_MAX,
	 .roles = FOR_BOTH, .initial = "bbr", AT(config, congestion),
	 .help = "congestion control between the daemons"},
	{KIND_GENERAL, "scheduler", ONE_OF(schedulers), .roles = FOR_BOTH,
	 .initial = "earliest", AT(config, scheduler),
	 .help = "which subflow of the udp transport carries what"},
	{KIND_GENERAL, "max_streams", .type = TYPE_NUMBER, .min = 1, .max = 1000000,
	 .roles = FOR_BOTH, .initial = "4096", AT(config, max_streams),
	 .help = "streams at one time, in the whole daemon"},
	{KIND_GENERAL, "listen", .type = TYPE_ADDR, .max = CONFIG_LISTEN_MAX,
	 .roles = FOR_SERVER, .required = true, LIST(config, listen),
	 .help = "addresses with ports where clients are expected"},
	{KIND_GENERAL, "advertise", .type = TYPE_ADDR, .max = CONFIG_ADVERTISE_MAX,
	 .roles = FOR_SERVER, LIST(config, advertise),
	 .help = "further addresses with ports that clients over udp are told of"},

	{KIND_UPLINKS, "allow", .type = TYPE_GLOB, .max = CONFIG_GLOBS_MAX,
	 .roles = FOR_CLIENT, LIST(config, uplinks_allow),
	 .help = "interfaces that become uplinks without a section of their own"},
	{KIND_UPLINKS, "deny", .type = TYPE_GLOB, .max = CONFIG_GLOBS_MAX,
	 .roles = FOR_CLIENT, LIST(config, uplinks_deny),
	 .help = "interfaces that allow must not match"},

	{KIND_UPLINK, "interface", .type = TYPE_INTERFACE, .max = IF_NAMESIZE - 1,
	 .roles = FOR_CLIENT, .initial = "{name}", AT(config_uplink, interface),
	 .help = "the network interface"},
	{KIND_UPLINK, "priority", ONE_OF(config_priorities), .roles = FOR_CLIENT,
	 .initial = "always", AT(config_uplink, priority),
	 .help = "when the uplink carries data"},

	{KIND_SERVER, "public_key", .type = TYPE_KEY, .roles = FOR_CLIENT,
	 .required = true, AT(config_server, public_key),
	 .help = "the server's public key"},
	{KIND_SERVER, "endpoint", .type = TYPE_HOST, .max = CONFIG_ENDPOINTS_MAX,
	 .roles = FOR_CLIENT, .required = true,
	 .offset = offsetof(struct config_server, endpoints),
	 .count = offsetof(struct config_server, n_endpoints),
	 .help = "names or addresses of the server, with ports"},
	{KIND_SERVER, "preshared_key_file", PATH, .roles = FOR_CLIENT,
	 AT(config_server, preshared_key_file),
	 .help = "a second secret that both sides hold, from mpproxyctl genpsk"},

	{KIND_LISTEN, "type", ONE_OF(config_ingresses), .roles = FOR_CLIENT,
	 .required = true, AT(config_listener, type), .help = "what is spoken there"},
	{KIND_LISTEN, "address", .type = TYPE_ADDR, .roles = FOR_CLIENT,
	 .required = true, AT(config_listener, address),
	 .help = "address and port to listen on"},
	{KIND_LISTEN, "target", .type = TYPE_HOST, .roles = FOR_CLIENT,
	 AT(config_listener, target), .help = "where a forward listener leads"},
	{KIND_LISTEN, "transport", ONE_OF(transports), .roles = FOR_CLIENT,
	 .initial = "auto", AT(config_listener, transport),
	 .help = "what carries the streams"},
	{KIND_LISTEN, "protect", ONE_OF(protections), .roles = FOR_CLIENT,
	 .initial = "full", AT(config_listener, protect),
	 .help = "how much of a stream is sealed between the daemons"},
	{KIND_LISTEN, "user", .type = TYPE_USER, .max = 255, .roles = FOR_CLIENT,
	 AT(config_listener, user), .help = "the user name that is asked for"},
	{KIND_LISTEN, "password_file", PATH, .roles = FOR_CLIENT,
	 AT(config_listener, password_file), .help = "the password that is asked for"},

	{KIND_PEER, "public_key", .type = TYPE_KEY, .roles = FOR_SERVER,
	 .required = true, AT(config_peer, public_key),
	 .help = "the client's public key"},
	{KIND_PEER, "preshared_key_file", PATH, .roles = FOR_SERVER,
	 AT(config_peer, preshared_key_file),
	 .help = "a second secret that both sides hold, from mpproxyctl genpsk"},
	{KIND_PEER, "max_streams", .type = TYPE_NUMBER, .min = 1, .max = 1000000,
	 .roles = FOR_SERVER, .initial = "4096", AT(config_peer, max_streams),
	 .help = "streams of this client at one time"},
	{KIND_PEER, "allow_auth_only", YES_NO, .roles = FOR_SERVER, .initial = "no",
	 AT(config_peer, allow_auth_only),
	 .help = "whether the client's listeners may use protect = auth"},
	{KIND_PEER, "allow", .type = TYPE_PREFIX, .max = CONFIG_PREFIXES_MAX,
	 .roles = FOR_SERVER, LIST(config_peer, allow),
	 .help = "the only destinations the client may reach"},
	{KIND_PEER, "deny", .type = TYPE_PREFIX, .max = CONFIG_PREFIXES_MAX,
	 .roles = FOR_SERVER, LIST(config_peer, deny),
	 .help = "destinations the client may not reach"},
	{KIND_PEER, "allow_private", .type = TYPE_PREFIX, .max = CONFIG_PREFIXES_MAX,
	 .roles = FOR_SERVER, LIST(config_peer, allow_private),
	 .help = "destinations that are not global and may be reached all the same"},
	{KIND_PEER, "allow_smtp", YES_NO, .roles = FOR_SERVER, .initial = "no",
	 AT(config_peer, allow_smtp), .help = "whether port 25 may be reached"},
};

const size_t config_n_keys = ARRAY_LEN(config_keys);
_Static_assert(ARRAY_LEN(config_keys) <= CONFIG_KEYS_MAX,
	       "CONFIG_KEYS_MAX is too small");

const struct config_key *
config_key_find(enum config_kind kind, const char *name)
{
	for (size_t i = 0; i < config_n_keys; i++) {
		if (config_keys[i].kind == kind &&
		    strcasecmp(config_keys[i].name, name) == 0)
			return &config_keys[i];
	}
	return NULL;
}

const struct config_kind_info *
config_kind_find(const char *name)
{
	for (size_t i = 0; i < KIND_COUNT; i++) {
		if (strcasecmp(config_kinds[i].name, name) == 0)
			return &config_kinds[i];
	}
	return NULL;
}

/* Letters to add, drop or exchange until `a` is `b` (Levenshtein). */
static size_t
distance(const char *a, const char *b)
{
	size_t row[CONFIG_KEY_NAME_MAX + 1];
	size_t n = strlen(b);

	assert(n <= CONFIG_KEY_NAME_MAX);
	for (size_t j = 0; j <= n; j++)
		row[j] = j;
	for (size_t i = 0; a[i] != '\0'; i++) {
		size_t diagonal = row[0];

		row[0] = i + 1;
		for (size_t j = 0; j < n; j++) {
			bool same = strncasecmp(&a[i], &b[j], 1) == 0;
			size_t exchanged = diagonal + (same ? 0 : 1);

			diagonal = row[j + 1];
			row[j + 1] =
				min_size(exchanged, min_size(row[j], row[j + 1]) + 1);
		}
	}
	return row[n];
}

/* Two slips are a slip; in a short word they are another word. */
static size_t
slips_allowed(const char *name)
{
	return strlen(name) < 5 ? 1 : 2;
}

const struct config_key *
config_key_suggest(enum config_kind kind, const char *name)
{
	const struct config_key *best = NULL;
	size_t best_distance = slips_allowed(name) + 1;

	for (size_t i = 0; i < config_n_keys; i++) {
		const struct config_key *k = &config_keys[i];
		size_t d = distance(name, k->name);

		/* In its own section a slip, in another one only the exact word. */
		if (k->kind != kind && d > 0)
			continue;
		if (d < best_distance) {
			best = k;
			best_distance = d;
		}
	}
	return best;
}

const struct config_kind_info *
config_kind_suggest(const char *name)
{
	for (size_t i = 0; i < KIND_COUNT; i++) {
		if (distance(name, config_kinds[i].name) <= slips_allowed(name))
			return &config_kinds[i];
	}
	return NULL;
}

const char *
config_word_of(const struct config_word *words, unsigned value)
{
	while (words->text != NULL && words->value != value)
		words++;
	return words->text;
}

int
config_word_find(const struct config_word *words, const char *text,
		 const struct config_word **ret_word)
{
	for (; words->text != NULL; words++) {
		if (strcasecmp(words->text, text) == 0) {
			*ret_word = words;
			return 0;
		}
	}
	return -EINVAL;
}
