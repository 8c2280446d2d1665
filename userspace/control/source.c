/* The config's lists and those of the sources, end to end. */
#include "control/source.h"

#include <errno.h>

#include "base/mem.h"

static struct draft_list *services_of(struct source *source)
{
	return &source->services;
}

static struct draft_list *pods_of(struct source *source)
{
	return &source->pods;
}

/* A new array, or the config's own where no source has anything. */
static int join(const struct list *sources, const struct draft_list *config, size_t width,
		struct draft_list *(*part_of)(struct source *source), struct draft_list *ret_joined)
{
	uint32_t count = config->count;
	list_each (sources, item)
		count += part_of(list_entry(item, struct source, item))->count;
	*ret_joined = *config;
	if (count == config->count)
		return 0;
	char *items = mem_alloc(count * width);
	if (!items)
		return -ENOMEM;
	size_t end = config->count * width;
	if (end)
		memcpy(items, config->items, end);
	list_each (sources, item) {
		const struct draft_list *part = part_of(list_entry(item, struct source, item));
		if (part->count)
			memcpy(items + end, part->items, part->count * width);
		end += part->count * width;
	}
	*ret_joined = (struct draft_list){.count = count, .items = items};
	return 0;
}

static void joined_fini(struct draft_list *joined, const struct draft_list *config)
{
	if (joined->items != config->items)
		mem_free(joined->items);
}

void sources_refresh(const struct list *sources, const struct draft *config)
{
	list_each (sources, item) {
		struct source *source = list_entry(item, struct source, item);
		if (source->configure)
			source->configure(source, config);
		if (source->refresh)
			source->refresh(source);
	}
}

void sources_built(const struct list *sources, const struct snapshot *snapshot)
{
	list_each (sources, item) {
		struct source *source = list_entry(item, struct source, item);
		if (source->built)
			source->built(source, snapshot);
	}
}

int sources_join(const struct list *sources, const struct draft *config, struct draft *ret_joined)
{
	struct draft joined = *config;
	int error = join(sources, &config->services, sizeof(struct service_draft), services_of,
			 &joined.services);
	if (error)
		return error;
	error = join(sources, &config->pods, sizeof(struct pod_draft), pods_of, &joined.pods);
	if (error) {
		joined_fini(&joined.services, &config->services);
		return error;
	}
	*ret_joined = joined;
	return 0;
}

void sources_joined_fini(struct draft *joined, const struct draft *config)
{
	joined_fini(&joined->services, &config->services);
	joined_fini(&joined->pods, &config->pods);
}
