/*
 * probe - measures one way of a path with numbered, timed UDP packets.
 *
 * Model:   sender and receiver run on one machine, so that they share
 *          CLOCK_MONOTONIC and the delay of one way can be had. The receiver
 *          prints "listening", and one line of KEY=VALUE words at the end.
 * Units:   sizes and rates count IP bytes, headers included.
 * Bounds:  COUNT_MAX packets a run.
 */
#include <arpa/inet.h>
#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "common/base.h"

#define COUNT_MAX   1000000
#define SIZE_MAX_IP 9000
#define MAGIC       0x6d707070
#define RCVBUF      (8 << 20)
/* The receiver gives up when nothing at all has come for this long. */
#define FIRST_S     10

static const char USAGE[] = "usage: probe send ADDRESS PORT COUNT SIZE MBIT\n"
			    "       probe recv PORT [IDLE_MS]\n";

struct payload {
	uint32_t magic;
	uint32_t number;
	uint32_t count;
	uint32_t size;
	ns_t sent_at;
};

struct tally {
	uint32_t count;
	uint32_t size;
	uint64_t received, unique, reordered, overflown;
	uint32_t highest;
	ns_t first_at, last_at, gap_max;
	bool *seen;
	ns_t *delays; /* one for each unique packet */
};

static ns_t
clock_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * NS_PER_SEC + ts.tv_nsec;
}

static int
complain(const char *what)
{
	fprintf(stderr, "probe: %s: %m\n", what);
	return 1;
}

/* Without the right to it, the measurement is only less exact. */
static void
be_punctual(void)
{
	struct sched_param param = {.sched_priority = 40};

	prctl(PR_SET_TIMERSLACK, 1UL);
	sched_setscheduler(0, SCHED_FIFO, &param);
}

static int
open_to(const char *address, uint16_t port, size_t *ret_headers)
{
	struct sockaddr_in6 sin6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_port = htons(port)};
	bool is6 = inet_pton(AF_INET6, address, &sin6.sin6_addr) == 1;
	int fd;

	errno = EINVAL;
	if (!is6 && inet_pton(AF_INET, address, &sin.sin_addr) != 1)
		return -1;
	fd = socket(is6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	*ret_headers = is6 ? 48 : 28;
	if (fd < 0)
		return -1;
	if (is6 ? connect(fd, (struct sockaddr *)&sin6, sizeof(sin6)) < 0
		: connect(fd, (struct sockaddr *)&sin, sizeof(sin)) < 0)
		return -1;
	return fd;
}

static void
wait_for(ns_t at)
{
	struct timespec ts = {.tv_sec = at / NS_PER_SEC, .tv_nsec = at % NS_PER_SEC};

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL) == EINTR)
		;
}

static int
do_send(char **args)
{
	uint8_t buf[SIZE_MAX_IP] = {0};
	struct payload p = {.magic = MAGIC};
	double mbit = atof(args[4]);
	size_t headers;
	ns_t start;
	int fd = open_to(args[0], (uint16_t)atoi(args[1]), &headers);

	if (fd < 0)
		return complain(args[0]);
	p.count = (uint32_t)strtoul(args[2], NULL, 10);
	p.size = (uint32_t)strtoul(args[3], NULL, 10);
	if (p.count == 0 || p.count > COUNT_MAX || p.size < headers + sizeof(p) ||
	    p.size > SIZE_MAX_IP || !(mbit > 0)) {
		fputs(USAGE, stderr);
		return 2;
	}
	be_punctual();
	start = clock_now();
	for (; p.number < p.count; p.number++) {
		wait_for(start + (ns_t)(p.number * (p.size * 8000.0 / mbit)));
		p.sent_at = clock_now();
		memcpy(buf, &p, sizeof(p));
		/* A path that is down is what the receiver shall find out. */
		if (send(fd, buf, p.size - headers, 0) < 0 && errno == EBADF)
			return complain("send");
	}
	close(fd);
	return 0;
}

static int
open_receiver(uint16_t port)
{
	struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int size = RCVBUF, on = 1;

	if (fd < 0)
		return -1;
	/* In a user namespace only the system's limit can be had. */
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	if (setsockopt(fd, SOL_SOCKET, SO_RXQ_OVFL, &on, sizeof(on)) < 0)
		return -1;
	if (bind(fd, (struct sockaddr *)&any, sizeof(any)) < 0)
		return -1;
	return fd;
}

static int
set_patience(int fd, ns_t span)
{
	struct timeval tv = {.tv_sec = span / NS_PER_SEC,
			     .tv_usec = span % NS_PER_SEC / NS_PER_US};

	return setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
}

/* False when nothing came in time. */
static bool
receive(int fd, struct payload *p, struct tally *t)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(uint32_t))];
	} control;
	struct iovec iov = {.iov_base = p, .iov_len = sizeof(*p)};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control.buf,
			     .msg_controllen = sizeof(control.buf)};
	struct cmsghdr *c;
	uint32_t overflown;

	memset(p, 0, sizeof(*p));
	if (recvmsg(fd, &msg, 0) < 0)
		return false;
	c = CMSG_FIRSTHDR(&msg);
	if (c != NULL && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SO_RXQ_OVFL) {
		memcpy(&overflown, CMSG_DATA(c), sizeof(overflown));
		t->overflown = overflown;
	}
	return true;
}

static void
count(struct tally *t, const struct payload *p, ns_t now)
{
	if (t->received++ == 0)
		t->first_at = now;
	else
		t->gap_max = max_ns(t->gap_max, now - t->last_at);
	t->last_at = now;
	if (t->seen[p->number])
		return;
	t->seen[p->number] = true;
	t->delays[t->unique++] = now - p->sent_at;
	if (p->number < t->highest)
		t->reordered++;
	else
		t->highest = p->number;
}

static int
compare(const void *a, const void *b)
{
	const ns_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static void
print_delays(const struct tally *t)
{
	double sum = 0, squares = 0, mean;
	ns_t *d = t->delays;

	for (uint64_t i = 0; i < t->unique; i++)
		sum += (double)d[i];
	mean = sum / (double)t->unique;
	for (uint64_t i = 0; i < t->unique; i++)
		squares += ((double)d[i] - mean) * ((double)d[i] - mean);
	qsort(d, t->unique, sizeof(*d), compare);
	printf("delay_min_us=%.1f delay_p50_us=%.1f delay_mean_us=%.1f "
	       "delay_max_us=%.1f delay_sd_us=%.1f ",
	       (double)d[0] / 1e3, (double)d[t->unique / 2] / 1e3, mean / 1e3,
	       (double)d[t->unique - 1] / 1e3, sqrt(squares / (double)t->unique) / 1e3);
}

/* `lost_runs` counts the gaps in the numbers: lost / lost_runs is a burst. */
static void
print_tally(const struct tally *t)
{
	ns_t span = t->last_at - t->first_at;
	uint64_t runs = 0;

	if (t->received == 0) {
		printf("sent=0 received=0 unique=0\n");
		return;
	}
	for (uint32_t i = 0; i < t->count; i++)
		runs += !t->seen[i] && (i == 0 || t->seen[i - 1]);
	print_delays(t);
	printf("sent=%u received=%llu unique=%llu lost=%llu lost_runs=%llu "
	       "duplicates=%llu reordered=%llu overflown=%llu rate_mbit=%.4f "
	       "gap_max_us=%.1f\n",
	       t->count, (unsigned long long)t->received, (unsigned long long)t->unique,
	       (unsigned long long)(t->count - t->unique), (unsigned long long)runs,
	       (unsigned long long)(t->received - t->unique),
	       (unsigned long long)t->reordered, (unsigned long long)t->overflown,
	       span > 0 ? (double)(t->received - 1) * t->size * 8e3 / (double)span : 0,
	       (double)t->gap_max / 1e3);
}

static int
do_recv(uint16_t port, ns_t idle)
{
	struct tally t = {.seen = calloc(COUNT_MAX, sizeof(bool)),
			  .delays = calloc(COUNT_MAX, sizeof(ns_t))};
	int fd = open_receiver(port);
	struct payload p;

	if (fd < 0 || t.seen == NULL || t.delays == NULL)
		return complain("recv");
	be_punctual();
	set_patience(fd, FIRST_S * NS_PER_SEC);
	printf("listening\n");
	fflush(stdout);
	while (receive(fd, &p, &t)) {
		if (p.magic != MAGIC || p.count > COUNT_MAX || p.number >= p.count)
			continue;
		count(&t, &p, clock_now());
		if (t.received == 1) {
			t.count = p.count;
			t.size = p.size;
			set_patience(fd, idle);
		}
	}
	print_tally(&t);
	free(t.seen);
	free(t.delays);
	close(fd);
	return 0;
}

int
main(int argc, char **argv)
{
	if (argc == 7 && strcmp(argv[1], "send") == 0)
		return do_send(argv + 2);
	if ((argc == 3 || argc == 4) && strcmp(argv[1], "recv") == 0)
		return do_recv((uint16_t)atoi(argv[2]),
			       (argc == 4 ? atoi(argv[3]) : 300) * NS_PER_MS);
	fputs(USAGE, stderr);
	return 2;
}
