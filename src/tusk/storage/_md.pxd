# cython: language_level=3
"""Relation files on disk: the storage behind _smgr unless another one is set (storage/md.h)."""

from tusk.storage._smgr cimport SMgrVtable

cdef SMgrVtable md_storage
# Descriptors this process may keep open for relation files (part of max_files_per_process).
cdef int md_max_open_files
