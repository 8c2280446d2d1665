/* The table of `weft connections`. Pure. */
#ifndef CLI_CONNECTIONS_H
#define CLI_CONNECTIONS_H

#include <cjson/cJSON.h>

#include "base/text.h"

/* Of /connections.json: one row each, with the state of both legs. */
void connections_table(const cJSON *json, struct text *text);

#endif
