/*
 * What a daemon is to the other side: keys from files, a boot id of its own.
 */
#include "tests/unit/unit.h"

#include "daemon/identity.h"
#include "tests/unit/clients.h"
#include "tests/unit/seed.h"

#include <string.h>

static unsigned seed;
static const uint8_t zero[CRYPTO_KEY_LEN];

static void
a_server_has_its_private_key(void **state)
{
	struct clients c;
	uint8_t pub[CRYPTO_KEY_LEN];

	(void)state;
	clients_init(&c, seed);
	assert_int_equal(crypto_x25519_public(pub, c.server.private_key), 0);
	assert_memory_equal(pub, c.server_pub, sizeof(pub));
	assert_memory_equal(c.server.psk, zero, sizeof(zero));
	clients_done(&c);
}

static void
a_client_has_the_shared_key_too(void **state)
{
	struct identity me;
	struct errmsg why = {""};
	struct clients c;

	(void)state;
	clients_init(&c, seed);
	strcpy(c.config.server.preshared_key_file, c.config.private_key_file);
	assert_int_equal(identity_init(&me, &c.config, &why), 0);
	assert_memory_equal(me.psk, c.server.private_key, sizeof(me.psk));
	assert_ptr_equal(me.config, &c.config);
	identity_done(&me);
	assert_memory_equal(me.psk, zero, sizeof(me.psk));
	assert_memory_equal(me.private_key, zero, sizeof(me.private_key));
	clients_done(&c);
}

static void
every_run_has_a_boot_id_of_its_own(void **state)
{
	struct identity me;
	struct errmsg why = {""};
	struct clients c;

	(void)state;
	clients_init(&c, seed);
	assert_int_equal(identity_init(&me, &c.config, &why), 0);
	assert_memory_equal(me.private_key, c.server.private_key,
			    sizeof(me.private_key));
	assert_memory_not_equal(me.boot_id, c.server.boot_id, sizeof(me.boot_id));
	identity_done(&me);
	clients_done(&c);
}

static void
a_key_that_is_not_there_is_an_error(void **state)
{
	struct identity me;
	struct errmsg why = {""};
	struct clients c;

	(void)state;
	clients_init(&c, seed);
	strcpy(c.config.server.preshared_key_file, "/nowhere/psk");
	assert_int_equal(identity_init(&me, &c.config, &why), -ENOENT);
	assert_non_null(strstr(why.text, "/nowhere/psk"));
	identity_done(&me);
	clients_done(&c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_server_has_its_private_key),
		cmocka_unit_test(a_client_has_the_shared_key_too),
		cmocka_unit_test(every_run_has_a_boot_id_of_its_own),
		cmocka_unit_test(a_key_that_is_not_there_is_an_error),
	};

	seed = seed_choose();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
