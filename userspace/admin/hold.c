/* POST /pods: the pod is enrolled until the connection ends, in whatever way it does. */
#include <errno.h>

#include "admin/server.h"

static unsigned status_of(int error)
{
	switch (error) {
	case -EINVAL:
		return 400;
	case -EEXIST:
		return 409;
	case -ENOMEM:
	case -ESHUTDOWN:
		return 503;
	default:
		return 422;
	}
}

static void refuse(struct session *session, unsigned status, const char *why)
{
	size_t size = strlen(why);
	const char *end = size && why[size - 1] == '\n' ? "" : "\n";
	hold_end(session);
	text_printf(&session->page, "%s%s", why, end);
	admin_answer_text(session, status);
}

static void on_told(void *request, const char *error)
{
	struct session *session = request;
	if (error) {
		refuse(session, 422, error);
		return;
	}
	text_add(&session->page, span_text("{\"state\":\"captured\"}\n"));
	session->keeps_alive = true;
	admin_answer_json(session);
}

/* From now on nobody who comes takes its place. */
static void become_holder(struct session *session)
{
	if (session->is_holder)
		return;
	session->is_holder = true;
	session->listener->session_count--;
	session->listener->holder_count++;
}

void hold_begin(struct session *session)
{
	struct admin *admin = session->listener->admin;
	const struct admin_sources *sources = &admin->sources;
	struct text why = {0};
	void *pod = NULL;
	if (session->listener->holder_count >= HOLDERS_MAX) {
		refuse(session, 503, "too many connections hold a pod");
		return;
	}
	int error = session->body.failed
			    ? -ENOMEM
			    : sources->pod_add(sources->owner, text_span(&session->body), on_told,
					       session, &why, &pod);
	text_fini(&session->body);
	if (error) {
		refuse(session, status_of(error), why.data ? why.data : strerror(-error));
	} else {
		become_holder(session);
		session->pod = pod;
		session->phase = SESSION_HOLDING; /* and reads on, to notice that the client left */
		timer_clear(io_timers(admin->ring), &session->timer);
	}
	text_fini(&why);
}

void hold_end(struct session *session)
{
	const struct admin_sources *sources = &session->listener->admin->sources;
	void *pod = session->pod;
	session->pod = NULL;
	if (pod)
		sources->pod_drop(sources->owner, pod);
}
