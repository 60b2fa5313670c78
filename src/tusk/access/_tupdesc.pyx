"""Descriptors of row types (access/tupdesc.h): what forming and taking apart tuples needs to know, in C arrays.

A descriptor is immutable once made, apart from the missing values that relcache adds before its first use; it may be
shared by everybody in the process. Offsets of attributes that no variable-length one precedes are worked out when
it is made (attcacheoff), never lazily, so readers never write.
"""

from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy
from tusk._types cimport Datum, Oid

ALIGNMENTS = {"c": 1, "s": 2, "i": 4, "d": 8}
RECORDOID = 2249


cdef char letter(object value) except? -1:
    """A "char" column's value, whether it came as str, bytes or int; empty is NUL."""
    if isinstance(value, str):
        return <char> ord(value) if value else 0
    if isinstance(value, bytes):
        return <char> value[0] if value else 0
    return <char> <int> (value or 0)


cdef class TupleDesc:
    """A row type: ``TupleDesc(rows)`` where each row has pg_attribute's column names as attributes."""

    def __cinit__(self, object rows, Oid typeid=2249, int32_t typmod=-1):
        cdef int i
        cdef Attribute *att
        rows = list(rows)
        self.natts = len(rows)
        self.tdtypeid = typeid
        self.tdtypmod = typmod
        self.missing_held = []
        self.attrs = <Attribute *> calloc(max(self.natts, 1), sizeof(Attribute))
        if self.attrs == NULL:
            raise MemoryError
        self.c.natts = self.natts
        self.c.attrs = self.attrs
        self.names = tuple([row.attname for row in rows])
        for i in range(self.natts):
            row = rows[i]
            att = &self.attrs[i]
            att.atttypid = row.atttypid
            att.atttypmod = row.atttypmod
            att.attcollation = row.attcollation
            att.attlen = row.attlen
            att.attnum = <int16_t> (i + 1)
            att.attndims = row.attndims
            att.attbyval = bool(row.attbyval)
            att.attalign = letter(row.attalign)
            att.attalignby = ALIGNMENTS[chr(att.attalign)]
            att.attstorage = letter(row.attstorage)
            att.attcompression = letter(row.attcompression)
            att.attnotnull = bool(row.attnotnull)
            att.attisdropped = bool(row.attisdropped)
            att.atthasmissing = bool(row.atthasmissing)
            att.atthasdef = bool(row.atthasdef)
            att.attgenerated = letter(row.attgenerated)
            att.attidentity = letter(row.attidentity)
            att.attispackable = att.attlen == -1 and att.attstorage != c'p'
        self.freeze()

    cdef int freeze(self) except -1:
        """Work out attcacheoff."""
        cdef int i
        cdef int64_t off = 0
        cdef Attribute *att
        for i in range(self.natts):
            self.attrs[i].attcacheoff = -1
        self.c.nfixed = 0
        for i in range(self.natts):
            att = &self.attrs[i]
            if att.attlen == -1 and off % att.attalignby != 0:
                break           # where it starts depends on its own header
            off = (off + att.attalignby - 1) & ~(<int64_t> att.attalignby - 1)
            att.attcacheoff = <int32_t> off
            self.c.nfixed = i + 1
            if att.attlen < 0:
                break
            off += att.attlen
        return 0

    cpdef int set_missing(self, int attnum, object value) except -1:
        """Give attribute attnum (from 1) the value that shorter, older tuples have: an int for a by-value type, the
        bytes as on disk for a by-reference one, None for null (attmissingval)."""
        cdef bytes held
        if self.c.missing == NULL:
            self.c.missing = <Datum *> calloc(self.natts, sizeof(Datum))
            self.c.missing_present = <uint8_t *> calloc(self.natts, 1)
            if self.c.missing == NULL or self.c.missing_present == NULL:
                raise MemoryError
        if value is None:
            self.c.missing_present[attnum - 1] = 0
            return 0
        if self.attrs[attnum - 1].attbyval:
            self.c.missing[attnum - 1] = <Datum> <int64_t> value
        else:
            held = bytes(value) + b"\0"
            self.missing_held.append(held)
            self.c.missing[attnum - 1] = <Datum> <const char *> held
        self.c.missing_present[attnum - 1] = 1
        self.c.has_missing = 1
        return 0

    def __dealloc__(self):
        free(self.attrs)
        free(self.c.missing)
        free(self.c.missing_present)

    def __len__(self):
        return self.natts

    def attribute(self, int attnum):
        """The attribute (from 1) as a dict, for Python callers."""
        if not 1 <= attnum <= self.natts:
            raise IndexError(f"no attribute {attnum}")
        cdef Attribute a = self.attrs[attnum - 1]
        return {
            "attname": self.names[attnum - 1], "atttypid": a.atttypid, "atttypmod": a.atttypmod,
            "attcollation": a.attcollation, "attlen": a.attlen, "attnum": a.attnum, "attndims": a.attndims,
            "attbyval": bool(a.attbyval), "attalign": chr(a.attalign), "attstorage": chr(a.attstorage),
            "attcompression": chr(a.attcompression) if a.attcompression else "",
            "attnotnull": bool(a.attnotnull), "attisdropped": bool(a.attisdropped),
            "atthasmissing": bool(a.atthasmissing), "atthasdef": bool(a.atthasdef),
            "attgenerated": chr(a.attgenerated) if a.attgenerated else "",
            "attidentity": chr(a.attidentity) if a.attidentity else "",
        }

    def attnum_of(self, str name):
        """The number (from 1) of the live attribute of that name, or 0."""
        cdef int i
        for i in range(self.natts):
            if self.names[i] == name and not self.attrs[i].attisdropped:
                return i + 1
        return 0

    def __repr__(self):
        return f"TupleDesc({', '.join(self.names)})"


class AttributeRow:
    """A hand-made pg_attribute row for descriptors of transient row types."""

    __slots__ = ("attname", "atttypid", "atttypmod", "attcollation", "attlen", "attndims", "attbyval", "attalign",
                 "attstorage", "attcompression", "attnotnull", "attisdropped", "atthasmissing", "atthasdef",
                 "attgenerated", "attidentity")

    def __init__(self, attname, atttypid, attlen, attbyval, attalign, attstorage="p", atttypmod=-1, attcollation=0,
                 attndims=0, attcompression="", attnotnull=False, attisdropped=False, atthasmissing=False,
                 atthasdef=False, attgenerated="", attidentity=""):
        self.attname = attname
        self.atttypid = atttypid
        self.atttypmod = atttypmod
        self.attcollation = attcollation
        self.attlen = attlen
        self.attndims = attndims
        self.attbyval = attbyval
        self.attalign = attalign
        self.attstorage = attstorage
        self.attcompression = attcompression
        self.attnotnull = attnotnull
        self.attisdropped = attisdropped
        self.atthasmissing = atthasmissing
        self.atthasdef = atthasdef
        self.attgenerated = attgenerated
        self.attidentity = attidentity


cpdef TupleDesc make_tupdesc(object rows, Oid typeid=2249, int32_t typmod=-1):
    """A descriptor from attribute rows (anything with pg_attribute's column names as attributes)."""
    return TupleDesc(rows, typeid, typmod)
