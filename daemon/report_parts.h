/*
 * report_parts - what the files of the report share; nobody else includes it.
 *
 *	report.c           the daemon, uplinks, streams
 *	report_subflows.c  subflows, of streams and of sessions
 */
#ifndef DAEMON_REPORT_PARTS_H
#define DAEMON_REPORT_PARTS_H

#include "common/addr.h"
#include "daemon/report.h"

/* Names come from files, interfaces and peers: what is not plain is escaped. */
json_t *report_text(const char *s);
json_t *report_addr(const struct addr *a); /* null: there is none */
json_t *report_ms(ns_t ns);
json_t *report_known_ms(ns_t ns);   /* null: 0, not measured yet */
json_int_t report_seconds(ns_t ns); /* whole ones */

/* Goes over all there is, and lists what is on the page. */
struct report_walk {
	const struct proxy *proxy;
	const struct report_page *page;
	json_t *list;
	uint64_t seen;
};

struct report_walk
report_walk_begin(const struct proxy *p, const struct report_page *page);
/* Counts one more: whether it is on the page. */
bool report_walk_next(struct report_walk *w);
json_t *report_walk_end(const struct report_walk *w, const char *list_name);

#endif
