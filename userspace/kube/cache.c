#include "kube/cache.h"

#include <errno.h>

#include "base/mem.h"

#define FIRST_BUCKETS 64u

int cache_init(struct cache *cache, cache_changed *changed, void *owner)
{
	*cache = (struct cache){.changed = changed, .owner = owner, .bucket_count = FIRST_BUCKETS};
	cache->buckets = mem_zalloc(FIRST_BUCKETS * sizeof(struct kube_object *));
	return cache->buckets ? 0 : -ENOMEM;
}

void cache_fini(struct cache *cache)
{
	for (uint32_t i = 0; cache->buckets && i < cache->bucket_count; i++) {
		while (cache->buckets[i]) {
			struct kube_object *object = cache->buckets[i];
			cache->buckets[i] = object->next;
			mem_free(object);
		}
	}
	mem_free(cache->buckets);
	*cache = (struct cache){0};
}

/* FNV-1a; a byte between the two, that neither has. */
static uint32_t hash_of(const char *namespace, const char *name)
{
	uint32_t hash = 2166136261u;
	for (; *namespace; namespace ++)
		hash = (hash ^ (uint8_t) * namespace) * 16777619u;
	hash = (hash ^ '/') * 16777619u;
	for (; *name; name++)
		hash = (hash ^ (uint8_t)*name) * 16777619u;
	return hash;
}

static struct kube_object **bucket_of(const struct cache *cache, uint32_t hash)
{
	return &cache->buckets[hash & (cache->bucket_count - 1)];
}

/* Where the object is linked, or would be. */
static struct kube_object **place_of(const struct cache *cache, uint32_t hash,
				     const char *namespace, const char *name)
{
	struct kube_object **at = bucket_of(cache, hash);
	while (*at && ((*at)->hash != hash || strcmp((*at)->name, name) != 0 ||
		       strcmp((*at)->namespace, namespace) != 0))
		at = &(*at)->next;
	return at;
}

const struct kube_object *cache_find(const struct cache *cache, const char *namespace,
				     const char *name)
{
	return *place_of(cache, hash_of(namespace, name), namespace, name);
}

/* Without memory the table stays as it is, and only gets slower. */
static void grow(struct cache *cache)
{
	struct cache larger = *cache;
	larger.bucket_count *= 4;
	larger.buckets = mem_zalloc(larger.bucket_count * sizeof(struct kube_object *));
	if (!larger.buckets)
		return;
	for (uint32_t i = 0; i < cache->bucket_count; i++) {
		while (cache->buckets[i]) {
			struct kube_object *object = cache->buckets[i];
			struct kube_object **to = bucket_of(&larger, object->hash);
			cache->buckets[i] = object->next;
			object->next = *to;
			*to = object;
		}
	}
	mem_free(cache->buckets);
	*cache = larger;
}

static void unlink_at(struct cache *cache, struct kube_object **at)
{
	*at = (*at)->next;
	cache->count--;
}

static void tell_deleted(struct cache *cache, struct kube_object *object)
{
	cache->changed(cache->owner, object, NULL);
	mem_free(object);
}

static void add(struct cache *cache, struct kube_object *object)
{
	struct kube_object **to = bucket_of(cache, object->hash);
	object->next = *to;
	*to = object;
	cache->count++;
	if (cache->count > cache->bucket_count)
		grow(cache);
}

void cache_put(struct cache *cache, struct kube_object *object)
{
	object->hash = hash_of(object->namespace, object->name);
	object->seen = cache->list;
	struct kube_object **at = place_of(cache, object->hash, object->namespace, object->name);
	struct kube_object *before = *at;
	bool is_same = before && strcmp(before->uid, object->uid) == 0;
	if (is_same && strcmp(before->version, object->version) == 0) {
		before->seen = cache->list;
		mem_free(object);
		return;
	}
	if (before)
		unlink_at(cache, at);
	if (before && !is_same) {
		tell_deleted(cache, before);
		before = NULL;
	}
	add(cache, object);
	cache->changed(cache->owner, before, object);
	mem_free(before);
}

void cache_remove(struct cache *cache, const char *namespace, const char *name)
{
	struct kube_object **at = place_of(cache, hash_of(namespace, name), namespace, name);
	struct kube_object *object = *at;
	if (!object)
		return;
	unlink_at(cache, at);
	tell_deleted(cache, object);
}

void cache_each(const struct cache *cache,
		void (*each)(void *owner, const struct kube_object *object), void *owner)
{
	for (uint32_t i = 0; i < cache->bucket_count; i++) {
		for (const struct kube_object *at = cache->buckets[i]; at; at = at->next)
			each(owner, at);
	}
}

void cache_list_begin(struct cache *cache)
{
	cache->list++;
}

void cache_list_end(struct cache *cache)
{
	for (uint32_t i = 0; i < cache->bucket_count; i++) {
		struct kube_object **at = &cache->buckets[i];
		while (*at) {
			struct kube_object *object = *at;
			if (object->seen == cache->list) {
				at = &object->next;
				continue;
			}
			unlink_at(cache, at);
			tell_deleted(cache, object);
		}
	}
}
