#include "tests/lab/linkem.h"

#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "tests/lab/control.h"

#define TURN_NS    (200 * NS_PER_US)
#define PACKET_MAX 65536
#define FIFO_PRIO  50
#define READS_MAX  512 /* packets of one device in one turn */

static const char USAGE[] =
	"usage: linkem [--seed N] SOCKET        run until SIGTERM\n"
	"       linkem ctl SOCKET COMMAND ...   link unlink set show stats recent\n";

ns_t
linkem_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * NS_PER_SEC + ts.tv_nsec;
}

struct link *
linkem_find(struct linkem *em, const char *name)
{
	list_for_each (it, &em->links) {
		struct link *link = list_entry(it, struct link, node);

		if (strcmp(link->name, name) == 0)
			return link;
	}
	return NULL;
}

/* Each lane has random numbers of its own, whatever the others do. */
static uint64_t
lane_seed(const struct linkem *em, const char *name, int lane)
{
	uint64_t h = em->seed * UINT64_C(0x100000001b3) + (uint64_t)lane;

	for (; *name != '\0'; name++)
		h = (h ^ (uint8_t)*name) * UINT64_C(0x100000001b3);
	return h;
}

static int
open_end(struct linkem *em, struct link *link, int i, const char *const end[2])
{
	struct epoll_event ev = {.events = EPOLLIN};
	int err;

	err = lane_init(&link->lanes[i], lane_seed(em, link->name, i));
	if (err < 0)
		return err;
	err = tun_open(&link->ends[i], end[0], end[1]);
	if (err < 0)
		return err;
	ev.data.fd = link->ends[i].fd;
	return epoll_ctl(em->epoll, EPOLL_CTL_ADD, ev.data.fd, &ev) < 0 ? -errno : 0;
}

int
linkem_add(struct linkem *em, const char *name, const char *const ends[4],
	   struct link **ret_link)
{
	struct link *link;
	int err = 0;

	if (strlen(name) >= LINK_NAME_MAX || strchr(name, '/') != NULL)
		return -EINVAL;
	if (linkem_find(em, name) != NULL)
		return -EEXIST;
	link = calloc(1, sizeof(*link));
	if (link == NULL)
		return -ENOMEM;
	strcpy(link->name, name);
	for (int i = 0; i < LINK_LANES; i++)
		link->ends[i].fd = link->ends[i].ctl_fd = -1;
	list_append(&em->links, &link->node);
	for (int i = 0; i < LINK_LANES && err == 0; i++)
		err = open_end(em, link, i, &ends[2 * i]);
	if (err < 0) {
		linkem_remove(link);
		return err;
	}
	*ret_link = link;
	return 0;
}

void
linkem_remove(struct link *link)
{
	list_remove(&link->node);
	for (int i = 0; i < LINK_LANES; i++) {
		tun_close(&link->ends[i]);
		lane_done(&link->lanes[i]);
	}
	free(link);
}

static int
apply_state(struct tun *end, enum lane_state state)
{
	int err = tun_set_up(end, state != LANE_DOWN);

	if (err < 0)
		return err;
	return tun_set_carrier(end, state != LANE_NOCARRIER);
}

int
linkem_configure(struct link *link, int lane, const struct lane_params *params)
{
	struct lane *l = &link->lanes[lane];
	int err = 0;

	if (params->state != l->params.state)
		err = apply_state(&link->ends[lane], params->state);
	if (err < 0)
		return err;
	lane_configure(l, params, linkem_now());
	return 0;
}

/* Reads what the senders have sent; the number of packets. */
static size_t
take_in(struct linkem *em, struct link *link, int i, ns_t arrived_at)
{
	static uint8_t buf[PACKET_MAX];
	int fd = link->ends[i].fd;
	size_t n_read = 0;

	while (n_read < READS_MAX) {
		ssize_t n = read(fd, buf, PACKET_MAX);

		/* Its namespace is gone, and epoll would never sleep again. */
		if (n < 0 && errno == EBADFD)
			epoll_ctl(em->epoll, EPOLL_CTL_DEL, fd, NULL);
		if (n <= 0)
			break;
		lane_put(&link->lanes[i], buf, (size_t)n, arrived_at);
		n_read++;
	}
	return n_read;
}

static size_t
give_out(struct link *link, int i, ns_t until, ns_t now)
{
	struct lane *lane = &link->lanes[i];
	struct packet *p;
	size_t n_written = 0;

	while ((p = lane_take(lane, until)) != NULL) {
		ssize_t n = write(link->ends[!i].fd, p->data, p->len);

		lane_delivered(lane, p->len, n == (ssize_t)p->len, now);
		free(p);
		n_written++;
	}
	return n_written;
}

/* One turn over all lanes; the number of packets moved. */
static size_t
turn(struct linkem *em, bool busy, ns_t last_at, ns_t now)
{
	/* In turns, a packet came half a turn ago on average, and goes out
	 * half a turn early or late: neither adds to the delay. */
	const ns_t half = busy ? TURN_NS / 2 : 0;
	size_t moved = 0;

	list_for_each (it, &em->links) {
		struct link *link = list_entry(it, struct link, node);

		for (int i = 0; i < LINK_LANES; i++) {
			moved += take_in(em, link, i, max_ns(last_at, now - half));
			moved += give_out(link, i, now + half, now);
		}
	}
	return moved;
}

static ns_t
next_at(const struct linkem *em)
{
	ns_t at = NS_NEVER;

	list_for_each (it, &em->links) {
		struct link *link = list_entry(it, struct link, node);

		for (int i = 0; i < LINK_LANES; i++)
			at = min_ns(at, lane_next_at(&link->lanes[i]));
	}
	return at;
}

static void
sleep_until(const struct linkem *em, int epoll, ns_t at)
{
	struct itimerspec when = {0};
	struct epoll_event ev;

	if (at != NS_NEVER) {
		when.it_value.tv_sec = at / NS_PER_SEC;
		when.it_value.tv_nsec = at % NS_PER_SEC;
	}
	timerfd_settime(em->timer, TFD_TIMER_ABSTIME, &when, NULL);
	while (epoll_wait(epoll, &ev, 1, -1) < 0 && errno == EINTR)
		;
}

static bool
is_told_to_stop(const struct linkem *em)
{
	struct signalfd_siginfo info;

	return read(em->signals, &info, sizeof(info)) > 0;
}

static void
run(struct linkem *em, struct control *ctl)
{
	ns_t last_at = linkem_now();
	bool busy = false;

	while (!is_told_to_stop(em)) {
		ns_t now = linkem_now();
		size_t moved = turn(em, busy, last_at, now);

		control_serve(ctl);
		/* Woken again within a turn for a packet: take turns. */
		busy = moved > 0 && now - last_at < TURN_NS + TURN_NS / 2;
		last_at = now;
		if (busy)
			sleep_until(em, em->calm_epoll, now + TURN_NS);
		else
			sleep_until(em, em->epoll, next_at(em));
	}
}

static int
watch(int epoll, int fd)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.fd = fd};

	return fd < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &ev) < 0 ? -errno : 0;
}

static int
linkem_init(struct linkem *em, uint64_t seed)
{
	sigset_t set;
	int err;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);

	*em = (struct linkem){
		.seed = seed,
		.epoll = epoll_create1(EPOLL_CLOEXEC),
		.calm_epoll = epoll_create1(EPOLL_CLOEXEC),
		.timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC),
		.signals = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC),
	};
	list_init(&em->links);
	err = watch(em->epoll, em->calm_epoll);
	if (err == 0)
		err = watch(em->calm_epoll, em->timer);
	if (err == 0)
		err = watch(em->calm_epoll, em->signals);
	return err;
}

/* Whatever of this is refused, the emulator works, only less punctually. */
static void
be_punctual(void)
{
	struct sched_param param = {.sched_priority = FIFO_PRIO};

	prctl(PR_SET_TIMERSLACK, 1UL);
	sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &param);
}

static int
serve(const char *path, uint64_t seed)
{
	struct linkem em;
	struct control ctl;
	int err;

	/* The lab must not outlive the test that made it. */
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	err = linkem_init(&em, seed);
	if (err == 0)
		err = control_open(&ctl, &em, path);
	if (err < 0) {
		fprintf(stderr, "linkem: %s: %s\n", path, strerror(-err));
		return 1;
	}
	be_punctual();
	run(&em, &ctl);
	control_close(&ctl);
	list_for_each_safe (it, &em.links)
		linkem_remove(list_entry(it, struct link, node));
	return 0;
}

int
main(int argc, char **argv)
{
	uint64_t seed = 1;

	if (argc >= 4 && strcmp(argv[1], "ctl") == 0)
		return control_ask(argv[2], argv + 3, argc - 3);
	if (argc == 4 && strcmp(argv[1], "--seed") == 0) {
		seed = strtoull(argv[2], NULL, 0);
		argv += 2;
		argc -= 2;
	}
	if (argc != 2 || argv[1][0] == '-') {
		fputs(USAGE, stderr);
		return 2;
	}
	return serve(argv[1], seed);
}
