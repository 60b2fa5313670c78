# cython: language_level=3
"""The queue of invalidation messages between processes."""

# Reads what other processes have queued; called after each relation lock and at transaction start. Cheap when empty.
cdef int accept_invalidation_messages() except -1
