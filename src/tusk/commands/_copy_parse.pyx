"""COPY FROM's text and csv formats: lines to fields to datums, straight into a RowWriter.

`feed` takes input as it comes, cut anywhere; what is left of an unfinished line waits for more. Integers, text, floats
and booleans are converted here; other types by their codec.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memchr, memcmp, memcpy, memmove
from tusk._types cimport Datum
from tusk.commands._row_writer cimport RowWriter
from tusk.sql.execute._state cimport Expr, eval_scalar
from tusk.types._kernel cimport Vector
from tusk.types._kernel_datum cimport DatumType, datum_type, python_to_datum

from tusk.errors import SqlError, errcode
from tusk.types.codec import codec_for

cdef enum Conversion:
    CONVERT_CODEC = 0
    CONVERT_INT = 1
    CONVERT_TEXT = 2
    CONVERT_VARCHAR = 3
    CONVERT_BPCHAR = 4
    CONVERT_BOOL = 5

cdef enum EndOfLine:
    EOL_UNKNOWN = 0
    EOL_NL = 1
    EOL_CR = 2
    EOL_CRNL = 3

cdef struct Field:
    Py_ssize_t start                # in the line's unescaped copy
    Py_ssize_t size
    bint isnull
    bint quoted
    bint isdefault

cdef struct Target:
    int attno                       # from 0
    int conversion
    int typlen
    int32_t limit                   # characters, -1: none
    bint force_not_null
    bint force_null


def split_messages(bytes buf, Py_ssize_t at):
    """CopyData messages at the start of a receive buffer: (payload, where the rest begins).

    Stops before a message of another kind and before one that has not arrived as a whole.
    """
    cdef const char *p = PyBytes_AS_STRING(buf)
    cdef Py_ssize_t n = PyBytes_GET_SIZE(buf)
    cdef Py_ssize_t i = at, size = 0, length
    cdef const uint8_t *u
    cdef char *out
    cdef bytes payload
    while i + 5 <= n and p[i] == c'd':
        u = <const uint8_t *> p + i + 1
        length = (<Py_ssize_t> u[0] << 24) | (u[1] << 16) | (u[2] << 8) | u[3]
        if length < 4 or i + 1 + length > n:
            break
        size += length - 4
        i += 1 + length
    out = <char *> malloc(size + 1)
    if out == NULL:
        raise MemoryError
    i = at
    size = 0
    while i + 5 <= n and p[i] == c'd':
        u = <const uint8_t *> p + i + 1
        length = (<Py_ssize_t> u[0] << 24) | (u[1] << 16) | (u[2] << 8) | u[3]
        if length < 4 or i + 1 + length > n:
            break
        memcpy(out + size, p + i + 5, length - 4)
        size += length - 4
        i += 1 + length
    payload = out[:size]
    free(out)
    return payload, i


cdef class LineParser:
    """Splits input into lines and fields. ``on_fields`` of a subclass gets each line's fields."""

    cdef bint csv
    cdef char delimiter, quote, escape
    cdef bytes null_text, default_text
    cdef char *buf                      # unconsumed input
    cdef Py_ssize_t used, room, scanned
    cdef bint in_quotes, quote_pending  # state of the scan for a csv line's end
    cdef bint after_cr                  # the last line ended in a CR at the end of the input so far
    cdef int eol
    cdef char *work                     # the present line, unescaped
    cdef Py_ssize_t work_room
    cdef Field *fields
    cdef int nfields, fields_room
    cdef const char *line
    cdef Py_ssize_t line_size
    cdef public int64_t line_number
    cdef public bint ended              # an end-of-data marker was read
    cdef public str field_name          # what was being converted, for the context of errors
    cdef public object field_text

    def __cinit__(self, *args, **kwargs):
        self.fields_room = 64
        self.fields = <Field *> malloc(self.fields_room * sizeof(Field))
        if self.fields == NULL:
            raise MemoryError

    def __dealloc__(self):
        free(self.buf)
        free(self.work)
        free(self.fields)

    cdef int setup(self, bint csv, str delimiter, str null_text, str quote, str escape, object default_text) except -1:
        self.csv = csv
        self.delimiter = <char> ord(delimiter)
        self.quote = <char> ord(quote) if quote else c'"'
        self.escape = <char> ord(escape) if escape else self.quote
        self.null_text = null_text.encode()
        self.default_text = None if default_text is None else default_text.encode()
        return 0

    cdef int on_line(self) except -1:
        return 0

    def current_line(self):
        """The line being read, for the context of errors."""
        if self.line == NULL:
            return None
        return (<bytes> self.line[:self.line_size]).decode("utf-8", "replace")

    def feed(self, bytes data):
        """Take more input and process every line that is complete."""
        cdef Py_ssize_t n = PyBytes_GET_SIZE(data)
        cdef void *grown
        if self.ended:
            return
        if self.used + n + 1 > self.room:
            self.room = max(self.used + n + 1, 2 * self.room, 65536)
            grown = realloc(self.buf, self.room)
            if grown == NULL:
                raise MemoryError
            self.buf = <char *> grown
        memcpy(self.buf + self.used, PyBytes_AS_STRING(data), n)
        self.used += n
        self.consume(False)

    def finish(self):
        """The input has ended: process the last line, whether it has a newline or not."""
        if not self.ended:
            self.consume(True)

    cdef int consume(self, bint at_end) except -1:
        cdef Py_ssize_t start = 0
        cdef Py_ssize_t end, after
        while not self.ended:
            if not self.find_end(start, &end, &after, at_end):
                break
            self.line = self.buf + start
            self.line_size = end - start
            self.line_number += 1
            start = after
            self.scanned = start
            self.in_quotes = False
            self.quote_pending = False
            self.on_line()
        self.line = NULL
        if start:
            memmove(self.buf, self.buf + start, self.used - start)
            self.used -= start
            self.scanned = 0 if self.scanned < start else self.scanned - start
        return 0

    cdef bint find_end(self, Py_ssize_t start, Py_ssize_t *end, Py_ssize_t *after, bint at_end) except -1:
        """The end of the line that begins at start; False when it is not there yet."""
        cdef Py_ssize_t i = self.scanned if self.scanned > start else start
        cdef const char *hit
        cdef char ch
        cdef bint escaped = False
        if not self.csv and self.eol == EOL_NL:
            # The common case: newlines cannot be escaped in what COPY TO writes, but a backslash before one counts.
            while True:
                hit = <const char *> memchr(self.buf + i, c'\n', self.used - i) if i < self.used else NULL
                if hit == NULL:
                    break
                end[0] = hit - self.buf
                if self.backslashes_before(start, end[0]) & 1:
                    i = end[0] + 1
                    continue
                if memchr(self.buf + start, c'\r', end[0] - start) != NULL:
                    self.literal_carriage_return(start, end[0])
                after[0] = end[0] + 1
                return True
            self.scanned = self.used
        else:
            while i < self.used:
                ch = self.buf[i]
                if self.csv:
                    if self.in_quotes:
                        if ch == self.escape and self.escape != self.quote and i + 1 < self.used:
                            i += 2
                            continue
                        if ch == self.quote:
                            self.in_quotes = False
                        i += 1
                        continue
                    if ch == self.quote:
                        self.in_quotes = True
                        i += 1
                        continue
                elif ch == c'\\' and i + 1 < self.used:
                    i += 2
                    continue
                elif ch == c'\\' and not at_end:
                    break
                if ch == c'\r' and self.eol in (EOL_UNKNOWN, EOL_CRNL, EOL_CR):
                    if self.eol == EOL_CR:
                        end[0] = i
                        after[0] = i + 1
                        return True
                    if i + 1 == self.used and not at_end:
                        break
                    if i + 1 < self.used and self.buf[i + 1] == c'\n':
                        self.eol = EOL_CRNL
                        end[0] = i
                        after[0] = i + 2
                        return True
                    if self.eol == EOL_CRNL:
                        self.stray("carriage return")
                    self.eol = EOL_CR
                    end[0] = i
                    after[0] = i + 1
                    return True
                if ch == c'\r':
                    self.stray("carriage return")
                if ch == c'\n':
                    if self.eol in (EOL_CR, EOL_CRNL):
                        self.stray("newline")
                    self.eol = EOL_NL
                    end[0] = i
                    after[0] = i + 1
                    return True
                i += 1
            self.scanned = i
        if at_end and self.used > start:
            if self.csv and self.in_quotes:
                self.line_number += 1
                raise SqlError(errcode.BAD_COPY_FILE_FORMAT, "unterminated CSV quoted field")
            end[0] = self.used
            after[0] = self.used
            return True
        return False

    cdef int backslashes_before(self, Py_ssize_t start, Py_ssize_t i) noexcept nogil:
        cdef int n = 0
        while i > start and self.buf[i - 1] == c'\\':
            n += 1
            i -= 1
        return n

    cdef int literal_carriage_return(self, Py_ssize_t start, Py_ssize_t end) except -1:
        """A CR in a file of NL lines: an error unless it is escaped."""
        cdef Py_ssize_t i = start
        while i < end:
            if self.buf[i] == c'\\':
                i += 2
                continue
            if self.buf[i] == c'\r':
                self.line_number += 1
                self.line = NULL
                self.stray_error("carriage return")
            i += 1
        return 0

    cdef int stray(self, str what) except -1:
        self.line_number += 1
        self.line = NULL
        return self.stray_error(what)

    cdef int stray_error(self, str what) except -1:
        word = "unquoted" if self.csv else "literal"
        hint = f'Use quoted CSV field to represent {what}.' if self.csv else \
            f'Use "\\{"r" if what != "newline" else "n"}" to represent {what}.'
        raise SqlError(errcode.BAD_COPY_FILE_FORMAT, f"{word} {what} found in data", hint=hint)

    cdef Field *new_field(self) except NULL:
        cdef void *grown
        if self.nfields == self.fields_room:
            grown = realloc(self.fields, 2 * self.fields_room * sizeof(Field))
            if grown == NULL:
                raise MemoryError
            self.fields = <Field *> grown
            self.fields_room *= 2
        self.nfields += 1
        self.fields[self.nfields - 1].quoted = False
        self.fields[self.nfields - 1].isnull = False
        self.fields[self.nfields - 1].isdefault = False
        return &self.fields[self.nfields - 1]

    cdef int split(self) except -1:
        """The line's fields, unescaped, in self.work."""
        cdef void *grown
        if self.work_room < self.line_size + 16:
            self.work_room = 2 * self.line_size + 1024
            grown = realloc(self.work, self.work_room)
            if grown == NULL:
                raise MemoryError
            self.work = <char *> grown
        self.nfields = 0
        if self.csv:
            return self.split_csv()
        return self.split_text()

    cdef bint same(self, bytes wanted, Py_ssize_t start, Py_ssize_t size):
        return size == PyBytes_GET_SIZE(wanted) and memcmp(self.line + start, PyBytes_AS_STRING(wanted), size) == 0

    cdef int split_text(self) except -1:
        cdef Py_ssize_t i = 0, raw_start, out = 0
        cdef Field *field
        cdef char ch
        cdef int value, digits
        cdef const char *line = self.line
        cdef Py_ssize_t n = self.line_size
        while True:
            field = self.new_field()
            field.start = out
            raw_start = i
            while i < n:
                ch = line[i]
                if ch == self.delimiter:
                    break
                i += 1
                if ch == c'\\' and i < n:
                    ch = line[i]
                    i += 1
                    if c'0' <= ch <= c'7':
                        value = ch - c'0'
                        digits = 1
                        while digits < 3 and i < n and c'0' <= line[i] <= c'7':
                            value = value * 8 + line[i] - c'0'
                            i += 1
                            digits += 1
                        ch = <char> (value & 0xFF)
                    elif ch == c'x' and i < n and hex_value(line[i]) >= 0:
                        value = hex_value(line[i])
                        i += 1
                        if i < n and hex_value(line[i]) >= 0:
                            value = value * 16 + hex_value(line[i])
                            i += 1
                        ch = <char> (value & 0xFF)
                    elif ch == c'b':
                        ch = 8
                    elif ch == c'f':
                        ch = 12
                    elif ch == c'n':
                        ch = 10
                    elif ch == c'r':
                        ch = 13
                    elif ch == c't':
                        ch = 9
                    elif ch == c'v':
                        ch = 11
                self.work[out] = ch
                out += 1
            field.size = out - field.start
            if self.same(self.null_text, raw_start, i - raw_start):
                field.isnull = True
            elif self.default_text is not None and self.same(self.default_text, raw_start, i - raw_start):
                field.isdefault = True
            self.work[out] = 0
            out += 1
            if self.work_room < out + (n - i) + 16:
                self.grow(out + 2 * (n - i) + 1024)
            if i >= n:
                return 0
            i += 1

    cdef int grow(self, Py_ssize_t room) except -1:
        cdef void *grown = realloc(self.work, room)
        if grown == NULL:
            raise MemoryError
        self.work = <char *> grown
        self.work_room = room
        return 0

    cdef int split_csv(self) except -1:
        cdef Py_ssize_t i = 0, raw_start, out = 0
        cdef Field *field
        cdef char ch
        cdef const char *line = self.line
        cdef Py_ssize_t n = self.line_size
        while True:
            field = self.new_field()
            field.start = out
            raw_start = i
            while i < n:
                ch = line[i]
                if ch == self.delimiter:
                    break
                i += 1
                if ch != self.quote:
                    self.work[out] = ch
                    out += 1
                    continue
                field.quoted = True
                while True:
                    if i >= n:
                        raise SqlError(errcode.BAD_COPY_FILE_FORMAT, "unterminated CSV quoted field")
                    ch = line[i]
                    i += 1
                    if ch == self.escape and i < n and (line[i] == self.escape or line[i] == self.quote):
                        self.work[out] = line[i]
                        out += 1
                        i += 1
                        continue
                    if ch == self.quote:
                        break
                    self.work[out] = ch
                    out += 1
            field.size = out - field.start
            if not field.quoted and self.same(self.null_text, raw_start, i - raw_start):
                field.isnull = True
            elif self.default_text is not None and self.same(self.default_text, raw_start, i - raw_start):
                field.isdefault = True
            self.work[out] = 0
            out += 1
            if self.work_room < out + (n - i) + 16:
                self.grow(out + 2 * (n - i) + 1024)
            if i >= n:
                return 0
            i += 1


cdef int hex_value(char ch) noexcept nogil:
    if c'0' <= ch <= c'9':
        return ch - c'0'
    if c'a' <= ch <= c'f':
        return ch - c'a' + 10
    if c'A' <= ch <= c'F':
        return ch - c'A' + 10
    return -1


cdef bint parse_integer(const char *p, Py_ssize_t n, int64_t low, int64_t high, int64_t *out) noexcept nogil:
    """A plain decimal number within bounds; anything else is left to the codec."""
    cdef bint negative = False
    cdef int64_t value = 0
    cdef Py_ssize_t i = 0
    if n and p[0] == c'-':
        negative = True
        i = 1
    if i == n or n - i > 18:
        return False
    while i < n:
        if not c'0' <= p[i] <= c'9':
            return False
        value = value * 10 + (p[i] - c'0')
        i += 1
    if negative:
        value = -value
    if value < low or value > high:
        return False
    out[0] = value
    return True


cdef class CopyParser(LineParser):
    """``CopyParser(writer, columns, ...)``: rows of COPY FROM into a table.

    ``columns`` are (attribute number from 0, name, type, typmod) in input order; ``defaults`` compiled expressions by
    attribute number for columns that are not in the input, ``marked`` for those that may be DEFAULTed by a marker.
    ``header`` is 0, 1 (skip a line) or 2 (match names); ``where`` a compiled filter.
    """

    cdef RowWriter writer
    cdef Target *targets
    cdef int ntargets
    cdef list names, types, codecs, typmods
    cdef list default_attnos, default_exprs
    cdef dict marked
    cdef Expr where
    cdef object header
    cdef object decode                  # bytes of a line in another encoding -> UTF-8, None for UTF-8 input
    cdef public int64_t excluded
    cdef public int64_t skipped
    cdef object on_error                # None: stop; else callable(error)
    cdef list null_attnos

    def __init__(self, RowWriter writer, list columns, *, bint csv, str delimiter, str null_text, str quote, str escape,
                 default_text=None, defaults=(), marked=None, where=None, header=0, decode=None, force_not_null=(),
                 force_null=(), on_error=None):
        cdef int i
        self.setup(csv, delimiter, null_text, quote, escape, default_text)
        self.writer = writer
        self.ntargets = len(columns)
        self.targets = <Target *> malloc(max(1, self.ntargets) * sizeof(Target))
        if self.targets == NULL:
            raise MemoryError
        self.names, self.types, self.codecs, self.typmods = [], [], [], []
        for i, (attno, name, type_oid, typmod) in enumerate(columns):
            kind = datum_type(type_oid)
            self.targets[i].attno = attno
            self.targets[i].typlen = kind.typlen
            self.targets[i].limit = -1
            self.targets[i].force_not_null = name in force_not_null
            self.targets[i].force_null = name in force_null
            self.targets[i].conversion = CONVERT_CODEC
            if type_oid in (20, 21, 23):
                self.targets[i].conversion = CONVERT_INT
            elif type_oid == 25:
                self.targets[i].conversion = CONVERT_TEXT
            elif type_oid == 1043:
                self.targets[i].conversion = CONVERT_VARCHAR
                self.targets[i].limit = typmod - 4 if typmod >= 4 else -1
            elif type_oid == 1042:
                self.targets[i].conversion = CONVERT_BPCHAR
                self.targets[i].limit = typmod - 4 if typmod >= 4 else -1
            elif type_oid == 16:
                self.targets[i].conversion = CONVERT_BOOL
            self.names.append(name)
            self.types.append(kind)
            self.codecs.append(codec_for(type_oid))
            self.typmods.append(typmod)
        given = {column[0] for column in columns}
        self.default_attnos = [attno for attno, _ in defaults]
        self.default_exprs = [expr for _, expr in defaults]
        self.marked = marked or {}
        self.null_attnos = [
            i for i in range(writer.rel.desc.natts) if i not in given and i not in self.default_attnos
        ]
        self.where = where
        self.header = header
        self.decode = decode
        self.on_error = on_error

    def __dealloc__(self):
        free(self.targets)

    cdef int on_line(self) except -1:
        cdef bytes converted = None
        if self.header and self.line_number == 1:
            if self.header == 2:
                self.match_header()
            return 0
        if self.line_size == 2 and self.line[0] == c'\\' and self.line[1] == c'.' and not self.csv:
            self.ended = True
            return 0
        if self.decode is not None:
            converted = self.decode(<bytes> self.line[:self.line_size])
            self.line = PyBytes_AS_STRING(converted)
            self.line_size = PyBytes_GET_SIZE(converted)
        else:
            self.validate()
        self.writer.line = self.line_number
        self.split()
        self.row()
        return 0

    cdef int validate(self) except -1:
        """22021 for bytes that are not UTF-8."""
        cdef Py_ssize_t i
        cdef const uint8_t *p = <const uint8_t *> self.line
        for i in range(self.line_size):
            if p[i] >= 0x80 or p[i] == 0:
                break
        else:
            return 0
        if memchr(self.line, 0, self.line_size) != NULL:
            raise SqlError(errcode.CHARACTER_NOT_IN_REPERTOIRE, 'invalid byte sequence for encoding "UTF8": 0x00')
        try:
            PyUnicode_DecodeUTF8(self.line, self.line_size, "strict")
        except UnicodeDecodeError as error:
            data = (<bytes> self.line[:self.line_size])[error.start:]
            length = 1 if data[0] < 0xC2 else 2 if data[0] < 0xE0 else 3 if data[0] < 0xF0 else 4
            shown = " ".join(f"0x{b:02x}" for b in data[:length])
            raise SqlError(
                errcode.CHARACTER_NOT_IN_REPERTOIRE, f'invalid byte sequence for encoding "UTF8": {shown}') from None
        return 0

    cdef int match_header(self) except -1:
        cdef int i
        self.split()
        if self.nfields != self.ntargets:
            raise SqlError(
                errcode.BAD_COPY_FILE_FORMAT,
                f"wrong number of fields in header line: got {self.nfields}, expected {self.ntargets}")
        for i in range(self.nfields):
            name = self.names[i]
            if self.fields[i].isnull:
                raise SqlError(
                    errcode.BAD_COPY_FILE_FORMAT,
                    f'column name mismatch in header line field {i + 1}: got null value '
                    f'("{self.null_text.decode()}"), expected "{name}"')
            found = (<bytes> self.work[self.fields[i].start:self.fields[i].start + self.fields[i].size]).decode()
            if found != name:
                raise SqlError(
                    errcode.BAD_COPY_FILE_FORMAT,
                    f'column name mismatch in header line field {i + 1}: got "{found}", expected "{name}"')
        return 0

    cdef int row(self) except -1:
        cdef int i, attno
        cdef Expr expr
        cdef bint isnull
        cdef Vector *cols
        cdef Field *field
        cdef RowWriter writer = self.writer
        writer.ctx.reset()
        cols = writer.result.row.cols
        if self.nfields > self.ntargets:
            if not (self.ntargets == 0 and self.nfields == 1 and self.line_size == 0):
                raise SqlError(errcode.BAD_COPY_FILE_FORMAT, "extra data after last expected column")
        for i in range(self.ntargets):
            attno = self.targets[i].attno
            if i >= self.nfields:
                self.field_name = None
                raise SqlError(errcode.BAD_COPY_FILE_FORMAT, f'missing data for column "{self.names[i]}"')
            field = &self.fields[i]
            if field.isnull and self.csv and self.targets[i].force_not_null:
                field.isnull = False
            elif not field.isnull and self.csv and self.targets[i].force_null and field.quoted and \
                    field.size == PyBytes_GET_SIZE(self.null_text) and memcmp(
                        self.work + field.start, PyBytes_AS_STRING(self.null_text), field.size) == 0:
                field.isnull = True
            if field.isdefault:
                expr = self.marked.get(attno)
                if expr is None:
                    cols[attno].nulls[0] = 1
                else:
                    cols[attno].values[0] = eval_scalar(expr, writer.ctx, &isnull)
                    cols[attno].nulls[0] = isnull
                continue
            if field.isnull and (<DatumType> self.types[i]).base == (<DatumType> self.types[i]).oid:
                cols[attno].nulls[0] = 1
                continue
            if self.on_error is not None:
                try:
                    self.convert(i, field, cols)
                except SqlError as error:
                    if not str(error.sqlstate).startswith("22"):
                        raise
                    self.skipped += 1
                    self.on_error(error, self.names[i], self.line_number, self.text_of(field))
                    return 0
            else:
                self.convert(i, field, cols)
        for attno in self.null_attnos:
            cols[attno].nulls[0] = 1
        for i in range(len(self.default_attnos)):
            attno = self.default_attnos[i]
            expr = <Expr> self.default_exprs[i]
            cols[attno].values[0] = eval_scalar(expr, writer.ctx, &isnull)
            cols[attno].nulls[0] = isnull
        if self.where is not None:
            writer.ctx.scan = writer.result.row
            if eval_scalar(self.where, writer.ctx, &isnull) == 0 or isnull:
                self.excluded += 1
                return 0
        writer.add()
        return 0

    cdef object text_of(self, Field *field):
        if field.isnull:
            return None
        return (<bytes> self.work[field.start:field.start + field.size]).decode("utf-8", "surrogateescape")

    cdef int convert(self, int i, Field *field, Vector *cols) except -1:
        """A field as a datum of its column."""
        cdef Target *target = &self.targets[i]
        cdef Vector *v = &cols[target.attno]
        cdef const char *p = self.work + field.start
        cdef Py_ssize_t n = field.size
        cdef int64_t number
        cdef Py_ssize_t chars
        if not field.isnull:
            if target.conversion == CONVERT_INT:
                if target.typlen == 4:
                    if parse_integer(p, n, -2147483648, 2147483647, &number):
                        v.values[0] = <Datum> number
                        v.nulls[0] = 0
                        return 0
                elif target.typlen == 8:
                    if parse_integer(p, n, -999999999999999999, 999999999999999999, &number):
                        v.values[0] = <Datum> number
                        v.nulls[0] = 0
                        return 0
                elif parse_integer(p, n, -32768, 32767, &number):
                    v.values[0] = <Datum> number
                    v.nulls[0] = 0
                    return 0
            elif target.conversion == CONVERT_TEXT or (
                    target.conversion in (CONVERT_VARCHAR, CONVERT_BPCHAR) and target.limit < 0):
                self.make_text(v, p, n, 0)
                return 0
            elif target.conversion == CONVERT_VARCHAR:
                if n <= target.limit or count_characters(p, n) <= target.limit:
                    self.make_text(v, p, n, 0)
                    return 0
            elif target.conversion == CONVERT_BPCHAR:
                chars = count_characters(p, n)
                if chars <= target.limit:
                    self.make_text(v, p, n, target.limit - chars)
                    return 0
            elif target.conversion == CONVERT_BOOL and n == 1:
                if p[0] in (c't', c'1', c'T', c'y', c'Y'):
                    v.values[0] = 1
                    v.nulls[0] = 0
                    return 0
                if p[0] in (c'f', c'0', c'F', c'n', c'N'):
                    v.values[0] = 0
                    v.nulls[0] = 0
                    return 0
        self.field_name = self.names[i]
        self.field_text = text = self.text_of(field)
        if text is None:
            value = check_null(self.codecs[i])
        else:
            value = self.codecs[i].input(text, self.typmods[i])
        self.field_name = None
        v.nulls[0] = value is None
        if value is not None:
            v.values[0] = python_to_datum(value, <DatumType> self.types[i], self.writer.ctx.arena)
        return 0

    cdef int make_text(self, Vector *v, const char *p, Py_ssize_t n, Py_ssize_t padding) except -1:
        """A varlena in the row's arena."""
        cdef char *out = <char *> self.writer.ctx.arena.alloc(4 + n + padding)
        cdef Py_ssize_t i
        cdef uint32_t header = <uint32_t> (4 + n + padding) << 2
        memcpy(out, &header, 4)
        memcpy(out + 4, p, n)
        for i in range(padding):
            out[4 + n + i] = c' '
        v.values[0] = <Datum> out
        v.nulls[0] = 0
        return 0


def check_null(codec):
    """NULL for a domain: its constraints may forbid it."""
    check = getattr(codec, "input_null", None)
    if check is not None:
        return check()
    return None


cdef Py_ssize_t count_characters(const char *p, Py_ssize_t n) noexcept nogil:
    """How many characters of UTF-8 there are."""
    cdef Py_ssize_t i, count = 0
    for i in range(n):
        count += (p[i] & 0xC0) != 0x80
    return count
