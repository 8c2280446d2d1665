/* weft stat: what went through, per service. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "cli/client.h"
#include "cli/sample.h"
#include "cli/view.h"

struct stat_options {
	struct view_options view;
	double interval_seconds; /* 0 = once */
	char **services;
	size_t service_count;
};

static int take_sample(const struct view_options *view, struct sample *ret_sample)
{
	cJSON *json = client_json(view->socket, "/stat.json");
	if (!json)
		return -EPROTO;
	view_keep(json, view->namespace);
	int error = sample_parse(json, ret_sample);
	cJSON_Delete(json);
	if (error)
		complain("weftd's /stat.json is not of this version of weft");
	return error;
}

/* True when every service asked for is known. */
static bool all_known(const struct sample *sample, const struct stat_options *options)
{
	for (size_t i = 0; i < options->service_count; i++) {
		bool found = false;
		for (size_t j = 0; j < sample->row_count; j++)
			found = found || !strcmp(sample->rows[j].service, options->services[i]);
		if (!found) {
			complain("no service \"%s\"; `weft services` lists them",
				 options->services[i]);
			return false;
		}
	}
	return true;
}

static void show(const struct sample *sample, const struct stat_options *options,
		 const char *window)
{
	struct text text = {0};
	if (options->view.wants_json) {
		sample_print_json(sample, options->services, options->service_count, &text);
	} else {
		text_printf(&text, "%s, %.1f s\n", window, sample->window_seconds);
		sample_print(sample, options->services, options->service_count, &text);
	}
	fputs(text.failed ? "out of memory\n" : text.data, stdout);
	fflush(stdout);
	text_fini(&text);
}

static int stat_once(const struct stat_options *options)
{
	struct sample sample;
	if (take_sample(&options->view, &sample))
		return EXIT_FAILED;
	bool known = all_known(&sample, options);
	if (known)
		show(&sample, options, "since start");
	sample_fini(&sample);
	return known ? EXIT_OK : EXIT_FAILED;
}

static void wait_seconds(double seconds)
{
	struct timespec left = {.tv_sec = (time_t)seconds};
	left.tv_nsec = (long)((seconds - (double)left.tv_sec) * 1e9);
	while (nanosleep(&left, &left) && errno == EINTR)
		;
}

static int stat_watch(const struct stat_options *options)
{
	bool redraws = isatty(STDOUT_FILENO) && !options->view.wants_json;
	struct sample before;
	if (take_sample(&options->view, &before))
		return EXIT_FAILED;
	if (!all_known(&before, options)) {
		sample_fini(&before);
		return EXIT_FAILED;
	}
	for (;;) {
		struct sample now;
		struct sample shown;
		wait_seconds(options->interval_seconds);
		if (take_sample(&options->view, &now))
			break;
		if (sample_copy(&now, &shown)) {
			complain("out of memory");
			sample_fini(&now);
			break;
		}
		bool restarted = shown.window_seconds < before.window_seconds;
		sample_subtract(&shown, &before);
		if (redraws)
			fputs("\x1b[H\x1b[J", stdout);
		show(&shown, options, restarted ? "since weftd's restart" : "last interval");
		if (!redraws && !options->view.wants_json)
			putchar('\n');
		sample_fini(&shown);
		sample_fini(&before);
		before = now;
	}
	sample_fini(&before);
	return EXIT_FAILED;
}

static bool read_seconds(const char *text, double *ret_seconds)
{
	char *end;
	double seconds = strtod(text, &end);
	if (end == text || *end || !(seconds >= 0.1 && seconds <= 86400))
		return false;
	*ret_seconds = seconds;
	return true;
}

static int stat_run(const struct command *self, int argc, char **argv)
{
	static const struct option known[] = {
		VIEW_OPTIONS, {"watch", optional_argument, NULL, 'w'}, {NULL, 0, NULL, 0}};
	struct stat_options options = {.view = {.socket = DEFAULT_SOCKET}};
	int status;
	for (int option;
	     (option = getopt_long(argc, argv, VIEW_SHORT_OPTIONS, known, NULL)) != -1;) {
		if (option != 'w') {
			if (!view_option(&options.view, self, option, &status))
				return status;
			continue;
		}
		options.interval_seconds = 1;
		if (optarg && !read_seconds(optarg, &options.interval_seconds))
			return command_misused(self, "--watch takes 0.1 to 86400 seconds");
		/* "--watch 5" is meant as "--watch=5". */
		if (!optarg && optind < argc &&
		    read_seconds(argv[optind], &options.interval_seconds))
			optind++;
	}
	options.services = argv + optind;
	options.service_count = (size_t)(argc - optind);
	return options.interval_seconds > 0 ? stat_watch(&options) : stat_once(&options);
}

const struct command command_stat = {
	.name = "stat",
	.arguments = "[--watch [SECONDS]] [SERVICE…]",
	.summary = "Success, rates, latencies and bytes per service",
	.details =
		"  --watch [SECONDS]\n"
		"                  show each interval (default 1 s) until "
		"interrupted\n" VIEW_OPTIONS_HELP
		"\nSUCCESS is the share of requests that were answered, and not with 5xx. Without\n"
		"--watch everything counts since weftd started; SENT is towards the service.\n",
	.run = stat_run,
};
