"""Text and binary forms of the common types (see _kernel_output.pxd); the codecs are the reference."""

from cpython.mem cimport PyMem_Free
from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t, uint16_t, uint64_t
from libc.stdlib cimport free, realloc
from libc.string cimport memcpy, strlen
from tusk.memory._context cimport MemoryContext
from tusk.access._varlena cimport vardata_any, varatt_needs_detoast, varsize_any_exhdr
from tusk.types._kernel_datum cimport (
    KIND_BOOL, KIND_BYTEA, KIND_CSTRING, KIND_FLOAT4, KIND_FLOAT8, KIND_INT, KIND_NAME, KIND_NUMERIC, KIND_TEXT,
    KIND_UINT32, KIND_UINT64, KIND_UUID, datum_float8, datum_type, python_to_datum)

from tusk.types.registry import setting

cdef extern from "Python.h":
    char *PyOS_double_to_string(double value, char format_code, int precision, int flags, int *type) except NULL

cdef enum:
    DATE_EPOCH_JULIAN = 2451545     # 2000-01-01

cdef int64_t USECS_PER_DAY = 86400000000


cdef int out_grow(OutBuffer *out, size_t more) except -1:
    cdef size_t room = 4096 if out.room == 0 else out.room
    cdef char *grown
    while room < out.size + more:
        room *= 2
    grown = <char *> realloc(out.data, room)
    if grown == NULL:
        raise MemoryError
    out.data = grown
    out.room = room
    return 0


cdef void out_free(OutBuffer *out) noexcept:
    free(out.data)
    out.data = NULL
    out.size = out.room = 0


cdef int put_bytes(OutBuffer *out, const char *data, size_t size) except -1:
    out_reserve(out, size)
    memcpy(out.data + out.size, data, size)
    out.size += size
    return 1


cdef int put_digits(OutBuffer *out, uint64_t value, bint negative) except -1:
    cdef char room[24]
    cdef int at = 24
    while True:
        at -= 1
        room[at] = <char> (48 + value % 10)
        value = value / 10
        if value == 0:
            break
    if negative:
        at -= 1
        room[at] = c'-'
    return put_bytes(out, room + at, 24 - at)


# Text

cdef int bool_text(Datum value, OutBuffer *out) except -1:
    return put_bytes(out, b"t" if value & 0xFF else b"f", 1)


cdef int int_text(Datum value, OutBuffer *out) except -1:
    cdef int64_t v = <int64_t> value
    return put_digits(out, <uint64_t> 0 - <uint64_t> v if v < 0 else <uint64_t> v, v < 0)


cdef int uint32_text(Datum value, OutBuffer *out) except -1:
    return put_digits(out, <uint32_t> value, False)


cdef int uint64_text(Datum value, OutBuffer *out) except -1:
    return put_digits(out, <uint64_t> value, False)


cdef int float8_text(Datum value, OutBuffer *out) except -1:
    cdef double v = datum_float8(value)
    cdef char *text
    cdef size_t size
    if v == <double> <int64_t> v and v > -1e15 and v < 1e15 and value != <Datum> 1 << 63:
        return int_text(<Datum> <int64_t> v, out)
    if not (-1e15 < v < 1e15):
        return 0
    text = PyOS_double_to_string(v, b'r', 0, 0, NULL)
    size = strlen(text)
    try:
        return put_bytes(out, text, size)
    finally:
        PyMem_Free(text)


cdef int text_text(Datum value, OutBuffer *out) except -1:
    if varatt_needs_detoast(<void *> value):
        return 0
    return put_bytes(out, vardata_any(<void *> value), varsize_any_exhdr(<void *> value))


cdef int cstring_text(Datum value, OutBuffer *out) except -1:
    return put_bytes(out, <char *> value, strlen(<char *> value))


cdef int uuid_text(Datum value, OutBuffer *out) except -1:
    cdef const uint8_t *p = <const uint8_t *> value
    cdef const char *hexdigits = b"0123456789abcdef"
    cdef char room[36]
    cdef int i, at = 0
    for i in range(16):
        if i == 4 or i == 6 or i == 8 or i == 10:
            room[at] = c'-'
            at += 1
        room[at] = hexdigits[p[i] >> 4]
        room[at + 1] = hexdigits[p[i] & 15]
        at += 2
    return put_bytes(out, room, 36)


cdef int bytea_text(Datum value, OutBuffer *out) except -1:
    """In hex, as bytea_output has it by default."""
    cdef const char *hexdigits = b"0123456789abcdef"
    cdef const uint8_t *p
    cdef uint32_t i, n
    cdef char *q
    if varatt_needs_detoast(<void *> value):
        return 0
    p = <const uint8_t *> vardata_any(<void *> value)
    n = varsize_any_exhdr(<void *> value)
    out_reserve(out, 2 + 2 * <size_t> n)
    q = out.data + out.size
    q[0] = c'\\'
    q[1] = c'x'
    for i in range(n):
        q[2 + 2 * i] = hexdigits[p[i] >> 4]
        q[3 + 2 * i] = hexdigits[p[i] & 15]
    out.size += 2 + 2 * <size_t> n
    return 1


cdef int numeric_text(Datum value, OutBuffer *out) except -1:
    cdef const char *data
    cdef uint32_t size
    cdef uint16_t header, digit
    cdef int weight, ndigits, i, dscale, negative, d, k
    cdef char *q
    cdef char *start
    if varatt_needs_detoast(<void *> value):
        return 0
    data = vardata_any(<void *> value)
    size = varsize_any_exhdr(<void *> value)
    memcpy(&header, data, 2)
    if (header & 0xC000) == 0xC000:
        return 0
    if header & 0x8000:
        negative = header & 0x2000
        dscale = (header & 0x1F80) >> 7
        weight = header & 0x003F
        if header & 0x0040:
            weight |= ~0x003F
        data += 2
        size -= 2
    else:
        negative = header & 0x4000
        dscale = header & 0x3FFF
        memcpy(&digit, data + 2, 2)
        weight = <int16_t> digit
        data += 4
        size -= 4
    ndigits = size / 2
    out_reserve(out, <size_t> (max(weight, 0) + 2) * 4 + dscale + 16)
    q = start = out.data + out.size
    if negative:
        q[0] = c'-'
        q += 1
    if weight < 0:
        q[0] = c'0'
        q += 1
    for i in range(weight + 1):
        digit = 0
        if i < ndigits:
            memcpy(&digit, data + 2 * i, 2)
        if i == 0:
            if digit >= 1000:
                q[0] = <char> (48 + digit / 1000)
                q += 1
            if digit >= 100:
                q[0] = <char> (48 + digit / 100 % 10)
                q += 1
            if digit >= 10:
                q[0] = <char> (48 + digit / 10 % 10)
                q += 1
            q[0] = <char> (48 + digit % 10)
            q += 1
            continue
        q[0] = <char> (48 + digit / 1000)
        q[1] = <char> (48 + digit / 100 % 10)
        q[2] = <char> (48 + digit / 10 % 10)
        q[3] = <char> (48 + digit % 10)
        q += 4
    if dscale:
        q[0] = c'.'
        q += 1
        k = 0
        i = weight + 1
        while k < dscale:
            digit = 0
            if 0 <= i < ndigits:
                memcpy(&digit, data + 2 * i, 2)
            d = 1000
            while d and k < dscale:
                q[0] = <char> (48 + digit / d % 10)
                q += 1
                k += 1
                d = d / 10
            i += 1
    out.size += q - start
    return 1


cdef char *two(char *q, int value) noexcept:
    q[0] = <char> (48 + value / 10)
    q[1] = <char> (48 + value % 10)
    return q + 2


cdef char *put_date(char *q, int64_t julian) noexcept:
    """YYYY-MM-DD of a Julian day of our era up to the year 9999; NULL otherwise."""
    cdef int64_t a, b, c, d, e, m, year
    a = julian + 32044
    b = (4 * a + 3) / 146097
    c = a - 146097 * b / 4
    d = (4 * c + 3) / 1461
    e = c - 1461 * d / 4
    m = (5 * e + 2) / 153
    year = 100 * b + d - 4800 + m / 10
    if year < 1 or year > 9999:
        return NULL
    q = two(q, <int> (year / 100))
    q = two(q, <int> (year % 100))
    q[0] = c'-'
    q = two(q + 1, <int> (m + 3 - 12 * (m / 10)))
    q[0] = c'-'
    return two(q + 1, <int> (e - (153 * m + 2) / 5 + 1))


cdef int date_text(Datum value, OutBuffer *out) except -1:
    cdef char *end
    if <int32_t> value == -2147483648 or <int32_t> value == 2147483647 or <int32_t> value < -730119:
        return 0
    out_reserve(out, 16)
    end = put_date(out.data + out.size, <int64_t> <int32_t> value + DATE_EPOCH_JULIAN)
    if end == NULL:
        return 0
    out.size = end - out.data
    return 1


cdef char *put_time(char *q, int64_t us) noexcept:
    cdef int64_t seconds = us / 1000000, fraction = us % 1000000
    cdef int i
    q = two(q, <int> (seconds / 3600))
    q[0] = c':'
    q = two(q + 1, <int> (seconds / 60 % 60))
    q[0] = c':'
    q = two(q + 1, <int> (seconds % 60))
    if fraction:
        q[0] = c'.'
        for i in range(6, 0, -1):
            q[i] = <char> (48 + fraction % 10)
            fraction = fraction / 10
        q += 7
        while (q - 1)[0] == c'0':
            q -= 1
    return q


cdef int timestamp_text(Datum value, OutBuffer *out) except -1:
    cdef int64_t v = <int64_t> value, day, us
    cdef char *end
    # Not before the year 1, nor infinite.
    if v < -63082281600000000 or v > 252455615999999999:
        return 0
    day = v / USECS_PER_DAY
    us = v % USECS_PER_DAY
    if us < 0:
        us += USECS_PER_DAY
        day -= 1
    out_reserve(out, 32)
    end = put_date(out.data + out.size, day + DATE_EPOCH_JULIAN)
    if end == NULL:
        return 0
    end[0] = c' '
    end = put_time(end + 1, us)
    out.size = end - out.data
    return 1


cdef int time_text(Datum value, OutBuffer *out) except -1:
    out_reserve(out, 16)
    out.size = put_time(out.data + out.size, <int64_t> value) - out.data
    return 1


cdef output_fn text_output(DatumType type):
    cdef int kind = type.kind
    cdef int oid = type.base
    if kind == KIND_BOOL:
        return bool_text
    if oid in (20, 21, 23):
        return int_text
    if oid in (26, 28, 29):
        return uint32_text
    if oid == 5069:
        return uint64_text
    if kind == KIND_FLOAT8 and setting("extra_float_digits", 1) > 0:
        return float8_text
    if kind == KIND_TEXT:
        return text_text
    if kind == KIND_NAME or kind == KIND_CSTRING:
        return cstring_text
    if kind == KIND_UUID:
        return uuid_text
    if kind == KIND_NUMERIC:
        return numeric_text
    if kind == KIND_BYTEA and setting("bytea_output", "hex") == "hex":
        return bytea_text
    if oid == 1083:
        return time_text
    if oid in (1082, 1114) and str(setting("DateStyle", "ISO, MDY")).upper().startswith("ISO"):
        return date_text if oid == 1082 else timestamp_text
    return NULL


# Binary

cdef int bool_binary(Datum value, OutBuffer *out) except -1:
    cdef char c = 1 if value & 0xFF else 0
    return put_bytes(out, &c, 1)


cdef int int2_binary(Datum value, OutBuffer *out) except -1:
    cdef char room[2]
    room[0] = <char> (value >> 8)
    room[1] = <char> value
    return put_bytes(out, room, 2)


cdef int int4_binary(Datum value, OutBuffer *out) except -1:
    cdef char room[4]
    put_u32(room, <uint32_t> value)
    return put_bytes(out, room, 4)


cdef int int8_binary(Datum value, OutBuffer *out) except -1:
    cdef char room[8]
    put_u32(room, <uint32_t> (value >> 32))
    put_u32(room + 4, <uint32_t> value)
    return put_bytes(out, room, 8)


cdef int uuid_binary(Datum value, OutBuffer *out) except -1:
    return put_bytes(out, <char *> value, 16)


cdef output_fn binary_output(DatumType type):
    cdef int kind = type.kind
    if kind == KIND_BOOL:
        return bool_binary
    if kind in (KIND_INT, KIND_UINT32, KIND_UINT64, KIND_FLOAT4, KIND_FLOAT8):
        if type.typlen == 2:
            return int2_binary
        return int4_binary if type.typlen == 4 else int8_binary
    if (kind == KIND_TEXT and type.base != 142) or kind == KIND_BYTEA:
        return text_text
    if kind == KIND_NAME or kind == KIND_CSTRING:
        return cstring_text
    if kind == KIND_UUID:
        return uuid_binary
    return NULL


def render(object type_oid, object value, bint binary=False):
    """The bytes a kernel gives for a Python value, None where the codec must do it; for tests."""
    from_type = datum_type(type_oid)
    return _render(from_type, value, binary)


cdef object _render(DatumType type, object value, bint binary):
    cdef OutBuffer out
    cdef MemoryContext context = MemoryContext("render")
    cdef output_fn fn = binary_output(type) if binary else text_output(type)
    if fn == NULL:
        return None
    out.data = NULL
    out.size = out.room = 0
    try:
        if not fn(python_to_datum(value, type, context), &out):
            return None
        return out.data[:out.size]
    finally:
        out_free(&out)
        context.delete()
