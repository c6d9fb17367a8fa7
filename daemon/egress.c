#include "daemon/egress.h"

#include "common/log.h"
#include "daemon/io/tcp.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ATTEMPT_DELAY (250 * NS_PER_MS) /* RFC 8305, section 5 */

struct attempt {
	struct egress_request *request;
	struct watch watch;
	int fd; /* -1: over */
};

/*
 *            name                  addresses vetted
 *  (start) --------> LOOKING_UP ---------------------> CONNECTING --> (done)
 *     |  address                                           ^
 *     +----------------------------------------------------+
 *     refused at once: only the step timer is set, so that on_done runs later
 */
struct egress_request {
	struct list node;
	struct egress *egress;
	const struct config_peer *peer;
	struct egress_load *load;
	egress_done_fn on_done;
	void *arg;
	struct lookup *lookup; /* NULL: none under way */
	struct timer deadline;
	struct timer step; /* the next attempt, or the result is due */
	uint16_t port;
	/* Vetted, in the order they are tried; attempts[i] is to addrs[i]. */
	struct addr addrs[RESOLVER_ADDRS_MAX];
	struct attempt attempts[RESOLVER_ADDRS_MAX];
	size_t n_addrs, n_started, n_alive;
	enum open_status status; /* what to say when nothing is left to try */
	struct deferred release;
};

struct egress {
	struct loop *loop;
	struct resolver *resolver;
	struct acl_machine machine;
	struct list requests;
};

struct egress *
egress_new(struct loop *l, struct resolver *r, const struct acl_machine *machine)
{
	struct egress *e = calloc(1, sizeof(*e));

	if (e == NULL)
		return NULL;
	e->loop = l;
	e->resolver = r;
	e->machine = *machine;
	list_init(&e->requests);
	return e;
}

void
egress_free(struct egress *e)
{
	if (e == NULL)
		return;
	while (!list_empty(&e->requests))
		egress_cancel(
			list_entry(e->requests.next, struct egress_request, node));
	free(e);
}

static void
free_request(struct deferred *d)
{
	free(container_of(d, struct egress_request, release));
}

/* Ends the attempt; its descriptor is the caller's. */
static int
attempt_take(struct attempt *at)
{
	const int fd = at->fd;

	watch_done(&at->watch);
	at->fd = -1;
	at->request->n_alive--;
	at->request->load->connects--;
	return fd;
}

static void
end_lookup(struct egress_request *r)
{
	r->lookup = NULL;
	r->load->lookups--;
}

/* Gives back all but the memory, which the turn's other callbacks may name. */
void
egress_cancel(struct egress_request *r)
{
	if (r->lookup != NULL) {
		resolver_cancel(r->lookup);
		end_lookup(r);
	}
	for (size_t i = 0; i < r->n_started; i++) {
		if (r->attempts[i].fd >= 0)
			close(attempt_take(&r->attempts[i]));
	}
	timer_done(&r->deadline);
	timer_done(&r->step);
	list_remove(&r->node);
	loop_defer(r->egress->loop, &r->release, free_request);
}

static void
finish(struct egress_request *r, enum open_status status, int fd)
{
	const egress_done_fn on_done = r->on_done;
	void *const arg = r->arg;

	egress_cancel(r);
	on_done(arg, status, fd);
}

static enum open_status
status_of(int err)
{
	switch (-err) {
	case ECONNREFUSED: return OPEN_REFUSED;
	case ETIMEDOUT: return OPEN_TIMED_OUT;
	case EHOSTUNREACH:
	case EHOSTDOWN: return OPEN_HOST_UNREACHABLE;
	case ENETUNREACH:
	case ENETDOWN:
	case EADDRNOTAVAIL: /* no source address, or no source port */
	case EAFNOSUPPORT: return OPEN_NET_UNREACHABLE;
	case EACCES: /* a prohibit route or the firewall of this machine */
	case EPERM: return OPEN_DENIED;
	case EMFILE:
	case ENFILE:
	case ENOBUFS:
	case ENOMEM: return OPEN_LIMIT;
	default: return OPEN_FAILED;
	}
}

/* The answer that says most of several: somebody spoke, over nobody did. */
static enum open_status
worse_known(enum open_status a, enum open_status b)
{
	static const uint8_t rank[OPEN_STATUS_COUNT] = {
		[OPEN_REFUSED] = 7,
		[OPEN_TIMED_OUT] = 6,
		[OPEN_HOST_UNREACHABLE] = 5,
		[OPEN_NET_UNREACHABLE] = 4,
		[OPEN_LIMIT] = 3,
		[OPEN_FAILED] = 2,
		[OPEN_DENIED] = 1,
	};

	return rank[b] > rank[a] ? b : a;
}

static void attempt_ready(void *arg, int what);

/* 0, or why the attempt could not start; then nothing changed. */
static int
attempt_start(struct egress_request *r, size_t i)
{
	struct attempt *at = &r->attempts[i];
	const struct tcp_connect c = {.kind = TCP_PLAIN, .remote = r->addrs[i]};
	int fd, err;

	fd = tcp_connect_start(&c);
	if (fd < 0)
		return fd;
	err = watch_init(&at->watch, r->egress->loop, fd, attempt_ready, at);
	if (err < 0) {
		close(fd);
		return err;
	}
	watch_want(&at->watch, LOOP_WRITE);
	at->request = r;
	at->fd = fd;
	r->n_alive++;
	r->load->connects++;
	return 0;
}

/*
 * Starts the next attempt that can be started; the one after it is due in
 * ATTEMPT_DELAY. May end the request.
 */
static void
next_attempt(struct egress_request *r)
{
	while (r->n_started < r->n_addrs) {
		const size_t i = r->n_started++;
		int err = 0;

		r->attempts[i].fd = -1;
		if (r->load->connects >= EGRESS_CONNECTS_MAX)
			err = -ENOBUFS;
		else
			err = attempt_start(r, i);
		if (err == 0) {
			timer_set(&r->step, ATTEMPT_DELAY);
			return;
		}
		r->status = worse_known(r->status, status_of(err));
	}
	if (r->n_alive == 0)
		finish(r, r->status, -1);
}

static void
attempt_ready(void *arg, int what)
{
	struct attempt *at = arg;
	struct egress_request *r = at->request;
	const int err = tcp_connect_result(at->fd);
	int fd;

	(void)what;
	if (err == -EINPROGRESS)
		return;
	fd = attempt_take(at);
	if (err == 0) {
		tcp_set_nodelay(fd, true);
		finish(r, OPEN_OK, fd);
		return;
	}
	close(fd);
	r->status = worse_known(r->status, status_of(err));
	next_attempt(r);
}

/* The families in turn, each in its order (RFC 8305, section 4). */
static void
interleave(struct addr *addrs, size_t n)
{
	for (size_t i = 1; i < n; i++) {
		size_t k = i;
		struct addr next;

		while (k < n && addrs[k].family == addrs[i - 1].family)
			k++;
		if (k == n)
			return;
		next = addrs[k];
		memmove(&addrs[i + 1], &addrs[i], (k - i) * sizeof(next));
		addrs[i] = next;
	}
}

/* Keeps the addresses that may be connected to. */
static void
vet(struct egress_request *r, const struct addr *addrs, size_t n)
{
	const struct acl_machine *machine = &r->egress->machine;

	for (size_t i = 0; i < n && r->n_addrs < ARRAY_LEN(r->addrs); i++) {
		struct addr a = addrs[i];
		const char *why;

		a.port = r->port;
		if (acl_permits(r->peer, machine, &a, &why))
			r->addrs[r->n_addrs++] = a;
		else
			log_debug("destination denied: peer=%s address=%s why=%s",
				  r->peer->name, addr_format(&a).s, why);
	}
	interleave(r->addrs, r->n_addrs);
	r->status = OPEN_DENIED;
}

static enum open_status
status_of_lookup(int err)
{
	switch (-err) {
	case ENOENT:
	case ENODATA: return OPEN_NO_SUCH_NAME;
	case ENOMEM:
	case ENOBUFS: return OPEN_LIMIT;
	default: return OPEN_NAME_FAILED;
	}
}

static void
looked_up(void *arg, int err, const struct addr *addrs, size_t n)
{
	struct egress_request *r = arg;

	end_lookup(r);
	if (err < 0) {
		finish(r, status_of_lookup(err), -1);
		return;
	}
	vet(r, addrs, n);
	next_attempt(r);
}

static void
step_due(void *arg)
{
	next_attempt(arg);
}

static void
deadline_passed(void *arg)
{
	struct egress_request *r = arg;

	finish(r, r->lookup != NULL ? OPEN_NAME_FAILED : OPEN_TIMED_OUT, -1);
}

/* A last label that a resolver might read as a number makes it an address. */
static bool
ends_in_number(const char *host, size_t len)
{
	const char *last = memrchr(host, '.', len);
	size_t n;

	last = last == NULL ? host : last + 1;
	n = len - (size_t)(last - host);
	if (n >= 2 && last[0] == '0' && (last[1] == 'x' || last[1] == 'X'))
		return strspn(last + 2, "0123456789abcdefABCDEF") >= n - 2;
	return strspn(last, "0123456789") >= n;
}

/* RFC 1035, 2.3.1 and 2.3.4, and the underscore that names have in practice. */
static bool
is_name(const char *host)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz"
				      "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
	size_t len = strnlen(host, HOST_MAX);
	size_t label;

	if (len >= HOST_MAX)
		return false;
	if (len > 0 && host[len - 1] == '.')
		len--;
	if (len == 0 || ends_in_number(host, len))
		return false;
	for (size_t at = 0; at < len; at += label + 1) {
		label = strspn(host + at, letters);
		if (label == 0 || label > 63)
			return false;
		if (at + label < len && host[at + label] != '.')
			return false;
	}
	return true;
}

static int
look_up(struct egress_request *r, const char *host)
{
	int err;

	if (r->load->lookups >= EGRESS_LOOKUPS_MAX)
		return -ENOBUFS;
	err = resolver_start(r->egress->resolver, host, CONNECT_DEADLINE, looked_up, r,
			     &r->lookup);
	if (err == 0)
		r->load->lookups++;
	return err;
}

/* Leaves the step timer set where the result is known or the address is. */
static void
begin(struct egress_request *r, const char *host)
{
	struct addr a;
	int err;

	r->status = OPEN_FAILED;
	if (r->port == 0) {
		timer_set(&r->step, 0);
		return;
	}
	if (addr_parse_ip(host, &a) == 0) {
		vet(r, &a, 1);
		timer_set(&r->step, 0);
		return;
	}
	err = is_name(host) ? look_up(r, host) : -ENOENT;
	if (err < 0) {
		r->status = status_of_lookup(err);
		timer_set(&r->step, 0);
	}
}

struct egress_request *
egress_start(struct egress *e, const struct config_host *dest,
	     const struct config_peer *peer, struct egress_load *load,
	     egress_done_fn on_done, void *arg)
{
	struct egress_request *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return NULL;
	if (timer_init(&r->deadline, e->loop, deadline_passed, r) < 0)
		goto no_deadline;
	if (timer_init(&r->step, e->loop, step_due, r) < 0)
		goto no_step;
	r->egress = e;
	r->peer = peer;
	r->load = load;
	r->on_done = on_done;
	r->arg = arg;
	r->port = dest->port;
	list_append(&e->requests, &r->node);
	timer_set(&r->deadline, CONNECT_DEADLINE);
	begin(r, dest->host);
	return r;

no_step:
	timer_done(&r->deadline);
no_deadline:
	free(r);
	return NULL;
}
