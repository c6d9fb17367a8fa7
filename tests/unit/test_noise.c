/*
 * The handshake pattern against published vectors, against another
 * implementation in both roles, and against forged messages.
 */
#include "tests/unit/unit.h"

#include "daemon/core/noise.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define VECTORS "/usr/share/gocode/src/github.com/flynn/noise/vectors.txt"
#define PATTERN "Noise_IKpsk2_25519_ChaChaPoly_SHA256"
#define PYTHON  "/usr/bin/python3" /* Debian's modules are for this one */
#define PEER    "tests/data/noise_peer.py"

enum { BYTES_MAX = 512, LINE_MAX_LEN = 2048, PEER_SECONDS = 60 };

struct bytes {
	uint8_t b[BYTES_MAX];
	size_t len;
};

static struct bytes
hex(const char *text)
{
	struct bytes r = {.len = strspn(text, "0123456789abcdef") / 2};

	assert_true(r.len <= BYTES_MAX - CRYPTO_TAG_LEN);
	for (size_t i = 0; i < r.len; i++)
		assert_int_equal(sscanf(text + 2 * i, "%2hhx", &r.b[i]), 1);
	return r;
}

static void
assert_bytes(const uint8_t *got, const struct bytes *want)
{
	assert_memory_equal(got, want->b, want->len);
}

static struct bytes
public_of(const struct bytes *priv)
{
	struct bytes pub = {.len = CRYPTO_KEY_LEN};

	assert_int_equal(crypto_x25519_public(pub.b, priv->b), 0);
	return pub;
}

/* Of transport messages; only the first of each direction is sealed here. */
static struct aead
transport_key(const uint8_t key[CRYPTO_KEY_LEN], bool seals)
{
	static const uint8_t iv[CRYPTO_IV_LEN];
	struct aead a;

	assert_int_equal(aead_init(&a, AEAD_CHACHA20_POLY1305, seals, key, iv), 0);
	return a;
}

static struct bytes
transport_seal(const uint8_t key[CRYPTO_KEY_LEN], struct bytes plain)
{
	struct aead a = transport_key(key, true);

	assert_int_equal(
		aead_seal(&a, (struct aead_nonce){0, 0}, NULL, 0, plain.b, plain.len),
		0);
	plain.len += CRYPTO_TAG_LEN;
	aead_done(&a);
	return plain;
}

static struct bytes
transport_open(const uint8_t key[CRYPTO_KEY_LEN], struct bytes sealed)
{
	struct aead a = transport_key(key, false);

	assert_int_equal(
		aead_open(&a, (struct aead_nonce){0, 0}, NULL, 0, sealed.b, sealed.len),
		0);
	sealed.len -= CRYPTO_TAG_LEN;
	aead_done(&a);
	return sealed;
}

struct vector {
	struct bytes init_static, resp_static, init_ephemeral, resp_ephemeral;
	struct bytes psk, prologue;
	struct bytes payload[4], ciphertext[4];
};

static void
check_vector(const struct vector *v)
{
	struct bytes resp_pub = public_of(&v->resp_static);
	struct bytes init_pub = public_of(&v->init_static), sealed;
	uint8_t msg[BYTES_MAX], payload[BYTES_MAX];
	uint8_t k1[32], k2[32], k1_resp[32], k2_resp[32];
	struct noise init, resp;

	assert_int_equal(noise_init_initiator(&init, v->prologue.b, v->prologue.len,
					      v->init_static.b, resp_pub.b),
			 0);
	assert_int_equal(noise_init_responder(&resp, v->prologue.b, v->prologue.len,
					      v->resp_static.b),
			 0);

	assert_int_equal(v->ciphertext[0].len, v->payload[0].len + NOISE_OVERHEAD_1);
	assert_int_equal(noise_write_1(&init, v->init_ephemeral.b, v->payload[0].b,
				       v->payload[0].len, msg),
			 0);
	assert_bytes(msg, &v->ciphertext[0]);
	assert_int_equal(noise_read_1(&resp, msg, v->ciphertext[0].len, payload), 0);
	assert_bytes(payload, &v->payload[0]);
	assert_bytes(resp.peer_static, &init_pub);

	assert_int_equal(v->ciphertext[1].len, v->payload[1].len + NOISE_OVERHEAD_2);
	assert_int_equal(noise_write_2(&resp, v->resp_ephemeral.b, v->psk.b,
				       v->payload[1].b, v->payload[1].len, msg),
			 0);
	assert_bytes(msg, &v->ciphertext[1]);
	assert_int_equal(
		noise_read_2(&init, v->psk.b, msg, v->ciphertext[1].len, payload), 0);
	assert_bytes(payload, &v->payload[1]);

	assert_memory_equal(init.hash, resp.hash, sizeof(init.hash));
	assert_int_equal(noise_split(&init, k1, k2), 0);
	assert_int_equal(noise_split(&resp, k1_resp, k2_resp), 0);
	assert_memory_equal(k1, k1_resp, sizeof(k1));
	assert_memory_equal(k2, k2_resp, sizeof(k2));
	sealed = transport_seal(k1, v->payload[2]);
	assert_int_equal(sealed.len, v->ciphertext[2].len);
	assert_bytes(sealed.b, &v->ciphertext[2]);
	sealed = transport_seal(k2, v->payload[3]);
	assert_int_equal(sealed.len, v->ciphertext[3].len);
	assert_bytes(sealed.b, &v->ciphertext[3]);
}

/* One line "key=hex" of a vector. */
static void
take_line(struct vector *v, const char *line)
{
	const struct {
		const char *key;
		struct bytes *to;
	} keys[] = {
		{"init_static=", &v->init_static},
		{"resp_static=", &v->resp_static},
		{"gen_init_ephemeral=", &v->init_ephemeral},
		{"gen_resp_ephemeral=", &v->resp_ephemeral},
		{"preshared_key=", &v->psk},
		{"prologue=", &v->prologue},
		{"msg_0_payload=", &v->payload[0]},
		{"msg_1_payload=", &v->payload[1]},
		{"msg_2_payload=", &v->payload[2]},
		{"msg_3_payload=", &v->payload[3]},
		{"msg_0_ciphertext=", &v->ciphertext[0]},
		{"msg_1_ciphertext=", &v->ciphertext[1]},
		{"msg_2_ciphertext=", &v->ciphertext[2]},
		{"msg_3_ciphertext=", &v->ciphertext[3]},
	};

	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		size_t len = strlen(keys[i].key);

		if (strncmp(line, keys[i].key, len) == 0) {
			*keys[i].to = hex(line + len);
			return;
		}
	}
	fail_msg("a line that no one knows in %s: %s", VECTORS, line);
}

static void
published_vectors(void **state)
{
	char line[LINE_MAX_LEN];
	FILE *f = fopen(VECTORS, "r");
	struct vector v;
	bool ours = false;
	int checked = 0;

	(void)state;
	if (f == NULL)
		fail_msg("%s is not there: install golang-github-flynn-noise-dev",
			 VECTORS);
	while (fgets(line, sizeof(line), f) != NULL) {
		if (strcmp(line, "handshake=" PATTERN "\n") == 0) {
			ours = true;
			memset(&v, 0, sizeof(v));
		} else if (ours && line[0] != '\n') {
			take_line(&v, line);
		} else if (ours) {
			check_vector(&v);
			checked++;
			ours = false;
		}
	}
	fclose(f);
	if (ours) {
		check_vector(&v);
		checked++;
	}
	assert_int_equal(checked, 4);
}

struct peer {
	FILE *to, *from;
	pid_t pid;
};

/* Ends by itself, one way or the other, after PEER_SECONDS. */
static struct peer
peer_start(void)
{
	struct peer p;
	int fds[2];

	if (access("/usr/lib/python3/dist-packages/dissononce", R_OK) < 0)
		fail_msg("dissononce is not there: install python3-dissononce");
	assert_int_equal(access(PEER, R_OK), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	p.pid = fork();
	assert_true(p.pid >= 0);
	if (p.pid == 0) {
		alarm(PEER_SECONDS);
		dup2(fds[1], 0);
		dup2(fds[1], 1);
		close(fds[0]);
		close(fds[1]);
		execl(PYTHON, PYTHON, PEER, (char *)NULL);
		_exit(127);
	}
	close(fds[1]);
	p.to = fdopen(fds[0], "w");
	p.from = fdopen(dup(fds[0]), "r");
	assert_true(p.to != NULL && p.from != NULL);
	return p;
}

static void
peer_end(struct peer *p)
{
	int status;

	fclose(p->to);
	fclose(p->from);
	assert_int_equal(waitpid(p->pid, &status, 0), p->pid);
	assert_int_equal(status, 0);
}

static void
peer_say(struct peer *p, const struct bytes *b)
{
	for (size_t i = 0; i < b->len; i++)
		fprintf(p->to, "%02x", b->b[i]);
	fputc('\n', p->to);
	fflush(p->to);
}

static struct bytes
peer_hear(struct peer *p)
{
	char line[LINE_MAX_LEN];

	if (fgets(line, sizeof(line), p->from) == NULL)
		fail_msg("%s went away", PEER);
	return hex(line);
}

struct talk {
	struct bytes prologue, psk, ours_static, theirs_static, ephemeral;
	struct bytes our_payload, their_payload;
};

static struct bytes
random_bytes(struct prng *rng, size_t len)
{
	struct bytes r = {.len = len};

	assert_int_equal(prng_bytes(rng, r.b, len), 0);
	return r;
}

static struct talk
talk_new(uint8_t seed_byte)
{
	uint8_t seed[CRYPTO_KEY_LEN];
	struct prng rng;
	struct talk t;

	memset(seed, seed_byte, sizeof(seed));
	assert_int_equal(prng_init(&rng, seed), 0);
	t.prologue = random_bytes(&rng, 15);
	t.psk = random_bytes(&rng, 32);
	t.ours_static = random_bytes(&rng, 32);
	t.theirs_static = random_bytes(&rng, 32);
	t.ephemeral = random_bytes(&rng, 32);
	t.our_payload = random_bytes(&rng, 32);
	t.their_payload = random_bytes(&rng, 80);
	return t;
}

static void
introduce(struct peer *p, const struct talk *t, const char *role)
{
	struct bytes responder = {.len = 0};

	if (strcmp(role, "initiator") == 0)
		responder = public_of(&t->ours_static);
	fprintf(p->to, "%s\n", role);
	peer_say(p, &t->prologue);
	peer_say(p, &t->theirs_static);
	peer_say(p, &responder);
	peer_say(p, &t->psk);
	peer_say(p, &t->their_payload);
}

/* What both ends must agree on after either handshake. */
static void
compare_notes(struct peer *p, const struct talk *t, const struct noise *ns,
	      bool we_initiate)
{
	struct bytes ours = public_of(&t->ours_static), got, sealed;
	struct bytes text = {.b = "opened elsewhere", .len = 16};
	uint8_t k1[32], k2[32];

	got = peer_hear(p);
	assert_int_equal(got.len, t->our_payload.len);
	assert_bytes(got.b, &t->our_payload);
	got = peer_hear(p);
	assert_bytes(got.b, &ours);
	got = peer_hear(p);
	assert_int_equal(got.len, CRYPTO_HASH_LEN);
	assert_bytes(ns->hash, &got);

	assert_int_equal(noise_split(ns, k1, k2), 0);
	got = transport_open(we_initiate ? k2 : k1, peer_hear(p));
	assert_int_equal(got.len, 16);
	assert_memory_equal(got.b, "sealed elsewhere", 16);
	sealed = transport_seal(we_initiate ? k1 : k2, text);
	peer_say(p, &sealed);
	got = peer_hear(p);
	assert_int_equal(got.len, text.len);
	assert_bytes(got.b, &text);
}

static void
initiates_towards_dissononce(void **state)
{
	struct talk t = talk_new(0x11);
	struct bytes responder = public_of(&t.theirs_static), msg, answer;
	struct peer p = peer_start();
	uint8_t payload[BYTES_MAX];
	struct noise ns;

	(void)state;
	introduce(&p, &t, "responder");
	assert_int_equal(noise_init_initiator(&ns, t.prologue.b, t.prologue.len,
					      t.ours_static.b, responder.b),
			 0);
	assert_int_equal(noise_write_1(&ns, t.ephemeral.b, t.our_payload.b,
				       t.our_payload.len, msg.b),
			 0);
	msg.len = NOISE_OVERHEAD_1 + t.our_payload.len;
	peer_say(&p, &msg);
	answer = peer_hear(&p);
	assert_int_equal(answer.len, NOISE_OVERHEAD_2 + t.their_payload.len);
	assert_int_equal(noise_read_2(&ns, t.psk.b, answer.b, answer.len, payload), 0);
	assert_bytes(payload, &t.their_payload);
	compare_notes(&p, &t, &ns, true);
	peer_end(&p);
}

static void
responds_to_dissononce(void **state)
{
	struct talk t = talk_new(0x22);
	struct bytes initiator = public_of(&t.theirs_static), msg, answer;
	struct peer p = peer_start();
	uint8_t payload[BYTES_MAX];
	struct noise ns;

	(void)state;
	introduce(&p, &t, "initiator");
	assert_int_equal(noise_init_responder(&ns, t.prologue.b, t.prologue.len,
					      t.ours_static.b),
			 0);
	msg = peer_hear(&p);
	assert_int_equal(msg.len, NOISE_OVERHEAD_1 + t.their_payload.len);
	assert_int_equal(noise_read_1(&ns, msg.b, msg.len, payload), 0);
	assert_bytes(payload, &t.their_payload);
	assert_bytes(ns.peer_static, &initiator);
	assert_int_equal(noise_write_2(&ns, t.ephemeral.b, t.psk.b, t.our_payload.b,
				       t.our_payload.len, answer.b),
			 0);
	answer.len = NOISE_OVERHEAD_2 + t.our_payload.len;
	peer_say(&p, &answer);
	compare_notes(&p, &t, &ns, false);
	peer_end(&p);
}

static void
forged_messages_change_nothing(void **state)
{
	struct talk t = talk_new(0x33);
	struct bytes resp_pub = public_of(&t.theirs_static);
	enum { LEN_1 = NOISE_OVERHEAD_1 + 32, LEN_2 = NOISE_OVERHEAD_2 + 80 };
	uint8_t msg_1[LEN_1], msg_2[LEN_2], payload[BYTES_MAX];
	struct noise init, resp, before;

	(void)state;
	assert_int_equal(noise_init_initiator(&init, t.prologue.b, t.prologue.len,
					      t.ours_static.b, resp_pub.b),
			 0);
	assert_int_equal(noise_init_responder(&resp, t.prologue.b, t.prologue.len,
					      t.theirs_static.b),
			 0);
	assert_int_equal(
		noise_write_1(&init, t.ephemeral.b, t.our_payload.b, 32, msg_1), 0);
	before = resp;
	memset(payload, 0x99, sizeof(payload));
	for (size_t i = 0; i < LEN_1; i++) {
		msg_1[i] ^= 0x80;
		assert_int_equal(noise_read_1(&resp, msg_1, LEN_1, payload), -EBADMSG);
		msg_1[i] ^= 0x80;
		assert_int_equal(noise_read_1(&resp, msg_1, i, payload), -EBADMSG);
	}
	assert_memory_equal(&before, &resp, sizeof(resp));
	assert_int_equal(payload[0], 0x99);
	assert_int_equal(noise_read_1(&resp, msg_1, LEN_1, payload), 0);

	assert_int_equal(noise_write_2(&resp, t.ephemeral.b, t.psk.b, t.their_payload.b,
				       80, msg_2),
			 0);
	before = init;
	for (size_t i = 0; i < LEN_2; i++) {
		msg_2[i] ^= 0x80;
		assert_int_equal(noise_read_2(&init, t.psk.b, msg_2, LEN_2, payload),
				 -EBADMSG);
		msg_2[i] ^= 0x80;
		assert_int_equal(noise_read_2(&init, t.psk.b, msg_2, i, payload),
				 -EBADMSG);
	}
	assert_memory_equal(&before, &init, sizeof(init));
	assert_int_equal(noise_read_2(&init, t.psk.b, msg_2, LEN_2, payload), 0);
	assert_bytes(payload, &t.their_payload);
}

static void
all_zero_results_fail(void **state)
{
	static const uint8_t zero[CRYPTO_KEY_LEN];
	struct talk t = talk_new(0x44);
	uint8_t msg[BYTES_MAX] = {0}, payload[BYTES_MAX];
	struct noise ns;

	(void)state;
	assert_int_equal(noise_init_initiator(&ns, NULL, 0, t.ours_static.b, zero), 0);
	assert_int_equal(noise_write_1(&ns, t.ephemeral.b, NULL, 0, msg), -EBADMSG);
	assert_int_equal(noise_init_responder(&ns, NULL, 0, t.ours_static.b), 0);
	assert_int_equal(noise_read_1(&ns, msg, NOISE_OVERHEAD_1, payload), -EBADMSG);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(published_vectors),
		cmocka_unit_test(initiates_towards_dissononce),
		cmocka_unit_test(responds_to_dissononce),
		cmocka_unit_test(forged_messages_change_nothing),
		cmocka_unit_test(all_zero_results_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
