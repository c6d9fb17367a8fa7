#include "daemon/control_client.h"

#include "common/ctlmsg.h"
#include "daemon/control.h"
#include "daemon/control_cmds.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct client {
	struct list node;
	struct control_client_place place;
	struct watch watch;
	struct timer stall;     /* runs while an answer cannot be written */
	struct deferred resume; /* more whole lines wait in `in` */
	struct deferred reap;
	int fd;
	bool skips; /* the rest of a line that was too long */
	bool eof;   /* the client has nothing more to ask */
	char *out;  /* the answer under way, or NULL */
	size_t out_len, out_sent;
	size_t in_start, in_end;
	char in[CTLMSG_LINE_MAX + 1];
};

static void
release(struct client *c)
{
	loop_undefer(&c->resume);
	timer_done(&c->stall);
	watch_done(&c->watch);
	close(c->fd);
	list_remove(&c->node);
	free(c->out);
	free(c);
}

static void
run_reap(struct deferred *d)
{
	release(container_of(d, struct client, reap));
}

/* Nothing happens to `c` after this but its end. */
static void
end_client(struct client *c)
{
	loop_undefer(&c->resume);
	timer_stop(&c->stall);
	watch_want(&c->watch, 0);
	list_remove(&c->node);
	loop_defer(c->place.loop, &c->reap, run_reap);
}

/* Takes `reply` over; NULL for want of memory. */
static int
start_answer(struct client *c, char *reply)
{
	if (reply == NULL)
		return -ENOMEM;
	c->out = reply;
	c->out_len = strlen(reply);
	c->out[c->out_len++] = '\n'; /* in place of the NUL */
	c->out_sent = 0;
	timer_set(&c->stall, CONTROL_STALL);
	return 0;
}

static char *
answer(struct client *c, const char *line, size_t len)
{
	struct ctlmsg_request r;
	struct ctlmsg_error e;
	json_t *result = NULL;
	char *reply = NULL;

	if (ctlmsg_parse(line, len, &r, &e) == 0)
		result = control_cmds_run(c->place.proxy, &r, c->place.read_only, &e);
	if (result != NULL)
		reply = ctlmsg_ok(r.id, result);
	if (reply != NULL && strlen(reply) > CTLMSG_REPLY_MAX) {
		free(reply);
		reply = NULL;
		ctlmsg_fail(&e, CTLMSG_REPLY_TOO_LONG,
			    "the answer has more than %d bytes: ask with a smaller "
			    "\"limit\"",
			    CTLMSG_REPLY_MAX);
	}
	if (reply == NULL)
		reply = ctlmsg_refusal(r.id, &e);
	json_decref(result);
	ctlmsg_request_done(&r);
	return reply;
}

static char *
refuse_length(void)
{
	struct ctlmsg_error e;

	ctlmsg_fail(&e, CTLMSG_TOO_LONG, "a request has at most %d bytes",
		    CTLMSG_LINE_MAX);
	return ctlmsg_refusal(NULL, &e);
}

/* -EAGAIN: some of the answer is left. */
static int
write_answer(struct client *c)
{
	while (c->out != NULL) {
		ssize_t n = send(c->fd, c->out + c->out_sent, c->out_len - c->out_sent,
				 MSG_NOSIGNAL);

		if (n < 0)
			return -errno;
		c->out_sent += (size_t)n;
		timer_set(&c->stall, CONTROL_STALL);
		if (c->out_sent == c->out_len) {
			timer_stop(&c->stall);
			free(c->out);
			c->out = NULL;
		}
	}
	return 0;
}

/* -EAGAIN: nothing there. */
static int
read_more(struct client *c)
{
	ssize_t n;

	memmove(c->in, c->in + c->in_start, c->in_end - c->in_start);
	c->in_end -= c->in_start;
	c->in_start = 0;
	assert(c->in_end < sizeof(c->in));
	n = recv(c->fd, c->in + c->in_end, sizeof(c->in) - c->in_end, 0);
	if (n < 0)
		return -errno;
	c->eof = n == 0;
	c->in_end += (size_t)n;
	return 0;
}

/* The newline that ends the first whole line, or NULL. */
static char *
find_newline(struct client *c)
{
	return memchr(c->in + c->in_start, '\n', c->in_end - c->in_start);
}

/* Takes one line out of the buffer, and starts its answer. */
static int
serve_line(struct client *c)
{
	char *line = c->in + c->in_start;
	char *newline = find_newline(c);
	const bool skipped = c->skips;

	if (newline != NULL) {
		c->in_start += (size_t)(newline - line) + 1;
		c->skips = false;
		if (skipped)
			return 0;
		return start_answer(c, answer(c, line, (size_t)(newline - line)));
	}
	if (c->in_end - c->in_start < sizeof(c->in))
		return 0;
	c->in_start = c->in_end;
	c->skips = true;
	return skipped ? 0 : start_answer(c, refuse_length());
}

static void run_resume(struct deferred *d);

/* At rest until the right thing happens. */
static void
wait_for_next(struct client *c)
{
	if (c->out != NULL) {
		watch_want(&c->watch, LOOP_WRITE);
	} else if (find_newline(c) != NULL) {
		watch_want(&c->watch, 0);
		loop_defer(c->place.loop, &c->resume, run_resume);
	} else if (c->eof) {
		end_client(c);
	} else {
		watch_want(&c->watch, LOOP_READ);
	}
}

static void
serve(struct client *c)
{
	int err = write_answer(c);

	if (err == 0)
		err = serve_line(c);
	if (err == 0)
		err = write_answer(c);
	if (err < 0 && err != -EAGAIN && err != -EINTR)
		end_client(c);
	else
		wait_for_next(c);
}

static void
run_resume(struct deferred *d)
{
	serve(container_of(d, struct client, resume));
}

static void
on_ready(void *arg, int what)
{
	struct client *c = arg;
	int err = 0;

	if (what & LOOP_READ)
		err = read_more(c);
	if (err == 0)
		serve(c);
	else if (err != -EAGAIN && err != -EINTR)
		end_client(c);
}

static void
on_stall(void *arg)
{
	end_client(arg);
}

int
control_client_start(const struct control_client_place *place, int fd)
{
	struct client *c = calloc(1, sizeof(*c));

	if (c == NULL) {
		close(fd);
		return -ENOMEM;
	}
	c->place = *place;
	c->fd = fd;
	list_init(&c->node);
	if (watch_init(&c->watch, place->loop, fd, on_ready, c) < 0 ||
	    timer_init(&c->stall, place->loop, on_stall, c) < 0) {
		release(c);
		return -ENOMEM;
	}
	list_append(place->clients, &c->node);
	watch_want(&c->watch, LOOP_READ);
	return 0;
}

void
control_clients_free(struct list *clients)
{
	list_for_each_safe (it, clients)
		release(list_entry(it, struct client, node));
}
