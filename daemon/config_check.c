#include "daemon/config_check.h"

#include <string.h>
#include <strings.h>

/* Both cannot be bound: the same port, and one address covers the other. */
static bool
overlap(const struct addr *a, const struct addr *b)
{
	if (a->port != b->port || a->family != b->family)
		return false;
	return addr_same_ip(a, b) || addr_is_wildcard(a) || addr_is_wildcard(b);
}

static int
check_two_uplinks(const struct config_uplink *a, const struct config_uplink *b,
		  struct errmsg *why)
{
	if (strcmp(a->interface, b->interface) == 0)
		return errmsg_set(why, -EINVAL,
				  "[uplink %s] interface: \"%s\" is the interface of "
				  "[uplink %s] already",
				  b->name, b->interface, a->name);
	/* Commands take the name or the interface: it must be clear which. */
	if (strcasecmp(a->name, b->interface) == 0)
		return errmsg_set(
			why, -EINVAL,
			"[uplink %s] interface: \"%s\" is the name of another "
			"uplink",
			b->name, b->interface);
	if (strcasecmp(b->name, a->interface) == 0)
		return errmsg_set(
			why, -EINVAL,
			"[uplink %s] interface: \"%s\" is the name of another "
			"uplink",
			a->name, a->interface);
	return 0;
}

static int
check_uplinks(const struct config *c, struct errmsg *why)
{
	int err = 0;

	if (c->n_uplinks == 0 && c->n_uplinks_allow == 0)
		return errmsg_set(
			why, -EINVAL,
			"there is no uplink: add an [uplink NAME] section, or "
			"allow = PATTERN to [uplinks]");
	for (size_t i = 0; i < c->n_uplinks; i++) {
		for (size_t j = 0; err == 0 && j < i; j++)
			err = check_two_uplinks(&c->uplinks[j], &c->uplinks[i], why);
	}
	return err;
}

static int
check_forward(const struct config_listener *l, struct errmsg *why)
{
	struct addr_text address = addr_format(&l->address);

	if (l->target.port == 0)
		return errmsg_set(
			why, -EINVAL,
			"[listen %s] target: is missing; type = forward needs "
			"target = HOST:PORT",
			l->name);
	if (l->user[0] != '\0' || l->password_file[0] != '\0')
		return errmsg_set(why, -EINVAL,
				  "[listen %s] %s: type = forward cannot ask for a "
				  "password; leave the line out",
				  l->name,
				  l->user[0] != '\0' ? "user" : "password_file");
	if (addr_is_wildcard(&l->address))
		return errmsg_set(
			why, -EINVAL,
			"[listen %s] address: \"%s\" is every address of this "
			"machine, and type = forward cannot ask for a "
			"password; name one address",
			l->name, address.s);
	return 0;
}

static int
check_proxy(const struct config_listener *l, struct errmsg *why)
{
	struct addr_text address = addr_format(&l->address);
	bool has_user = l->user[0] != '\0';
	bool has_password = l->password_file[0] != '\0';

	if (l->target.port != 0)
		return errmsg_set(why, -EINVAL,
				  "[listen %s] target: only type = forward has one; "
				  "leave the line out",
				  l->name);
	if (has_user != has_password)
		return errmsg_set(
			why, -EINVAL,
			"[listen %s] %s: is missing; user and password_file go "
			"together",
			l->name, has_user ? "password_file" : "user");
	if (!has_user && !addr_is_loopback(&l->address))
		return errmsg_set(why, -EINVAL,
				  "[listen %s] address: \"%s\" is not on loopback, so "
				  "others can reach it; add user and password_file",
				  l->name, address.s);
	return 0;
}

static int
check_listeners(const struct config *c, struct errmsg *why)
{
	for (size_t i = 0; i < c->n_listeners; i++) {
		const struct config_listener *l = &c->listeners[i];
		int err;

		err = l->type == INGRESS_FORWARD ? check_forward(l, why)
						 : check_proxy(l, why);
		if (err < 0)
			return err;
		if (l->protect == PROTECT_AUTH && l->transport == TRANSPORT_UDP)
			return errmsg_set(why, -EINVAL,
					  "[listen %s] protect: \"auth\" needs the "
					  "kernel's splicing; set transport = mptcp",
					  l->name);
		for (size_t j = 0; j < i; j++) {
			if (!overlap(&l->address, &c->listeners[j].address))
				continue;
			return errmsg_set(why, -EINVAL,
					  "[listen %s] address: \"%s\" is taken by "
					  "[listen %s] already",
					  l->name, addr_format(&l->address).s,
					  c->listeners[j].name);
		}
	}
	return 0;
}

static int
check_listen(const struct config *c, struct errmsg *why)
{
	for (size_t i = 0; i < c->n_listen; i++) {
		for (size_t j = 0; j < i; j++) {
			if (!overlap(&c->listen[i], &c->listen[j]))
				continue;
			return errmsg_set(why, -EINVAL,
					  "[general] listen: \"%s\" and \"%s\" cannot "
					  "both be listened on",
					  addr_format(&c->listen[j]).s,
					  addr_format(&c->listen[i]).s);
		}
	}
	return 0;
}

static int
check_advertise(const struct config *c, struct errmsg *why)
{
	for (size_t i = 0; i < c->n_advertise; i++) {
		const struct addr *a = &c->advertise[i];

		if (addr_is_wildcard(a))
			return errmsg_set(why, -EINVAL,
					  "[general] advertise: \"%s\" is no address "
					  "that a client could send to",
					  addr_format(a).s);
		for (size_t j = 0; j < i; j++) {
			if (addr_equal(a, &c->advertise[j]))
				return errmsg_set(why, -EINVAL,
						  "[general] advertise: \"%s\" is "
						  "there twice",
						  addr_format(a).s);
		}
	}
	return 0;
}

/* The key is all that tells clients apart. */
static int
check_peers(const struct config *c, struct errmsg *why)
{
	for (size_t i = 0; i < c->n_peers; i++) {
		for (size_t j = 0; j < i; j++) {
			if (memcmp(c->peers[i].public_key, c->peers[j].public_key,
				   CRYPTO_KEY_LEN) != 0)
				continue;
			return errmsg_set(why, -EINVAL,
					  "[peer %s] public_key: is that of [peer %s] "
					  "already; each client has its own",
					  c->peers[i].name, c->peers[j].name);
		}
	}
	return 0;
}

int
config_check(const struct config *c, struct errmsg *why)
{
	int err;

	if (c->role == ROLE_SERVER) {
		err = check_listen(c, why);
		if (err == 0)
			err = check_advertise(c, why);
		return err < 0 ? err : check_peers(c, why);
	}
	if (c->server.n_endpoints == 0)
		return errmsg_set(why, -EINVAL,
				  "there is no [server NAME] section: a client needs "
				  "one");
	err = check_uplinks(c, why);
	return err < 0 ? err : check_listeners(c, why);
}

const char *
config_check_doubt(const struct config *c)
{
	if (c->role == ROLE_SERVER && c->n_peers == 0)
		return "there is no [peer NAME] section, so no client is let in";
	if (c->role == ROLE_CLIENT && c->n_listeners == 0)
		return "there is no [listen NAME] section, so nothing comes in";
	return NULL;
}
