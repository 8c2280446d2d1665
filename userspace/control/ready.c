#include "control/state.h"

static bool is_on_its_way(const struct enrolment *enrolment)
{
	return enrolment->state != ENROLMENT_CAPTURED && enrolment->state != ENROLMENT_FAILED;
}

bool control_is_ready(const struct control *control)
{
	if (!control->is_started || !control->current || control->is_draining)
		return false;
	const struct list *head = &control->enrolments;
	for (const struct list *item = head->next; item != head; item = item->next) {
		if (is_on_its_way(container_of(item, struct enrolment, item)))
			return false;
	}
	return true;
}
