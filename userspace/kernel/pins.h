/*
 * The folder on bpffs where maps and links are pinned: whose it is, who uses it now, removal.
 * Owner: the control thread.
 */
#ifndef KERNEL_PINS_H
#define KERNEL_PINS_H

#include "base/attr.h"
#include "base/text.h"
#include "weft/maps.h"

#define PINS_PATH_MAX 512

struct pins {
	char dir[PINS_PATH_MAX - 128]; /* room for "/links/NAME" behind it */
	int lock_fd; /* the folder itself, flock(2)ed as long as a weftd uses it */
};

enum pins_state {
	PINS_EMPTY,         /* nothing there */
	PINS_SAME_LAYOUT,   /* of a weft with the same include/weft/maps.h */
	PINS_OTHER_VERSION, /* of another weft */
	PINS_FOREIGN,       /* not weft's */
};

/* Names the folder (NULL = WEFT_PIN_DIR) without touching it. 0 or -EINVAL. */
int pins_name(struct pins *pins, const char *dir, struct text *why) MUST_CHECK;
/*
 * Makes sure that `dir` (NULL = WEFT_PIN_DIR) exists on a bpffs, mounting it if it is missing, and
 * locks it. -EBUSY when a living weftd has it, and a sentence in `why` on any failure.
 */
int pins_open(struct pins *pins, const char *dir, struct text *why) MUST_CHECK;
void pins_close(struct pins *pins);

enum pins_state pins_inspect(const struct pins *pins, struct weft_layout *ret_layout);
/* Detaches and removes everything in the folder, the layout last; keeps the folder. 0 or -errno. */
int pins_clear(const struct pins *pins, struct text *why) MUST_CHECK;
/* Path of a pinned map, or (links true) of a pinned link. Returns `path`. */
const char *pins_path(const struct pins *pins, bool links, const char *name,
		      char path[PINS_PATH_MAX]);

#endif
