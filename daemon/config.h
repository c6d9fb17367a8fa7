/*
 * config - the configuration, read from one INI file by one table of keys.
 *
 * Model:   immutable once loaded; a reload makes another one. Defaults are in
 *          the table, so that every field is set. Names are compared without
 *          case and stored as the user wrote them where they are values;
 *          section suffixes come in lower case from iniparser.
 * Bounds:  CONFIG_* below; text that does not fit is an error, never cut.
 * Owner:   config_free() frees all. Key material is not in it, only file names.
 * Errors:  NULL and a sentence: client.conf: [uplink lte] priority: "fast" is
 *          not one of always, backup, never.
 */
#ifndef DAEMON_CONFIG_H
#define DAEMON_CONFIG_H

#include "common/addr.h"
#include "common/errmsg.h"
#include "common/log.h"
#include "daemon/core/crypto.h"
#include "daemon/core/limits.h"
#include "daemon/core/scheduler.h"

#include <net/if.h>

enum {
	CONFIG_FILE_MAX = 1 << 20, /* bytes */
	CONFIG_PATH_MAX = 256,
	CONFIG_LISTEN_MAX = 8,    /* addresses of the server's listener */
	CONFIG_ADVERTISE_MAX = 8, /* addresses that it tells its clients */
	CONFIG_ENDPOINTS_MAX = 8, /* HOST:PORT of one server */
	CONFIG_GLOBS_MAX = 16,
	CONFIG_PREFIXES_MAX = 32,  /* per list of a peer */
	CONFIG_LISTENERS_MAX = 32, /* [listen NAME] */
	CONFIG_PEERS_MAX = 256,    /* [peer NAME] */
};

enum config_role { ROLE_CLIENT, ROLE_SERVER };
enum config_pm { PM_AUTO, PM_USERSPACE, PM_KERNEL };
enum config_priority { PRIORITY_ALWAYS, PRIORITY_BACKUP, PRIORITY_NEVER };
enum config_ingress { INGRESS_FORWARD, INGRESS_SOCKS5, INGRESS_HTTP };
enum config_transport {
	TRANSPORT_AUTO,
	TRANSPORT_MPTCP,
	TRANSPORT_UDP,
	TRANSPORT_COUNT,
};
enum config_protect { PROTECT_FULL, PROTECT_AUTH };

struct config_host {
	char host[HOST_MAX]; /* a name or an address without brackets */
	uint16_t port;
};

struct config_uplink { /* [uplink NAME] */
	char name[NAME_MAX_LEN];
	char interface[IF_NAMESIZE]; /* default: NAME */
	enum config_priority priority;
};

struct config_listener { /* [listen NAME] */
	char name[NAME_MAX_LEN];
	enum config_ingress type;
	struct addr address;
	struct config_host target; /* forward only */
	enum config_transport transport;
	enum config_protect protect;
	char user[256];                      /* socks5 and http; "": none asked */
	char password_file[CONFIG_PATH_MAX]; /* goes with user */
};

struct config_server { /* [server NAME], one, client only */
	char name[NAME_MAX_LEN];
	uint8_t public_key[CRYPTO_KEY_LEN];
	char preshared_key_file[CONFIG_PATH_MAX]; /* "": none */
	struct config_host endpoints[CONFIG_ENDPOINTS_MAX];
	size_t n_endpoints;
};

struct config_peer { /* [peer NAME], server only */
	char name[NAME_MAX_LEN];
	uint8_t public_key[CRYPTO_KEY_LEN];
	char preshared_key_file[CONFIG_PATH_MAX];
	uint32_t max_streams;
	bool allow_auth_only;
	/* Destinations. deny wins over allow; an empty allow allows all that is
	 * global; allow_private opens ranges that are not. */
	struct prefix allow[CONFIG_PREFIXES_MAX], deny[CONFIG_PREFIXES_MAX],
		allow_private[CONFIG_PREFIXES_MAX];
	size_t n_allow, n_deny, n_allow_private;
	bool allow_smtp; /* port 25 */
};

struct config { /* [general] and [uplinks] */
	enum config_role role;
	char private_key_file[CONFIG_PATH_MAX];
	char control_socket[CONFIG_PATH_MAX];
	char state_directory[CONFIG_PATH_MAX];
	enum log_level log_level;
	enum config_pm mptcp_pm;
	char congestion[16]; /* of the legs; default bbr where the kernel has it */
	enum scheduler_kind scheduler; /* udp, of what this side sends */
	uint32_t max_streams;          /* of the whole daemon */

	struct addr listen[CONFIG_LISTEN_MAX]; /* server */
	struct addr advertise[CONFIG_ADVERTISE_MAX];
	size_t n_listen, n_advertise;

	char uplinks_allow[CONFIG_GLOBS_MAX][IF_NAMESIZE]; /* client */
	char uplinks_deny[CONFIG_GLOBS_MAX][IF_NAMESIZE];
	size_t n_uplinks_allow, n_uplinks_deny;
	struct config_uplink uplinks[UPLINKS_MAX];
	size_t n_uplinks;
	struct config_server server;
	struct config_listener listeners[CONFIG_LISTENERS_MAX];
	size_t n_listeners;

	struct config_peer *peers; /* server */
	size_t n_peers;
};

struct config *config_load(const char *file, struct errmsg *why);
/* The same for text that is here already; `file` is what errors call it. */
struct config *
config_parse(const char *file, const char *text, size_t len, struct errmsg *why);
void config_free(struct config *c);

/* Words as typed: always|on|nobackup, backup, never|off. -EINVAL: none of them. */
int
config_parse_priority(const char *text, enum config_priority *ret_priority) MUST_CHECK;
const char *config_priority_name(enum config_priority p);
const char *config_ingress_name(enum config_ingress i);

#endif
