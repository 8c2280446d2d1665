/*
 * Installing the plugin on a node: the program in the runtime's folder of plugins, and an entry at
 * the end of the configuration list that the runtime uses. That is the first file by name that is
 * valid: NAME.conflist, or NAME.conf or NAME.json with a single plugin; of those a NAME.conflist is
 * made, and the file is kept as NAME.conf.weft-kept until the plugin is taken out. One thread.
 */
#ifndef CNI_PLACE_H
#define CNI_PLACE_H

#include <stdbool.h>

#include "base/attr.h"
#include "base/text.h"

#define CNI_BIN_DIR  "/opt/cni/bin"
#define CNI_CONF_DIR "/etc/cni/net.d"
#define CNI_PROGRAM  "/usr/lib/weft/weft-cni"

struct cni_place {
	const char *bin_dir;
	const char *conf_dir;
	const char *program; /* that is copied to bin_dir */
	const char *socket;  /* of weftd, as the node sees it */
	bool is_closed;      /* pods do not start while weftd is silent */
};

struct cni_change {
	bool program_copied;
	bool list_changed;
	bool was_listed; /* before: the change was only of our own settings */
	char file[256];  /* name of the list that has the plugin now */
};

/*
 * Does what is still to be done; nothing, where all is there. 0; -ENOENT: there is no valid
 * configuration yet; -errno and a sentence in `why`.
 */
int cni_install(const struct cni_place *place, struct cni_change *ret_change,
		struct text *why) MUST_CHECK;
/* Takes everything out again, from all lists. `removed` gets a line for each. 0 or -errno. */
int cni_remove(const struct cni_place *place, struct text *removed, struct text *why) MUST_CHECK;
struct cni_state {
	char file[256]; /* name of the configuration that the runtime uses; "" = there is none */
	bool is_listed; /* and our plugin is in it */
	bool has_program;
};
/* 0 or -errno and a sentence. */
int cni_look(const struct cni_place *place, struct cni_state *ret_state,
	     struct text *why) MUST_CHECK;
/* A line for each thing of ours on the node; nothing when it is clean. 0 or -errno. */
int cni_traces(const struct cni_place *place, struct text *traces, struct text *why) MUST_CHECK;

#endif
