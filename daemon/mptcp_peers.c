#include "daemon/mptcp_peers.h"

#include <stdlib.h>
#include <string.h>

int
mptcp_peers_init(struct mptcp_peers *ps, struct peers *known)
{
	int err;

	memset(ps, 0, sizeof(*ps));
	ps->known = known;
	err = peers_init_responder(known, HANDSHAKE_MPTCP, &ps->responder, 0);
	if (err < 0)
		return err;
	ps->all = calloc(known->n + 1, sizeof(*ps->all));
	if (ps->all == NULL)
		return -ENOMEM;
	ps->n = known->n;
	for (size_t i = 0; i < ps->n; i++) {
		ps->all[i].known = &known->all[i];
		list_init(&ps->all[i].sessions);
		list_init(&ps->all[i].beats);
	}
	return 0;
}

static void
session_end(struct server_session *s)
{
	list_remove(&s->node);
	crypto_wipe(s, sizeof(*s));
	free(s);
}

void
mptcp_peers_done(struct mptcp_peers *ps)
{
	for (size_t i = 0; i < ps->n; i++) {
		list_for_each_safe (it, &ps->all[i].sessions)
			session_end(list_entry(it, struct server_session, node));
	}
	free(ps->all);
	if (ps->known != NULL)
		peers_done_responder(ps->known, HANDSHAKE_MPTCP, &ps->responder);
	memset(ps, 0, sizeof(*ps));
}

static struct server_session *
find_session(struct mptcp_peers *ps, uint32_t index)
{
	for (size_t i = 0; i < ps->n; i++) {
		list_for_each (it, &ps->all[i].sessions) {
			struct server_session *s =
				list_entry(it, struct server_session, node);

			if (s->index == index)
				return s;
		}
	}
	return NULL;
}

/* An index that neither a session nor a pending one has. */
static int
draw_index(struct mptcp_peers *ps, uint32_t *ret_index)
{
	int err;

	do {
		err = responder_draw_index(&ps->responder, ret_index);
	} while (err == 0 && find_session(ps, *ret_index) != NULL);
	return err;
}

static int
answer_new(struct mptcp_peers *ps, struct responder_question *q, ns_t now)
{
	uint32_t index;
	int err = draw_index(ps, &index);

	if (err < 0) {
		responder_refuse(q);
		return err;
	}
	return peers_answer(ps->known, &ps->responder, q, index, now);
}

int
mptcp_peers_answer(struct mptcp_peers *ps, const struct addr *source,
		   const uint8_t *msg, size_t len, ns_t now,
		   uint8_t ret_answer[HANDSHAKE_LEN])
{
	struct responder_question q;
	int err = 0;

	switch (responder_input(&ps->responder, source, msg, len, now, &q)) {
	case RESPONDER_SILENT: return -EBADMSG;
	case RESPONDER_SEND: break;
	case RESPONDER_ASK: err = answer_new(ps, &q, now);
	}
	if (err == 0 || err == -EPROTONOSUPPORT)
		memcpy(ret_answer, q.reply, HANDSHAKE_LEN);
	return err;
}

int
mptcp_peers_find_keys(struct mptcp_peers *ps, uint32_t index, uint64_t number,
		      struct mptcp_peers_keys *ret_keys)
{
	static const struct numbers unused;
	struct server_session *s = find_session(ps, index);
	struct pending *p = responder_find(&ps->responder, index);

	if ((s == NULL && p == NULL) ||
	    !numbers_is_free(s != NULL ? &s->numbers : &unused, number))
		return -EBADMSG;
	*ret_keys = (struct mptcp_peers_keys){.session = s, .pending = p};
	ret_keys->alg = s != NULL ? s->alg : (enum aead_alg)p->answer.aead;
	ret_keys->stream_secret = s != NULL ? s->stream_secret : p->keys.stream_secret;
	return 0;
}

static void
demote_others(const struct server_session *current)
{
	list_for_each_safe (it, &current->peer->sessions) {
		struct server_session *s = list_entry(it, struct server_session, node);

		if (s->state == SESSION_PREVIOUS)
			session_end(s);
		else if (s != current)
			s->state = SESSION_PREVIOUS;
	}
}

/* A record that was long on its way: a later session is in use already. */
static bool
is_overtaken(const struct mptcp_peer *p, const struct server_session *s)
{
	list_for_each (it, &p->sessions) {
		if (list_entry(it, struct server_session, node)->serial > s->serial)
			return true;
	}
	return false;
}

static struct mptcp_peer *
of_pending(struct mptcp_peers *ps, const struct pending *p)
{
	return &ps->all[peers_of_pending(&ps->responder, p) - ps->known->all];
}

int
mptcp_peers_confirm(struct mptcp_peers *ps, struct pending *pending,
		    const uint8_t boot_id[8], struct server_session **ret_session)
{
	struct mptcp_peer *p = of_pending(ps, pending);
	bool restarted = p->seen && memcmp(p->boot_id, boot_id, 8) != 0;
	struct server_session *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return -ENOMEM;
	s->peer = p;
	s->index = pending->answer.session_index;
	s->serial = pending->serial;
	s->alg = (enum aead_alg)pending->answer.aead;
	memcpy(s->stream_secret, pending->keys.stream_secret, sizeof(s->stream_secret));
	responder_confirm(&ps->responder, pending);
	*ret_session = s;
	list_append(&p->sessions, &s->node);
	if (is_overtaken(p, s)) {
		s->state = SESSION_PREVIOUS;
		return 0;
	}
	s->state = SESSION_CURRENT;
	demote_others(s);
	memcpy(p->boot_id, boot_id, 8);
	p->seen = true;
	return restarted;
}
