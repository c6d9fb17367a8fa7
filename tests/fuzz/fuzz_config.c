/*
 * fuzz_config - any text gives a configuration within its bounds, or a sentence.
 */
#include "daemon/config.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check(const struct config *c)
{
	assert(c->role == ROLE_CLIENT || c->role == ROLE_SERVER);
	assert(c->private_key_file[0] == '/' && c->control_socket[0] == '/');
	assert(c->max_streams > 0 && c->log_level <= LOG_LEVEL_DEBUG);
	assert(c->n_listen <= CONFIG_LISTEN_MAX);
	assert((c->role == ROLE_SERVER) == (c->n_listen > 0));
	assert(c->n_uplinks <= UPLINKS_MAX && c->n_listeners <= CONFIG_LISTENERS_MAX);
	assert(c->n_peers <= CONFIG_PEERS_MAX);
	for (size_t i = 0; i < c->n_uplinks; i++)
		assert(c->uplinks[i].name[0] != '\0' &&
		       c->uplinks[i].interface[0] != '\0');
	for (size_t i = 0; i < c->n_listeners; i++) {
		const struct config_listener *l = &c->listeners[i];

		/* What everybody can reach asks for a password. */
		assert(!addr_is_wildcard(&l->address) || l->password_file[0] == '/');
		assert((l->type == INGRESS_FORWARD) == (l->target.port != 0));
	}
}

/* Errors are one printable line, whatever was in the file. */
static void
check_sentence(const struct errmsg *why)
{
	assert(strncmp(why->text, "f.conf:", 7) == 0);
	for (const char *p = why->text; *p != '\0'; p++)
		assert(*p >= 0x20 && *p <= 0x7e);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct errmsg why;
	struct config *c = config_parse("f.conf", (const char *)data, size, &why);

	if (c != NULL)
		check(c);
	else
		check_sentence(&why);
	config_free(c);
	return 0;
}
