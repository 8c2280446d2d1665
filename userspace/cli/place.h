/*
 * Where one `weft run` lives: a cgroup, a pin folder and a private folder, all named weft-run-PID,
 * so that `weft cleanup` finds what a killed one left.
 */
#ifndef CLI_PLACE_H
#define CLI_PLACE_H

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

#include "base/attr.h"
#include "base/text.h"

#define PLACE_PREFIX   "weft-run-"
#define PLACE_PIN_ROOT "/sys/fs/bpf"
#define PLACE_PATH_MAX 256
#define PLACE_RUN_ROOT "/run"

struct place {
	pid_t pid;
	char cgroup_root[PLACE_PATH_MAX - 64];
	char cgroup[PLACE_PATH_MAX];  /* CGROUP_ROOT/weft-run-PID */
	char pin_dir[PLACE_PATH_MAX]; /* /sys/fs/bpf/weft-run-PID */
	char folder[PLACE_PATH_MAX];  /* /run/weft-run-PID, 0700 */
	char socket[PLACE_PATH_MAX];
	char config[PLACE_PATH_MAX];
	char hosts[PLACE_PATH_MAX];
};

/* Names only. `cgroup_root` NULL or "" = found from the mount table. 0, or -errno and a sentence.
 */
int place_init(struct place *place, pid_t pid, const char *cgroup_root,
	       struct text *why) MUST_CHECK;
/* Makes the cgroup and the folder. 0, or -errno and a sentence; then nothing is left. */
int place_make(const struct place *place, struct text *why) MUST_CHECK;

/* Processes in the cgroup; -errno (-ENOENT: no such cgroup). */
int place_population(const struct place *place);
/* Moves what still runs in the cgroup to its root; returns how many. */
int place_evacuate(const struct place *place);

/* Each removes one part; 0 (also when it is absent) or -errno. */
int place_remove_cgroup(const struct place *place);
int place_remove_folder(const struct place *place);
int place_remove_pins(const struct place *place, struct text *why);

/* True and the PID if the name is weft-run-PID. */
bool place_name_pid(const char *name, pid_t *ret_pid);

#endif
