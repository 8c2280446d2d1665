/* As few endpoints as the load needs (linkerd1.md L3), the less busy of two of them. O(1). Pure. */
#ifndef POLICY_BALANCE_APERTURE_H
#define POLICY_BALANCE_APERTURE_H

#include "policy/balance_call.h"

#define APERTURE_WINDOW_NS 5e9 /* of the moving average */
#define APERTURE_LOW       0.5 /* attempts in flight per endpoint: at most this narrows it by one */
#define APERTURE_HIGH      2.0 /* at least this widens it by one */

/* Where it begins is drawn once for each worker and service, so that all endpoints get work. */
const struct endpoint *balance_aperture(const struct balance_call *call);
/* An attempt began or ended: the window is widened or narrowed. */
void balance_aperture_moved(struct balance_state *state, uint64_t now_ns);

#endif
