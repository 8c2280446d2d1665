/* Names of the proxy's reasons, from the one list. */
#include "telemetry/series.h"

#include <assert.h>

struct reason_text {
	const char *name;
	const char *help;
};

static const struct reason_text reasons[WEFT_PROXY_REASON_COUNT] = {
#define REASON_TEXT(symbol, reason_name, reason_help) {reason_name, reason_help},
	WEFT_PROXY_REASONS(REASON_TEXT)
#undef REASON_TEXT
};

const char *proxy_reason_name(enum weft_proxy_reason reason)
{
	assert(reason < WEFT_PROXY_REASON_COUNT);
	return reasons[reason].name;
}

const char *proxy_reason_help(enum weft_proxy_reason reason)
{
	assert(reason < WEFT_PROXY_REASON_COUNT);
	return reasons[reason].help;
}
