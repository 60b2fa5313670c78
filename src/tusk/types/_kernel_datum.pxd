# cython: language_level=3
"""Datums and Python values: conversion both ways, with direct paths for the common types."""

from libc.stddef cimport size_t
from libc.stdint cimport int16_t, int32_t, uint8_t
from tusk._types cimport Datum, Oid
from tusk.memory._context cimport MemoryContext

cdef enum DatumKind:                    # how a Datum of the type becomes a Python value
    KIND_CODEC = 0
    KIND_BOOL
    KIND_INT                            # signed, by value
    KIND_UINT32                         # oid, xid, cid, reg*
    KIND_UINT64                         # xid8, pg_lsn
    KIND_FLOAT4
    KIND_FLOAT8
    KIND_TEXT                           # varlena holding text
    KIND_BYTEA
    KIND_NAME
    KIND_CSTRING
    KIND_UUID
    KIND_TID
    KIND_VOID
    KIND_INTERNAL                       # a borrowed reference to a Python object
    KIND_NUMERIC

cdef class DatumType:
    """What is needed to handle Datums of one type."""
    cdef readonly Oid oid
    cdef readonly int16_t typlen
    cdef readonly bint typbyval
    cdef readonly str typalign
    cdef readonly str typname
    cdef readonly int kind
    cdef readonly Oid base              # of a domain: its base type; else oid
    cdef object _codec                  # looked up at first use

    cdef object codec(self)

cdef DatumType datum_type(Oid oid)
cdef object datum_to_python(Datum value, DatumType type)
cdef Datum python_to_datum(object value, DatumType type, MemoryContext context) except? 0
# Copies a by-reference value; a by-value one is returned as it is.
cdef Datum copy_datum(Datum value, int typlen, bint typbyval, MemoryContext context) except? 0
cdef Datum varlena_datum(const char *data, Py_ssize_t size, MemoryContext context) except? 0
# A varlena that is neither compressed nor external: itself, or a plain copy in context.
cdef Datum detoast(Datum value, MemoryContext context) except? 0
cdef size_t datum_length(Datum value, int typlen) noexcept nogil

cdef inline double datum_float8(Datum value) noexcept nogil:
    cdef double result
    cdef Datum held = value
    return (<double *> &held)[0]

cdef inline Datum float8_datum(double value) noexcept nogil:
    cdef double held = value
    return (<Datum *> &held)[0]

cdef inline float datum_float4(Datum value) noexcept nogil:
    cdef int32_t held = <int32_t> value
    return (<float *> &held)[0]

cdef inline Datum float4_datum(float value) noexcept nogil:
    cdef float held = value
    return <Datum> <long> (<int32_t *> &held)[0]
