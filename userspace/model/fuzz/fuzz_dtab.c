/*
 * What is parsed prints as something that parses to the same; what is refused says where, and
 * nothing is lost either way. A path that parses as a path is a tree, too.
 */
#include "base/fuzz/target.h"

#include <assert.h>
#include <errno.h>

#include "base/mem.h"
#include "model/dtab.h"

static void check_error(int error, const struct name_error *where)
{
	assert(error == -EINVAL || error == -E2BIG);
	assert(where->line >= 1 && where->column >= 1 && where->why[0]);
}

static void check_dtab(struct span bytes)
{
	struct dtab *first;
	struct dtab *second;
	struct name_error where;
	struct text printed = {0};
	struct text again = {0};
	int error = dtab_parse(bytes, &first, &where);
	if (error) {
		check_error(error, &where);
		return;
	}
	dtab_print(first, &printed);
	error = dtab_parse(text_span(&printed), &second, &where);
	/* With \xNN and blanks a text may grow past the limits of what it was printed from. */
	assert(error == 0 || error == -E2BIG);
	if (!error) {
		assert(first->count == second->count);
		for (uint32_t i = 0; i < first->count; i++) {
			assert(name_path_equal(first->entries[i].prefix,
					       second->entries[i].prefix));
			assert(name_tree_equal(first->entries[i].tree, second->entries[i].tree));
		}
		dtab_print(second, &again);
		assert(span_equal(text_span(&printed), text_span(&again)));
		dtab_free(second);
	}
	dtab_free(first);
	text_fini(&printed);
	text_fini(&again);
}

static void check_path(struct span bytes)
{
	struct name_arena arena;
	struct name_path path;
	struct name_tree *tree;
	struct name_error where;
	name_arena_init(&arena, NULL, 0);
	int error = name_path_parse(bytes, &arena, &path, &where);
	if (error)
		check_error(error, &where);
	int tree_error = name_tree_parse(bytes, &arena, &tree, &where);
	if (tree_error)
		check_error(tree_error, &where);
	if (!error) {
		assert(!tree_error && tree->kind == NAME_LEAF);
		assert(name_path_equal(tree->path, path));
		assert(name_path_starts(path, path));
		assert(name_path_bytes(path) <= NAME_PATH_BYTES_MAX);
	}
	name_arena_fini(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	long live = mem_live();
	struct span bytes = span_of((const char *)data, size);
	check_dtab(bytes);
	check_path(bytes);
	assert(mem_live() == live);
	return 0;
}
