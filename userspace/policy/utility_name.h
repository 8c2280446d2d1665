/*
 * The names below /$/ that are always there: addresses, and rewriting by the form of a segment.
 * Pure. linkerd1.md 1.8 D9.
 */
#ifndef POLICY_UTILITY_NAME_H
#define POLICY_UTILITY_NAME_H

#include <stdbool.h>

#include "policy/namer.h"

/*
 * `path` with its "$". inet, fixedinet and http.status are bound: id and consumed count all
 * segments of the id. nil is empty, fail fails, the others answer NAMER_TREE with one leaf that
 * stands for the whole path (consumed = all). Names may be full, as io.buoyant.http.domainToPath,
 * or short, as domainToPath; ids have the full ones. NAMER_FAIL with why NULL: out of memory.
 */
void utility_look_up(struct name_path path, struct name_arena *arena,
		     struct namer_answer *ret_answer);
/* `id` is an inet name of a host, not of an address: that, and its port. */
bool utility_host(struct name_path id, struct span ret_host_port[2]);

#endif
