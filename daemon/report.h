/*
 * report - the daemon's state as JSON, for the control socket.
 *
 * Model:   reads everything, changes nothing. Parts of the proxy that are
 *          NULL are reported as empty.
 * Units:   in the field's name: _ms, _s, _bytes; rate_tx in bit/s.
 * Bounds:  lists of streams and subflows come in pages of REPORT_PAGE_MAX at most.
 * Owner:   the caller ends the result with json_decref(). NULL: no memory.
 * Source:  docs/control.md.
 */
#ifndef DAEMON_REPORT_H
#define DAEMON_REPORT_H

#include "common/base.h"

#include <jansson.h>

enum { REPORT_PAGE_DEFAULT = 200, REPORT_PAGE_MAX = 500 };

struct proxy;

struct report_page {
	uint64_t from; /* entries left out before it */
	uint64_t limit;
};

json_t *report_version(const struct proxy *p);
json_t *report_status(const struct proxy *p);
json_t *report_uplinks(const struct proxy *p); /* client */
json_t *report_streams(const struct proxy *p, const struct report_page *page);
json_t *report_subflows(const struct proxy *p, const struct report_page *page);

#endif
