/*
 * The objects of one kind by namespace and name, and what a list changes in them. Owner: an
 * informer.
 */
#ifndef KUBE_CACHE_H
#define KUBE_CACHE_H

#include "kube/objects.h"

/* `before` NULL = added, `after` NULL = deleted. The cache is as it is after the change. */
typedef void cache_changed(void *owner, const struct kube_object *before,
			   const struct kube_object *after);

struct cache {
	struct hash objects;
	uint32_t list; /* the number of the one that is being read */
	cache_changed *changed;
	void *owner;
};

/* -ENOMEM or 0. */
int cache_init(struct cache *cache, cache_changed *changed, void *owner) MUST_CHECK;
/* Without telling. */
void cache_fini(struct cache *cache);

const struct kube_object *cache_find(const struct cache *cache, const char *namespace,
				     const char *name);
/* Takes the object; tells what it changed: nothing when uid and version are those that are known,
 * deleted and added when the uid is another. */
void cache_put(struct cache *cache, struct kube_object *object);
/* Tells, unless there is no such object. */
void cache_remove(struct cache *cache, const char *namespace, const char *name);
void cache_each(const struct cache *cache,
		void (*each)(void *owner, const struct kube_object *object), void *owner);
/* Those of one place of cache_places(): an object has the same place as long as there are as many
 * places, so all of them can be seen bit by bit while they change. */
uint32_t cache_places(const struct cache *cache);
void cache_each_at(const struct cache *cache, uint32_t place,
		   void (*each)(void *owner, const struct kube_object *object), void *owner);

/* Takes an object of which it is not sure that it is still there: told as added unless one of that
 * name is known already, and removed by the end of the list that is being read or comes next. */
void cache_recall(struct cache *cache, struct kube_object *object);

/* A list begins: what is not put until it ends is removed, and told. */
void cache_list_begin(struct cache *cache);
void cache_list_end(struct cache *cache);

#endif
