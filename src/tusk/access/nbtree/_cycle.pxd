# cython: language_level=3
"""Cycle ids of running vacuums of b-trees."""

from libc.stdint cimport uint16_t
from tusk.access._relation cimport Relation

cdef uint16_t bt_vacuum_cycleid(Relation rel) except? 0xFFFF    # 0: no vacuum of this index is running
cdef uint16_t bt_start_vacuum(Relation rel) except 0
cdef int bt_end_vacuum(Relation rel) except -1
