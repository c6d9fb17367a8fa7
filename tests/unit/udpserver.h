/*
 * udpserver - a responder that knows some clients, for tests.
 *
 * Model:   UDPSERVER_CLIENTS with keys and a pre-shared key each; one more, the
 *          stranger, whom it does not know.
 */
#ifndef TESTS_UNIT_UDPSERVER_H
#define TESTS_UNIT_UDPSERVER_H

#include "daemon/core/initiator.h"
#include "daemon/core/responder.h"

enum {
	UDPSERVER_CLIENTS = 140, /* enough to have too many pending */
	UDPSERVER_STRANGER = UDPSERVER_CLIENTS,
	UDPSERVER_STREAMS = 2000, /* its answers say so */
};

struct udpserver {
	struct prng rng;
	uint8_t priv[CRYPTO_KEY_LEN], pub[CRYPTO_KEY_LEN];
	struct {
		uint8_t priv[CRYPTO_KEY_LEN], pub[CRYPTO_KEY_LEN], psk[CRYPTO_KEY_LEN];
		struct responder_peer peer;
	} clients[UDPSERVER_CLIENTS + 1];
	struct responder responder;
	int answered; /* what responder_answer() said the last time */
};

struct udpserver *udpserver_new(unsigned seed);
void udpserver_free(struct udpserver *s);

/* The secrets of a client, and an initiation of its. */
struct handshake_secrets udpserver_secrets(const struct udpserver *s, unsigned who);
void udpserver_initiate(struct udpserver *s, unsigned who, struct handshake *ret_h,
			uint8_t ret_msg[HANDSHAKE_LEN]);
/* A client's initiator, with a seed of its own. */
void udpserver_initiator(struct udpserver *s, unsigned who, ns_t now,
			 struct initiator *ret_i);

/*
 * The server gets this datagram; returns the bytes of its reply, 0 for silence.
 * The reply must be no larger than the question.
 */
size_t udpserver_take(struct udpserver *s, const struct addr *source, const void *data,
		      size_t len, ns_t now, uint8_t ret_reply[HANDSHAKE_LEN]);

/* Initiations until there is load at `now`. */
void udpserver_load(struct udpserver *s, ns_t now);

/* 192.0.N.N:PORT */
struct addr udpserver_source(unsigned n, uint16_t port);
/* Makes MAC1 anew: what whoever knows the receiver's public key can do. */
void udpserver_mac1(uint8_t msg[HANDSHAKE_LEN], const uint8_t pub[CRYPTO_KEY_LEN]);

#endif
