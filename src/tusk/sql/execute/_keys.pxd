# cython: language_level=3
"""Columns that rows are compared, grouped, joined or hashed by."""

from libc.stdint cimport int64_t, uint16_t, uint32_t, uint64_t
from tusk._types cimport Datum
from tusk.access._compare cimport compare_fn
from tusk.access._hash cimport hash_fn
from tusk.types._kernel cimport Vector

cdef enum:
    KEY_INT = 1                 # equal and ordered as 64-bit integers
    KEY_UINT32 = 2
    KEY_FLOAT4 = 3
    KEY_FLOAT8 = 4
    KEY_BYTES = 5               # varlena, ordered and equal by its bytes
    KEY_TEXT = 6                # varlena, equal by its bytes, order is compare's business
    KEY_NUMERIC = 7
    KEY_BPCHAR = 8              # equal by bytes but for trailing blanks; ordered so in the C collation
    KEY_NAME = 9
    KEY_OTHER = 10

cdef struct KeyInfo:
    int column
    int kind
    bint desc
    bint nulls_first
    bint bytewise               # KEY_BPCHAR, KEY_NAME: the order is that of the bytes
    int typlen
    bint typbyval
    compare_fn compare
    void *state
    hash_fn hash                # KEY_OTHER: the type's hash function; NULL where hasher must do
    void *hash_state
    void *hasher                # PythonHash, or NULL

cdef class Keys:
    cdef KeyInfo *keys
    cdef readonly int nkeys
    cdef list held

    # Three-way over all keys with direction and nulls; columns of the two sides are vectors by key.
    cdef int compare_rows(self, Vector **a, int arow, Vector **b, int brow) except? -2
    # Grouping equality: null equals null.
    cdef int equal_rows(self, Vector **a, int arow, Vector **b, int brow) except -1
    # hashes[k] for the k-th selected row; nulls hash like a value.
    cdef int hash_rows(self, Vector **cols, const uint16_t *sel, int n, uint32_t *hashes) except -1

cdef int key_compare(const KeyInfo *key, Datum a, Datum b) except? -2
cdef int key_equal(const KeyInfo *key, Datum a, Datum b) except -1
cdef uint64_t key_prefix(const KeyInfo *key, Datum value, bint *decisive) noexcept
cdef Keys make_sort_keys(object columns, object operators, object collations, object nulls_first, object types)
cdef Keys make_equality_keys(object columns, object operators, object collations, object types)
