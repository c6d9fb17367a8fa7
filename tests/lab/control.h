/*
 * control - talks to a running emulator.
 *
 * Model:   a line is a request, and the answer is any number of lines and
 *          then "ok" or "error: why". WHICH is LINK, LINK/up or LINK/down.
 *
 *	link NAME NETNS_A DEVICE_A NETNS_B DEVICE_B [KEY=VALUE ...]
 *	unlink NAME
 *	set WHICH KEY=VALUE ...
 *	show [WHICH]            parameters
 *	stats [WHICH]           counters
 *	recent WHICH MS         bytes delivered in the last MS, in steps of 10
 *
 *          up:KEY=VALUE and down:KEY=VALUE are for that lane alone.
 * Bounds:  CONTROL_LINE_MAX for a request, CONTROL_CLIENTS_MAX at once.
 */
#ifndef TESTS_LAB_CONTROL_H
#define TESTS_LAB_CONTROL_H

#include "tests/lab/linkem.h"

#define CONTROL_LINE_MAX    1024
#define CONTROL_CLIENTS_MAX 16

struct control_client {
	int fd; /* -1: free */
	size_t len;
	char line[CONTROL_LINE_MAX];
};

struct control {
	struct linkem *em;
	int listener;
	const char *path;
	struct control_client clients[CONTROL_CLIENTS_MAX];
};

int control_open(struct control *ctl, struct linkem *em, const char *path) MUST_CHECK;
void control_close(struct control *ctl);
/* Takes what is there to be read; never blocks. */
void control_serve(struct control *ctl);

/* Executes one request and writes the answer. */
struct answer {
	char *text;
	size_t len;
};
void control_execute(struct linkem *em, char *line, struct answer *ret_answer);

/* Sends one request to the emulator at `path`; the process's exit status. */
int control_ask(const char *path, char **words, int n);

#endif
