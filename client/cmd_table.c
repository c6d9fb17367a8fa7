#include "client/cmd.h"

const struct cmd cmd_table[] = {
	{"status", "", 0, false, "what the daemon is doing", "", cmd_show},
	{"uplinks", "", 0, false, "the uplinks and their states (client)", "",
	 cmd_show},
	{"why", "UPLINK", 1, false, "why an uplink is used, or not (client)",
	 "UPLINK is a name from the configuration or an interface. Tells what each\n"
	 "transport hears of the server over it, and its subflows of the udp "
	 "session.\n",
	 cmd_why},
	{"streams", "[--from N] [--limit N]", 0, true, "the streams that are open",
	 "Shows 200 streams, or --limit of them, after leaving out --from.\n",
	 cmd_show},
	{"subflows", "[--from N] [--limit N]", 0, true,
	 "the subflows of udp sessions and of mptcp streams",
	 "Shows 200 entries, or --limit of them, after leaving out --from: first each\n"
	 "subflow of a udp session, which all its streams share, then each open "
	 "stream\n"
	 "over mptcp, with its own. Figures are of the sending direction unless they\n"
	 "say so.\n",
	 cmd_show},
	{"version", "", 0, false, "the versions of the daemon and of mpproxyctl", "",
	 cmd_show},
	{"set-backup", "UPLINK", 1, false, "use an uplink only when no other is left",
	 "UPLINK is a name from the configuration or an interface. It acts on\n"
	 "running streams, in both directions; set-priority UPLINK always undoes it.\n",
	 cmd_set_backup},
	{"set-priority", "UPLINK PRIORITY", 2, false, "say when an uplink is used",
	 "PRIORITY is one of\n"
	 "  always (on, nobackup)  used whenever it works\n"
	 "  backup                 used only when no other is left\n"
	 "  never (off)            not used\n"
	 "It acts on running streams, and lasts until the daemon ends.\n",
	 cmd_set_priority},
	{"genkey", "", 0, false, "print a new private key", "Needs no daemon.\n",
	 cmd_genkey},
	{"pubkey", "", 0, false, "read a private key, print its public key",
	 "Needs no daemon. Like this:\n"
	 "  umask 077; mpproxyctl genkey | tee client.key | mpproxyctl pubkey\n",
	 cmd_pubkey},
	{"genpsk", "", 0, false, "print a new preshared key",
	 "Needs no daemon. Both sides have the same one, in preshared_key_file.\n",
	 cmd_genkey},
};

const size_t cmd_table_len = ARRAY_LEN(cmd_table);
