# cython: language_level=3
"""Writing many buffers: checkpoints and the background writer's scan."""

# Writes what was dirty when it began, sorted and spread; returns the number of buffers written.
# flags: CHECKPOINT_* of _buffer. Pacing: set_pacing.
cdef int checkpoint_buffers(int flags) except -1
# One round of the background writer; 1 if it may hibernate.
cdef int bgwriter_sync() except -1
