/*
 * Asks weftd over its Unix socket, or that of another node over TCP: one request, one answer,
 * blocking, with time limits of the socket.
 */
#ifndef CLI_CLIENT_H
#define CLI_CLIENT_H

#include <cjson/cJSON.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "base/attr.h"
#include "base/text.h"

#define CLIENT_BODY_MAX (256u << 20)

struct answer {
	unsigned status;
	struct text body;
};

/* 0, or -errno and a sentence in `why`. The caller ends `answer` with text_fini(&body). */
int client_ask(const char *socket_path, const char *method, const char *path,
	       struct answer *ret_answer, struct text *why) MUST_CHECK;
/* The same of a weftd somewhere else; each step may take so many seconds. */
int client_get_at(const struct sockaddr *address, socklen_t size, unsigned limit_s,
		  const char *path, struct answer *ret_answer, struct text *why) MUST_CHECK;
/* Posts JSON and keeps the connection, which the caller closes. 0, or -errno and a sentence. */
int client_post(const char *socket_path, const char *path, struct span json, int *ret_fd,
		struct answer *ret_answer, struct text *why) MUST_CHECK;
/* Reads one answer from a descriptor; the half of client_ask that a test can feed. */
int client_read(int fd, struct answer *ret_answer, struct text *why) MUST_CHECK;

/* The JSON at `path`, or NULL after a complaint on stderr. The caller frees with cJSON_Delete. */
cJSON *client_json(const char *socket_path, const char *path) MUST_CHECK;
/* Prints the JSON at `path` as it is. Exit status. */
int client_print(const char *socket_path, const char *path);

/* True when a process accepts connections at the path. */
bool client_is_served(const char *socket_path);
/* The process that listens there; 0 = none. */
pid_t client_server_pid(const char *socket_path);

#endif
