/*
 * list - intrusive doubly linked list.
 *
 * Model:   a circle of `struct list`; the head is one of them, and an empty
 *          list is a head that points at itself.
 * Owner:   the list owns nothing; an object leaves with list_remove() before
 *          it is freed. A removed node is empty, and may be removed again.
 */
#ifndef COMMON_LIST_H
#define COMMON_LIST_H

#include "common/base.h"

struct list {
	struct list *next;
	struct list *prev;
};

#define list_entry(ptr, type, member) container_of(ptr, type, member)

#define list_for_each(it, head) \
	for (struct list *it = (head)->next; it != (head); it = it->next)

/* `it` may be removed in the body; no other node may. */
#define list_for_each_safe(it, head)                                              \
	for (struct list *it = (head)->next, *it##_next = it->next; it != (head); \
	     it = it##_next, it##_next = it->next)

static inline void
list_init(struct list *head)
{
	head->next = head;
	head->prev = head;
}

static inline bool
list_empty(const struct list *head)
{
	return head->next == head;
}

static inline void
list_append(struct list *head, struct list *node)
{
	node->next = head;
	node->prev = head->prev;
	head->prev->next = node;
	head->prev = node;
}

static inline void
list_prepend(struct list *head, struct list *node)
{
	list_append(head->next, node);
}

static inline void
list_remove(struct list *node)
{
	node->prev->next = node->next;
	node->next->prev = node->prev;
	list_init(node);
}

/* Moves every node of `from` to the end of `to`. */
static inline void
list_splice(struct list *to, struct list *from)
{
	if (list_empty(from))
		return;
	from->next->prev = to->prev;
	to->prev->next = from->next;
	from->prev->next = to;
	to->prev = from->prev;
	list_init(from);
}

#endif
