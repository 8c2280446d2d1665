/* One object: its text becomes a tree, the tree is read twice, for its size and for good. */
#include "kube/read.h"

#include <errno.h>

#include "base/mem.h"
#include "kube/reader.h"

#define FIRST_GUESS (16u << 10)
#define SIZE_MOST   (64u << 20)

static struct kube_object *(*const readers[KUBE_KINDS])(struct reader *reader,
							const cJSON *json) = {
	[KUBE_PODS] = read_pod,     [KUBE_NAMESPACES] = read_namespace,
	[KUBE_NODES] = read_node,   [KUBE_SERVICES] = read_service,
	[KUBE_SLICES] = read_slice,
};

/* cJSON does not tell want of memory from bad text, and its hooks have no owner. */
static _Thread_local bool tree_is_short;

static void *tree_alloc(size_t size)
{
	void *memory = mem_alloc(size);
	tree_is_short |= !memory;
	return memory;
}

static struct kube_object *build(enum kube_kind kind, const cJSON *json, struct reader *reader)
{
	struct kube_object *object = readers[kind](reader, json);
	if (!object || reader->is_full)
		return NULL;
	object->kind = (uint8_t)kind;
	return object;
}

/* In scratch memory that doubles until the object fits; how many bytes it needs. */
static int measure(enum kube_kind kind, const cJSON *json, const struct read_options *options,
		   struct read_faults *faults, size_t *ret_size)
{
	for (size_t size = FIRST_GUESS; size <= SIZE_MOST; size *= 2) {
		struct reader reader = {.size = size, .options = options, .faults = faults};
		reader.memory = mem_alloc(size);
		if (!reader.memory)
			return -ENOMEM;
		*faults = (struct read_faults){0};
		const struct kube_object *object = build(kind, json, &reader);
		bool is_whole = object && *object->name && *object->version;
		bool is_full = reader.is_full;
		mem_free(reader.memory);
		if (!is_full) {
			*ret_size = reader.used;
			return is_whole ? 0 : -EINVAL;
		}
	}
	return -ENOMEM;
}

static int read_tree(enum kube_kind kind, const cJSON *json, const struct read_options *options,
		     struct read_faults *faults, struct kube_object **ret_object)
{
	struct reader reader = {.options = options, .faults = faults};
	int error = measure(kind, json, options, faults, &reader.size);
	if (error)
		return error;
	reader.memory = mem_alloc(reader.size);
	if (!reader.memory)
		return -ENOMEM;
	*faults = (struct read_faults){0};
	*ret_object = build(kind, json, &reader);
	return 0;
}

int kube_read(enum kube_kind kind, struct span json, const struct read_options *options,
	      struct read_faults *faults, struct kube_object **ret_object)
{
	cJSON_Hooks hooks = {.malloc_fn = tree_alloc, .free_fn = mem_free};
	cJSON_InitHooks(&hooks);
	*faults = (struct read_faults){0};
	tree_is_short = false;
	cJSON *tree = cJSON_ParseWithLength(json.data, json.size);
	int error = cJSON_IsObject(tree) ? 0 : tree_is_short ? -ENOMEM : -EBADMSG;
	if (!error)
		error = read_tree(kind, tree, options, faults, ret_object);
	cJSON_Delete(tree);
	cJSON_InitHooks(NULL); /* they are the process's: other rooms have trees of their own */
	return error;
}
