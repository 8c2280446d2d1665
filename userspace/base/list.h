/* Intrusive doubly linked ring. Owner: the struct that embeds the head; one thread. */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"

struct list {
	struct list *next;
	struct list *prev;
};

static inline void list_init(struct list *list)
{
	list->next = list;
	list->prev = list;
}

static inline bool list_is_empty(const struct list *head)
{
	return head->next == head;
}

/* True while the item is on some list; list_init or list_remove makes it false. */
static inline bool list_is_linked(const struct list *item)
{
	return item->next != item;
}

static inline void list_add_first(struct list *head, struct list *item)
{
	item->next = head->next;
	item->prev = head;
	head->next->prev = item;
	head->next = item;
}

static inline void list_add_last(struct list *head, struct list *item)
{
	item->prev = head->prev;
	item->next = head;
	head->prev->next = item;
	head->prev = item;
}

static inline void list_remove(struct list *item)
{
	item->prev->next = item->next;
	item->next->prev = item->prev;
	list_init(item);
}

#define list_entry(item, type, member) container_of(item, type, member)
/* The body may remove `item` itself. */
#define list_each(head, item)                                                                      \
	for (struct list *item = (head)->next, *item##_next = item->next; item != (head);          \
	     item = item##_next, item##_next = item->next)

#endif
