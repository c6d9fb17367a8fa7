/*
 * fuzz_ctlmsg - any line is refused, or gives a command and is answered.
 */
#include "common/ctlmsg.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_answer(char *text)
{
	json_t *reply;

	assert(text != NULL);
	assert(strchr(text, '\n') == NULL);
	reply = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	assert(json_is_object(reply));
	assert(json_is_boolean(json_object_get(reply, "ok")));
	json_decref(reply);
	free(text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ctlmsg_request r;
	struct ctlmsg_error e;

	if (ctlmsg_parse((const char *)data, size, &r, &e) == 0) {
		assert(r.cmd != NULL && size <= CTLMSG_LINE_MAX);
		check_answer(ctlmsg_ok(r.id, r.root));
	} else {
		check_answer(ctlmsg_refusal(r.id, &e));
	}
	ctlmsg_request_done(&r);
	return 0;
}
