# cython: language_level=3
"""The main shared memory segment."""

cdef char *segment_base         # NULL before create_segment
cdef size_t segment_size
