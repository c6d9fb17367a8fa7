#include "daemon/udp_race.h"

#include <sys/random.h>

static void
on_timer(void *arg)
{
	udp_race_run(arg);
}

int
udp_race_init(struct udp_race *r, struct loop *l, const struct identity *me,
	      struct udp_ports *ports)
{
	*r = (struct udp_race){.loop = l, .me = me, .ports = ports};
	return timer_init(&r->timer, l, on_timer, r);
}

void
udp_race_done(struct udp_race *r)
{
	udp_race_end(r);
	timer_done(&r->timer);
}

static void
send_over(struct udp_race *r, uint8_t uplink, const uint8_t msg[HANDSHAKE_LEN])
{
	for (size_t i = 0; i < UDP_PORTS_MAX; i++) {
		struct udp_port *p = &r->ports->at[i];

		/* What cannot be sent is sent again in time. */
		if (p->open && p->uplink->id == uplink)
			udp_port_send(p, msg, HANDSHAKE_LEN, HANDSHAKE_LEN);
	}
}

void
udp_race_run(struct udp_race *r)
{
	ns_t now = loop_now(r->loop), at;
	uint8_t msg[HANDSHAKE_LEN];

	/* A port that is lost as it sends tells the client, who may end the race. */
	for (uint8_t id = 1; id <= UPLINKS_MAX && r->running; id++) {
		if (initiator_output(&r->initiator, id, now, msg))
			send_over(r, id, msg);
	}
	if (!r->running)
		return;
	at = initiator_deadline(&r->initiator);
	timer_set(&r->timer, at == NS_NEVER ? NS_NEVER : max_ns(at - now, NS_PER_MS));
}

/* An uplink takes part while any of its ports is open. */
void
udp_race_uplink(struct udp_race *r, const struct uplink *u)
{
	bool up = false;

	for (size_t i = 0; i < UDP_PORTS_MAX; i++)
		up |= r->ports->at[i].open && r->ports->at[i].uplink == u;
	if (r->running)
		initiator_set_uplink(&r->initiator, u->id, up, loop_now(r->loop));
}

void
udp_race_end(struct udp_race *r)
{
	if (r->running)
		initiator_done(&r->initiator);
	r->running = false;
	if (r->timer.event != NULL)
		timer_stop(&r->timer);
}

void
udp_race_start(struct udp_race *r)
{
	const struct handshake_secrets secrets = identity_secrets(r->me);
	struct handshake_offer offer = {
		.version = HANDSHAKE_VERSION,
		.aead_mask = aead_fast_mask(),
	};
	uint8_t seed[CRYPTO_KEY_LEN];
	ns_t now = loop_now(r->loop);

	if (r->running || getrandom(seed, sizeof(seed), 0) != (ssize_t)sizeof(seed))
		return;
	offer.session_index =
		(uint32_t)seed[0] << 16 | (uint32_t)seed[1] << 8 | seed[2];
	r->running = initiator_init(&r->initiator, &secrets, &offer, seed, now) == 0;
	crypto_wipe(seed, sizeof(seed));
	for (size_t i = 0; i < UDP_PORTS_MAX; i++) {
		if (r->ports->at[i].open)
			udp_race_uplink(r, r->ports->at[i].uplink);
	}
	udp_race_run(r);
}

bool
udp_race_input(struct udp_race *r, const struct udp_port *p, const struct burst *b,
	       struct initiator_result *ret_result)
{
	if (!r->running)
		return false;
	if (initiator_input(&r->initiator, p->uplink->id, b->data,
			    min_size(b->len, b->packet), loop_now(r->loop),
			    ret_result) == 0)
		return true;
	udp_race_run(r);
	return false;
}
