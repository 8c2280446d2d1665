/*
 * The CNI plugin weft-cni, chained behind the plugin that makes a pod's interface: a pod is
 * enrolled before its first container runs. It changes nothing itself; what weftd decides, and what
 * happens while weftd is silent, is in ask.h and pending.h. One thread.
 */
#ifndef CNI_PLUGIN_H
#define CNI_PLUGIN_H

#include "cni/request.h"

/* Answers one request: `output` gets what belongs on stdout. Exit status. */
int cni_plugin_run(const struct cni_environment *environment, struct span config,
		   struct text *output);

#endif
