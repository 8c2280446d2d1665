#include "cli/nodes.h"

#include <netdb.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/address.h"
#include "base/text.h"
#include "cli/command.h"

/* Addresses of a name; NULL while it has none. */
static struct addrinfo *look_up(const char *name)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	struct addrinfo *found = NULL;
	return getaddrinfo(name, NULL, &hints, &found) ? NULL : found;
}

static bool is_among(const struct addrinfo *one, const struct addrinfo *list)
{
	for (; list; list = list->ai_next)
		if (list->ai_addrlen == one->ai_addrlen &&
		    memcmp(list->ai_addr, one->ai_addr, one->ai_addrlen) == 0)
			return true;
	return false;
}

/* The addresses of `all` that `ready` lacks, in words; "" = none. */
static void missing_print(const struct addrinfo *all, const struct addrinfo *ready,
			  struct text *missing)
{
	char host[NI_MAXHOST];
	for (; all; all = all->ai_next)
		if (!is_among(all, ready) &&
		    getnameinfo(all->ai_addr, all->ai_addrlen, host, sizeof(host), NULL, 0,
				NI_NUMERICHOST) == 0)
			text_printf(missing, " %s", host);
}

static unsigned now_s(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (unsigned)now.tv_sec;
}

/* In `missing` what is still waited for. True: nothing. */
static bool are_ready(const char *ready_name, const char *all_name, struct text *missing)
{
	struct addrinfo *all = look_up(all_name);
	struct addrinfo *ready = look_up(ready_name);
	text_clear(missing);
	if (all)
		missing_print(all, ready, missing);
	else
		text_printf(missing, " %s has no address", all_name);
	if (all)
		freeaddrinfo(all);
	if (ready)
		freeaddrinfo(ready);
	return missing->size == 0 && !missing->failed;
}

int nodes_await(const char *ready, const char *all, unsigned limit_seconds)
{
	struct text missing = {0};
	unsigned began = now_s();
	bool done;
	while (!(done = are_ready(ready, all, &missing)) && now_s() - began < limit_seconds)
		sleep(1);
	if (done)
		printf("all nodes are ready\n");
	else
		complain("after %u s these nodes are not ready:%.*s", limit_seconds,
			 SPAN_PRINT(text_span(&missing)));
	text_fini(&missing);
	return done ? EXIT_OK : EXIT_FAILED;
}
