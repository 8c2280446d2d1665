#include "cli/enrol.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cli/client.h"

static int check(struct answer *answer, struct text *why)
{
	struct span reason = span_trim(text_span(&answer->body));
	if (answer->status == 200)
		return 0;
	if (answer->status == 404)
		text_add(why, span_text("the weftd that runs is of an older version and cannot "
					"take a command in"));
	else
		text_printf(why, "weftd refuses: %.*s", SPAN_PRINT(reason));
	return -EPROTO;
}

int enrol_open(const char *socket, const char *name, const char *cgroup, struct text *why,
	       int *ret_fd)
{
	struct text spec = {0};
	struct answer answer;
	int fd;
	text_add(&spec, span_text("{\"name\":"));
	text_json_string(&spec, span_text(name));
	text_add(&spec, span_text(",\"cgroup\":"));
	text_json_string(&spec, span_text(cgroup));
	text_add(&spec, span_text(",\"capture\":\"all\",\"on_proxy_death\":\"open\"}"));
	int error = spec.failed ? -ENOMEM
				: client_post(socket, "/pods", text_span(&spec), &fd, &answer, why);
	text_fini(&spec);
	if (error)
		return error;
	error = check(&answer, why);
	text_fini(&answer.body);
	if (error)
		close(fd);
	else
		*ret_fd = fd;
	return error;
}

bool enrol_ended(int fd)
{
	char byte;
	ssize_t size = recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
	return size == 0 || (size < 0 && errno != EAGAIN && errno != EINTR);
}
