# cython: language_level=3
"""Reading and writing rows of the real catalogs."""

