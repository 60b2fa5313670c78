"""numeric in scaled 128-bit integers: addition, subtraction, multiplication, and the sums of aggregates.

A value of up to 36 digits is coefficient * 10**-dscale with the coefficient in 128 bits. What does not fit, and NaN
and the infinities, is left to the scalar definition (KERNEL_REDO).
"""

from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy
from tusk._types cimport Datum
from tusk.access._varlena cimport set_varsize, vardata_any, varsize_any_exhdr
from tusk.types._kernel cimport KERNEL_DETOASTED, KERNEL_OK, KERNEL_REDO, KernelCall, register_kernel

cdef int128 POWERS[39]
cdef int _i
POWERS[0] = 1
for _i in range(1, 39):
    POWERS[_i] = POWERS[_i - 1] * 10


cdef bint numeric_unpack(Datum value, int128 *coefficient, int *dscale) noexcept nogil:
    """Take a numeric (neither compressed nor external) apart; False when it does not fit 36 digits."""
    cdef const char *data = vardata_any(<void *> value)
    cdef uint32_t size = varsize_any_exhdr(<void *> value)
    cdef uint16_t header, digit
    cdef int weight, ndigits, i, scale, negative, shift
    cdef int128 r = 0
    memcpy(&header, data, 2)
    if (header & 0xC000) == 0xC000:
        return False
    if header & 0x8000:
        negative = header & 0x2000
        scale = (header & 0x1F80) >> 7
        weight = header & 0x003F
        if header & 0x0040:
            weight |= ~0x003F
        data += 2
        size -= 2
    else:
        negative = header & 0x4000
        scale = header & 0x3FFF
        memcpy(&digit, data + 2, 2)
        weight = <int16_t> digit
        data += 4
        size -= 4
    ndigits = size / 2
    if ndigits == 0:
        coefficient[0] = 0
        dscale[0] = scale
        return scale <= 36
    if ndigits > 9 or weight > 8 or scale > 36 or (weight + 1) * 4 + scale > 36:
        return False
    for i in range(ndigits):
        memcpy(&digit, data + 2 * i, 2)
        r = r * 10000 + digit
    # r has 4 * (ndigits - weight - 1) fractional digits
    shift = scale - 4 * (ndigits - weight - 1)
    if shift >= 0:
        r = r * POWERS[shift]
    else:
        r = r / POWERS[-shift]
    coefficient[0] = -r if negative else r
    dscale[0] = scale
    return True


cdef int numeric_pack(int128 value, int dscale, char *room) noexcept nogil:
    """Write a numeric of at most NUMERIC_ROOM bytes; returns its size. dscale is at most 63."""
    cdef uint16_t digits[16]
    cdef int n = 0, i, weight, negative = value < 0, pad, ndigits
    cdef uint16_t header
    cdef int128 v = -value if negative else value
    cdef int fraction_groups = (dscale + 3) / 4
    cdef char *p
    pad = fraction_groups * 4 - dscale
    cdef uint64_t low
    # The lowest group first: it holds the last digits of the fraction, padded to four.
    if pad:
        digits[0] = <uint16_t> (<int> (v % POWERS[4 - pad]) * <int> POWERS[pad])
        v = v / POWERS[4 - pad]
        n = 1
    while v != 0:
        if v <= <int128> 0x7FFFFFFFFFFFFFFF:
            low = <uint64_t> v
            while low:
                digits[n] = <uint16_t> (low % 10000)
                low = low / 10000
                n += 1
            break
        digits[n] = <uint16_t> <int> (v % 10000)
        v = v / 10000
        n += 1
    while n > 0 and digits[n - 1] == 0:
        n -= 1
    weight = n - fraction_groups - 1
    i = 0
    while i < n and digits[i] == 0:
        i += 1
    ndigits = n - i
    if ndigits == 0:
        weight = 0
        negative = 0
    header = <uint16_t> (0x8000 | (0x2000 if negative else 0) | (dscale << 7) | (0x40 if weight < 0 else 0)
                         | (weight & 0x3F))
    set_varsize(room, 6 + 2 * ndigits)
    memcpy(room + 4, &header, 2)
    p = room + 6
    while n > i:
        n -= 1
        memcpy(p, &digits[n], 2)
        p += 2
    return 6 + 2 * ndigits


cdef extern from *:
    bint add_overflow "__builtin_add_overflow"(int128 a, int128 b, int128 *result) noexcept nogil
    bint mul_overflow "__builtin_mul_overflow"(int128 a, int128 b, int128 *result) noexcept nogil


cdef int _additive(KernelCall *c, int sign) noexcept nogil:
    cdef int i, k, status = KERNEL_OK, sa, sb
    cdef int128 a, b, r
    cdef const Datum *left = c.args[0].values
    cdef const Datum *right = c.args[1].values
    cdef uint8_t *on = c.out.nulls
    cdef char *room = c.room
    for k in range(c.n):
        i = k if c.sel == NULL else c.sel[k]
        on[i] = c.args[0].nulls[i] | c.args[1].nulls[i]
        if on[i]:
            continue
        if numeric_unpack(left[i], &a, &sa) and numeric_unpack(right[i], &b, &sb):
            if sa < sb:
                a = a * POWERS[sb - sa] if not mul_overflow(a, POWERS[sb - sa], &r) else POWERS[38]
                sa = sb
            elif sb < sa:
                b = b * POWERS[sa - sb] if not mul_overflow(b, POWERS[sa - sb], &r) else POWERS[38]
            if a < POWERS[36] and b < POWERS[36] and -a < POWERS[36] and -b < POWERS[36]:
                c.out.values[i] = <Datum> room
                room += (numeric_pack(a + sign * b, sa, room) + 7) & ~7
                continue
        on[i] = 2
        status = KERNEL_REDO
    return status


cdef int numeric_add(KernelCall *c) noexcept nogil:
    return _additive(c, 1)


cdef int numeric_sub(KernelCall *c) noexcept nogil:
    return _additive(c, -1)


cdef int numeric_mul(KernelCall *c) noexcept nogil:
    cdef int i, k, status = KERNEL_OK, sa, sb
    cdef int128 a, b, r
    cdef uint8_t *on = c.out.nulls
    cdef char *room = c.room
    for k in range(c.n):
        i = k if c.sel == NULL else c.sel[k]
        on[i] = c.args[0].nulls[i] | c.args[1].nulls[i]
        if on[i]:
            continue
        if numeric_unpack(c.args[0].values[i], &a, &sa) and numeric_unpack(c.args[1].values[i], &b, &sb):
            if sa + sb <= 36 and not mul_overflow(a, b, &r) and r < POWERS[36] and -r < POWERS[36]:
                c.out.values[i] = <Datum> room
                room += (numeric_pack(r, sa + sb, room) + 7) & ~7
                continue
        on[i] = 2
        status = KERNEL_REDO
    return status


cdef int int_to_numeric(KernelCall *c) noexcept nogil:
    cdef int i, k
    cdef char *room = c.room
    for k in range(c.n):
        i = k if c.sel == NULL else c.sel[k]
        c.out.nulls[i] = c.args[0].nulls[i]
        if not c.out.nulls[i]:
            c.out.values[i] = <Datum> room
            room += (numeric_pack(<int64_t> c.args[0].values[i], 0, room) + 7) & ~7
    return KERNEL_OK


def pack(object value, int dscale):
    """A numeric as bytes, for tests."""
    cdef char room[NUMERIC_ROOM]
    cdef int128 v = <int64_t> value
    cdef int size = numeric_pack(v, dscale, room)
    return room[4:size]


register_kernel("numeric_add", 2, numeric_add, NUMERIC_ROOM, KERNEL_DETOASTED)
register_kernel("numeric_sub", 2, numeric_sub, NUMERIC_ROOM, KERNEL_DETOASTED)
register_kernel("numeric_mul", 2, numeric_mul, NUMERIC_ROOM, KERNEL_DETOASTED)
register_kernel("int4_numeric", 1, int_to_numeric, NUMERIC_ROOM)
register_kernel("int2_numeric", 1, int_to_numeric, NUMERIC_ROOM)
register_kernel("int8_numeric", 1, int_to_numeric, NUMERIC_ROOM)
