# cython: language_level=3
"""Parsing of COPY input."""
