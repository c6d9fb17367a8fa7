#include "daemon/tunnel.h"

static const char *const texts[] = {
	[OPEN_OK] = "connected",
	[OPEN_FAILED] = "the server could not connect to the destination",
	[OPEN_DENIED] = "the server does not permit this destination",
	[OPEN_NET_UNREACHABLE] = "the destination's network is unreachable",
	[OPEN_HOST_UNREACHABLE] = "the destination is unreachable",
	[OPEN_REFUSED] = "the destination refused the connection",
	[OPEN_TIMED_OUT] = "the destination did not answer in time",
	[OPEN_NO_SUCH_NAME] = "the destination's name does not exist",
	[OPEN_NAME_FAILED] = "no name server answered for the destination's name",
	[OPEN_LIMIT] = "too many streams are open or being opened",
	[OPEN_NO_TUNNEL] = "there is no session with the server",
};
_Static_assert(ARRAY_LEN(texts) == OPEN_STATUS_COUNT, "a text for every status");

const char *
open_status_text(enum open_status s)
{
	assert((unsigned)s < OPEN_STATUS_COUNT);
	return texts[s];
}
