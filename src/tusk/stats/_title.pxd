# cython: language_level=3
"""The process title."""

cpdef int set_title(str activity) except -1
