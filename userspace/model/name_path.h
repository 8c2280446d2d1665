/*
 * A hierarchical name: /svc/web, /#/io.l5d.fs/web, /$/inet/10.0.0.1/80. A list of segments, none of
 * them empty, that it borrows; "/" has none. Any thread; never owns. linkerd1.md 1.8.
 */
#ifndef MODEL_NAME_PATH_H
#define MODEL_NAME_PATH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/span.h"
#include "base/text.h"
#include "model/name_arena.h"

/* Of a path: its segments' bytes and a slash for each. */
#define NAME_PATH_BYTES_MAX 8192

struct name_path {
	const struct span *segments; /* an empty one, in a prefix only: `*`, any segment */
	uint32_t count;
};

static inline bool name_segment_is_wildcard(struct span segment)
{
	return segment.size == 0;
}

/* Letters, digits and _ : . # $ % - stand for themselves, every other byte is written \xNN. */
bool name_byte_is_plain(unsigned char byte);

bool name_path_equal(struct name_path a, struct name_path b);
/* Segment by segment; a wildcard of the prefix matches any one. The prefix "/" matches every path.
 */
bool name_path_starts(struct name_path path, struct name_path prefix);
/* From segment `from` on, at most `count` of them; lends the same segments. */
struct name_path name_path_slice(struct name_path path, uint32_t from, uint32_t count);
static inline struct name_path name_path_drop(struct name_path path, uint32_t count)
{
	return name_path_slice(path, count, UINT32_MAX);
}
/* Bytes, as NAME_PATH_BYTES_MAX counts them. */
size_t name_path_bytes(struct name_path path);
/* a then b, with the segments' bytes where they are. 0, -ENOMEM, or -E2BIG past the limit. */
int name_path_join(struct name_path a, struct name_path b, struct name_arena *arena,
		   struct name_path *ret_path) MUST_CHECK;
/* With the segments' bytes, as one piece of memory. 0 or -ENOMEM. */
int name_path_copy(struct name_path path, struct name_arena *arena,
		   struct name_path *ret_path) MUST_CHECK;

/* As it is parsed again; a wildcard prints as `*`. */
void name_path_print(struct name_path path, struct text *text);
void name_segment_print(struct span segment, struct text *text);

#endif
