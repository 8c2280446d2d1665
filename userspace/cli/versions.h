/* Which version of weft each node of a cluster runs: asked of the weftd behind every address of a
 * headless Service, shown, and compared. For `weft check`.
 */
#ifndef CLI_VERSIONS_H
#define CLI_VERSIONS_H

#include "base/attr.h"
#include "base/text.h"
#include "kernel/check.h"

struct node_version {
	char address[64];
	char node[64];    /* "" = it did not say */
	char version[32]; /* "" = unknown, see `error` */
	char error[96];
};

struct versions {
	struct node_version *nodes;
	size_t count;
};

/* `nodes` is "NAME:PORT". Nodes that answer slowly are waited for, ten seconds in all; then the
 * others are noted as not asked. 0, or -errno and a sentence in `why`. The caller ends `ret`. */
int versions_ask(const char *nodes, struct versions *ret, struct text *why) MUST_CHECK;
void versions_fini(struct versions *versions);

/* Understands what weftd says at /version.json: its version and node, or an error. */
void versions_read(struct node_version *node, unsigned status, struct span body);
/* All the same is fine; else the line says who differs from most, or who did not answer. */
void versions_judge(const struct versions *versions, struct check_line *line);
void versions_print(const struct versions *versions, struct text *text);
/* Appends ,"nodes":[…] */
void versions_json(const struct versions *versions, struct text *text);

#endif
