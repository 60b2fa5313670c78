# cython: language_level=3
"""Formatting of COPY output."""
