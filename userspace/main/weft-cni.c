/* weft-cni: what a container runtime runs for each pod; environment and stdin in, stdout out. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"
#include "cni/plugin.h"

#define CONFIG_MAX (1u << 20)

static const char *variable(const char *name)
{
	const char *value = getenv(name);
	return value ? value : "";
}

/* weftd sees the node's files from a container, where an absolute link (/var/run) leads elsewhere.
 */
static const char *without_links(const char *path)
{
	static char resolved[PATH_MAX];
	return realpath(path, resolved) ? resolved : path;
}

static int config_read(struct text *config)
{
	char piece[4096];
	size_t got;
	while ((got = fread(piece, 1, sizeof(piece), stdin)) && config->size < CONFIG_MAX)
		text_add(config, span_of(piece, got));
	return ferror(stdin) || config->failed || config->size >= CONFIG_MAX ? -1 : 0;
}

int main(void)
{
	struct cni_environment environment = {
		.command = variable("CNI_COMMAND"),
		.container_id = variable("CNI_CONTAINERID"),
		.netns = without_links(variable("CNI_NETNS")),
		.interface = variable("CNI_IFNAME"),
		.arguments = variable("CNI_ARGS"),
	};
	struct text config = {0};
	struct text output = {0};
	int status = 1;
	if (config_read(&config))
		cni_fault_print(&(struct cni_fault){CNI_IO_FAILED, "stdin cannot be read"},
				span_text("1.0.0"), &output);
	else
		status = cni_plugin_run(&environment, text_span(&config), &output);
	if (output.failed ||
	    fwrite(output.data ? output.data : "", 1, output.size, stdout) != output.size ||
	    fflush(stdout))
		status = 1;
	text_fini(&config);
	text_fini(&output);
	return status;
}
