"""COPY TO's text and csv formats: batches to lines."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport int64_t, uint8_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memchr, memcmp, memcpy
from tusk._types cimport Datum
from tusk.access._varlena cimport vardata_any, varsize_any_exhdr
from tusk.memory._context cimport MemoryContext
from tusk.sql.execute._batch cimport Batch, batch_row
from tusk.types._kernel_datum cimport (
    KIND_BOOL, KIND_INT, KIND_TEXT, DatumType, datum_to_python, datum_type, detoast,
)

from tusk.types.codec import codec_for


cdef class CopyFormatter:
    """``CopyFormatter(types, ...)``; `format_batch` gives the lines of a batch, `format_row` one of Python strings."""

    cdef bint csv
    cdef char delimiter, quote, escape
    cdef bytes null_text
    cdef list types, codecs
    cdef uint8_t *forced
    cdef int ncolumns
    cdef bint single
    cdef char *out
    cdef Py_ssize_t used, room
    cdef MemoryContext arena
    cdef object encode
    cdef bint framed
    cdef Py_ssize_t row_start

    def __cinit__(self, list type_oids, *, bint csv, str delimiter, str null_text, str quote, str escape,
                  force_quote=(), encode=None, bint framed=False):
        cdef int i
        self.framed = framed
        self.csv = csv
        self.delimiter = <char> ord(delimiter)
        self.quote = <char> ord(quote) if quote else c'"'
        self.escape = <char> ord(escape) if escape else self.quote
        self.null_text = null_text.encode()
        self.types = [datum_type(oid) for oid in type_oids]
        self.codecs = [codec_for(oid) for oid in type_oids]
        self.ncolumns = len(type_oids)
        self.single = self.ncolumns == 1
        self.forced = <uint8_t *> malloc(max(1, self.ncolumns))
        if self.forced == NULL:
            raise MemoryError
        for i in range(self.ncolumns):
            self.forced[i] = i in force_quote
        self.arena = MemoryContext("COPY TO")
        self.encode = encode

    def __dealloc__(self):
        free(self.out)
        free(self.forced)

    cdef int reserve(self, Py_ssize_t n) except -1:
        cdef void *grown
        if self.used + n > self.room:
            self.room = max(2 * self.room, self.used + n, 65536)
            grown = realloc(self.out, self.room)
            if grown == NULL:
                raise MemoryError
            self.out = <char *> grown
        return 0

    cdef int put(self, const char *p, Py_ssize_t n, int column) except -1:
        """A value that is not null, escaped or quoted as it must be."""
        cdef Py_ssize_t i
        cdef char ch
        cdef char *to
        cdef bint quoted
        self.reserve(2 * n + 2)
        to = self.out + self.used
        if not self.csv:
            for i in range(n):
                ch = p[i]
                if ch == c'\\' or ch == self.delimiter:
                    to[0] = c'\\'
                    to[1] = ch
                    to += 2
                elif 8 <= ch <= 13:
                    to[0] = c'\\'
                    to[1] = (<const char *> b"btnvfr")[ch - 8]
                    to += 2
                else:
                    to[0] = ch
                    to += 1
            self.used = to - self.out
            return 0
        quoted = self.forced[column] != 0 or (
            n == PyBytes_GET_SIZE(self.null_text) and memcmp(p, PyBytes_AS_STRING(self.null_text), n) == 0)
        if not quoted and self.single and n == 2 and p[0] == c'\\' and p[1] == c'.':
            quoted = True
        if not quoted:
            for i in range(n):
                ch = p[i]
                if ch == self.delimiter or ch == self.quote or ch == c'\n' or ch == c'\r':
                    quoted = True
                    break
        if not quoted:
            memcpy(to, p, n)
            self.used += n
            return 0
        to[0] = self.quote
        to += 1
        for i in range(n):
            ch = p[i]
            if ch == self.quote or ch == self.escape:
                to[0] = self.escape
                to += 1
            to[0] = ch
            to += 1
        to[0] = self.quote
        self.used = to + 1 - self.out
        return 0

    cdef int put_integer(self, int64_t value) except -1:
        cdef char digits[24]
        cdef int at = 24
        cdef unsigned long long rest = <unsigned long long> value if value >= 0 else 0 - <unsigned long long> value
        while True:
            at -= 1
            digits[at] = <char> (c'0' + rest % 10)
            rest //= 10
            if rest == 0:
                break
        if value < 0:
            at -= 1
            digits[at] = c'-'
        self.reserve(24)
        memcpy(self.out + self.used, digits + at, 24 - at)
        self.used += 24 - at
        return 0

    cdef int put_raw(self, bytes data) except -1:
        cdef Py_ssize_t n = PyBytes_GET_SIZE(data)
        self.reserve(n)
        memcpy(self.out + self.used, PyBytes_AS_STRING(data), n)
        self.used += n
        return 0

    cdef int put_char(self, char ch) except -1:
        self.reserve(1)
        self.out[self.used] = ch
        self.used += 1
        return 0

    cdef int begin_row(self) except -1:
        """With framing each row is a CopyData message: leave room for its head."""
        self.row_start = self.used
        if self.framed:
            self.reserve(5)
            self.used += 5
        return 0

    cdef int end_row(self) except -1:
        cdef Py_ssize_t head = 5 if self.framed else 0
        cdef Py_ssize_t size
        cdef uint8_t *p
        self.put_char(c'\n')
        if self.encode is not None:
            converted = self.encode(<bytes> self.out[self.row_start + head:self.used])
            self.used = self.row_start + head
            self.put_raw(converted)
        if self.framed:
            size = self.used - self.row_start - 1
            p = <uint8_t *> self.out + self.row_start
            p[0] = c'd'
            p[1] = <uint8_t> (size >> 24)
            p[2] = <uint8_t> (size >> 16)
            p[3] = <uint8_t> (size >> 8)
            p[4] = <uint8_t> size
        return 0

    def format_batch(self, Batch batch):
        """The lines of a batch, newlines included."""
        cdef int k, i, row
        cdef DatumType kind
        cdef Datum value
        cdef bytes text
        self.used = 0
        for k in range(batch.nsel):
            row = batch_row(batch, k)
            self.begin_row()
            for i in range(self.ncolumns):
                if i:
                    self.put_char(self.delimiter)
                if batch.cols[i].nulls[row]:
                    self.put_raw(self.null_text)
                    continue
                value = batch.cols[i].values[row]
                kind = <DatumType> self.types[i]
                if kind.kind == KIND_INT and kind.base in (20, 21, 23):
                    if self.csv and (self.forced[i] or self.null_text):
                        text = str(<int64_t> value).encode()
                        self.put(PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text), i)
                    else:
                        self.put_integer(<int64_t> value)
                elif kind.kind == KIND_TEXT and kind.base in (25, 1042, 1043):
                    value = detoast(value, self.arena)
                    self.put(vardata_any(<void *> value), varsize_any_exhdr(<void *> value), i)
                elif kind.kind == KIND_BOOL:
                    self.put(b"t" if value else b"f", 1, i)
                else:
                    text = self.codecs[i].output(datum_to_python(value, kind)).encode("utf-8", "surrogateescape")
                    self.put(PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text), i)
            self.end_row()
        self.arena.reset()
        return <bytes> self.out[:self.used] if self.used else b""

    def format_row(self, values):
        """One line of strings and None."""
        cdef int i = 0
        cdef bytes text
        self.used = 0
        self.begin_row()
        for value in values:
            if i:
                self.put_char(self.delimiter)
            if value is None:
                self.put_raw(self.null_text)
            else:
                text = value.encode("utf-8", "surrogateescape")
                self.put(PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text), i)
            i += 1
        self.end_row()
        return <bytes> self.out[:self.used]
