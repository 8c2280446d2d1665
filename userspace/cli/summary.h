/* What `weft run` says at the end, and the names it makes resolvable. Pure. */
#ifndef CLI_SUMMARY_H
#define CLI_SUMMARY_H

#include "cli/sample.h"

/* One line per destination: "weft: 127.0.0.1:8000  3 requests, 100.0 % success, …". */
void summary_print(const struct sample *sample, struct text *text);
/* Nothing is under way any more, so that the numbers are final. */
bool summary_is_final(const struct sample *sample);
/* Lines of hosts(5) for every service of /services.json. Returns how many. */
size_t hosts_print(const cJSON *services, struct text *text);

#endif
