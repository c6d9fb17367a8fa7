#include "daemon/identity.h"

#include "daemon/secret.h"

#include <string.h>
#include <sys/random.h>

int
identity_init(struct identity *me, const struct config *c, struct errmsg *why)
{
	int err;

	memset(me, 0, sizeof(*me));
	me->config = c;
	err = secret_load_key(c->private_key_file, me->private_key, why);
	if (err == 0 && c->server.preshared_key_file[0] != '\0')
		err = secret_load_key(c->server.preshared_key_file, me->psk, why);
	if (err < 0)
		return err;
	if (getrandom(me->boot_id, sizeof(me->boot_id), 0) != sizeof(me->boot_id))
		return errmsg_set(why, -EIO, "no random bytes from the kernel");
	return 0;
}

struct handshake_secrets
identity_secrets(const struct identity *me)
{
	return (struct handshake_secrets){me->private_key,
					  me->config->server.public_key, me->psk};
}

void
identity_done(struct identity *me)
{
	crypto_wipe(me, sizeof(*me));
}
