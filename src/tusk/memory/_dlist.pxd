# cython: language_level=3
"""Doubly linked lists whose links lie inside the members (lib/ilist.h), usable in shared memory.

The segment is mapped before the first fork, so addresses are the same in every process.
"""

cdef struct dlist_node:
    dlist_node *prev
    dlist_node *next

cdef struct dlist_head:
    dlist_node head


cdef inline void dlist_init(dlist_head *head) noexcept nogil:
    head.head.prev = &head.head
    head.head.next = &head.head


cdef inline bint dlist_is_empty(const dlist_head *head) noexcept nogil:
    return head.head.next == NULL or head.head.next == &head.head


cdef inline void dlist_insert_after(dlist_node *after, dlist_node *node) noexcept nogil:
    node.prev = after
    node.next = after.next
    after.next.prev = node
    after.next = node


cdef inline void dlist_insert_before(dlist_node *before, dlist_node *node) noexcept nogil:
    node.next = before
    node.prev = before.prev
    before.prev.next = node
    before.prev = node


cdef inline void dlist_push_head(dlist_head *head, dlist_node *node) noexcept nogil:
    if head.head.next == NULL:
        dlist_init(head)
    dlist_insert_after(&head.head, node)


cdef inline void dlist_push_tail(dlist_head *head, dlist_node *node) noexcept nogil:
    if head.head.next == NULL:
        dlist_init(head)
    dlist_insert_before(&head.head, node)


cdef inline void dlist_delete(dlist_node *node) noexcept nogil:
    node.prev.next = node.next
    node.next.prev = node.prev
    node.prev = NULL
    node.next = NULL


cdef inline bint dlist_node_is_detached(const dlist_node *node) noexcept nogil:
    return node.next == NULL


cdef inline dlist_node *dlist_first(dlist_head *head) noexcept nogil:
    """The first member, or NULL. Step with dlist_next."""
    if dlist_is_empty(head):
        return NULL
    return head.head.next


cdef inline dlist_node *dlist_next(dlist_head *head, dlist_node *node) noexcept nogil:
    if node.next == &head.head:
        return NULL
    return node.next


cdef inline dlist_node *dlist_pop_head(dlist_head *head) noexcept nogil:
    cdef dlist_node *node = dlist_first(head)
    if node != NULL:
        dlist_delete(node)
    return node
