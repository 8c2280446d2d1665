#include "proxy/leg.h"

uint32_t leg_window(const struct worker *worker, const struct worker_pod *pod, uint32_t service_id,
		    bool *ret_is_auto)
{
	const struct snapshot *snapshot = worker->snapshot;
	const struct settings *settings = &snapshot->settings;
	const struct service *service = snapshot_service(snapshot, service_id);
	const struct pod *named =
		service ? snapshot_pod_named(snapshot, span_text(pod->name)) : NULL;
	if (!named || !weft_shortcut_applies(named->shortcut, service->shortcut, settings->shortcut,
					     service->protocol == PROTOCOL_HTTP))
		return 0;
	*ret_is_auto =
		weft_shortcut_is_auto(named->shortcut, service->shortcut, settings->shortcut);
	return service->shortcut_window ? service->shortcut_window : settings->shortcut_window;
}

bool leg_is_spent(const struct worker *worker, struct weft_leg_end end)
{
	const struct weft_leg *leg = kernel_leg(worker->kernel, &end);
	return leg && leg->demoted == WEFT_REASON_DEMOTED_WINDOW;
}

void leg_begin(struct weft_leg_end end, struct wire *wire)
{
	if (end.leg)
		wire_guard(wire);
}

void leg_to_tcp(const struct worker *worker, struct weft_leg_end end)
{
	kernel_leg_to_tcp(worker->kernel, &end, WEFT_REASON_DEMOTED_TUNNEL);
}

void leg_end(const struct worker *worker, struct weft_leg_end end)
{
	kernel_leg_to_tcp(worker->kernel, &end, WEFT_REASON_DEMOTED_CLOSING);
}

bool leg_was_cut(const struct worker *worker, struct weft_leg_end end, const struct wire *wire)
{
	const struct weft_leg *leg = kernel_leg(worker->kernel, &end);
	if (!leg) /* over before our end of it is */
		return end.leg && !wire->fin_sent;
	return leg->unread >> !end.side & 1;
}

const char *leg_state(const struct worker *worker, struct weft_leg_end end)
{
	const struct weft_leg *leg = kernel_leg(worker->kernel, &end);
	if (!leg)
		return "tcp";
	return leg->demoted ? weft_reason_name((enum weft_reason)leg->demoted) : "shortcut";
}
