#include "kube/cache.h"

#include <assert.h>

#include "base/mem.h"

int cache_init(struct cache *cache, cache_changed *changed, void *owner)
{
	*cache = (struct cache){.changed = changed, .owner = owner};
	return hash_init(&cache->objects);
}

static struct kube_object *object_of(struct hash_item *item)
{
	return hash_entry(item, struct kube_object, item);
}

void cache_fini(struct cache *cache)
{
	hash_each(&cache->objects, item) mem_free(object_of(item));
	hash_fini(&cache->objects);
	*cache = (struct cache){0};
}

static uint32_t hash_of(const char *namespace, const char *name)
{
	return hash_text(span_text(name), hash_text(span_text(namespace), 0));
}

static struct kube_object *find(const struct cache *cache, uint32_t hash, const char *namespace,
				const char *name)
{
	struct hash_item *item = hash_first(&cache->objects, hash);
	for (; item; item = hash_next(item)) {
		struct kube_object *object = object_of(item);
		if (strcmp(object->name, name) == 0 && strcmp(object->namespace, namespace) == 0)
			return object;
	}
	return NULL;
}

const struct kube_object *cache_find(const struct cache *cache, const char *namespace,
				     const char *name)
{
	return find(cache, hash_of(namespace, name), namespace, name);
}

static void tell_deleted(struct cache *cache, struct kube_object *object)
{
	cache->changed(cache->owner, object, NULL);
	mem_free(object);
}

void cache_put(struct cache *cache, struct kube_object *object)
{
	uint32_t hash = hash_of(object->namespace, object->name);
	object->seen = cache->list;
	struct kube_object *before = find(cache, hash, object->namespace, object->name);
	bool is_same = before && strcmp(before->uid, object->uid) == 0;
	if (is_same && strcmp(before->version, object->version) == 0) {
		before->seen = cache->list;
		mem_free(object);
		return;
	}
	if (before)
		hash_remove(&cache->objects, &before->item);
	if (before && !is_same) {
		tell_deleted(cache, before);
		before = NULL;
	}
	int error = hash_add(&cache->objects, &object->item, hash);
	assert(!error); /* hash_init */
	cache->changed(cache->owner, before, object);
	mem_free(before);
}

void cache_recall(struct cache *cache, struct kube_object *object)
{
	uint32_t hash = hash_of(object->namespace, object->name);
	if (find(cache, hash, object->namespace, object->name)) {
		mem_free(object);
		return;
	}
	object->seen = cache->list - 1;
	int error = hash_add(&cache->objects, &object->item, hash);
	assert(!error); /* hash_init */
	cache->changed(cache->owner, NULL, object);
}

void cache_remove(struct cache *cache, const char *namespace, const char *name)
{
	struct kube_object *object = find(cache, hash_of(namespace, name), namespace, name);
	if (!object)
		return;
	hash_remove(&cache->objects, &object->item);
	tell_deleted(cache, object);
}

void cache_each(const struct cache *cache,
		void (*each)(void *owner, const struct kube_object *object), void *owner)
{
	hash_each(&cache->objects, item) each(owner, object_of(item));
}

uint32_t cache_places(const struct cache *cache)
{
	return cache->objects.mask + 1;
}

void cache_each_at(const struct cache *cache, uint32_t place,
		   void (*each)(void *owner, const struct kube_object *object), void *owner)
{
	struct hash_item *item = cache->objects.slots[place];
	for (; item; item = item->next)
		each(owner, object_of(item));
}

void cache_list_begin(struct cache *cache)
{
	cache->list++;
}

void cache_list_end(struct cache *cache)
{
	hash_each(&cache->objects, item)
	{
		struct kube_object *object = object_of(item);
		if (object->seen == cache->list)
			continue;
		hash_remove(&cache->objects, item);
		tell_deleted(cache, object);
	}
}
