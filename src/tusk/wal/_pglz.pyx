# cython: language_level=3
"""PostgreSQL's own compression: a control byte for eight items, each a literal byte or a reference back.

A reference is two or three bytes: the first has length - 3 in its low and the offset's high bits in its high nibble,
the second the offset's low byte; a length nibble of 15 means that a third byte is added to the length. Offsets reach
4095 back, lengths 273.
"""

from libc.stdint cimport int16_t, int32_t, uint8_t, uint16_t, uint32_t
from libc.string cimport memcpy, memset

cdef enum:
    HASH_BITS = 12
    WINDOW = 4096
    MAX_MATCH = 273
    MAX_CHAIN = 24
    GOOD_MATCH = 128
    FIRST_SUCCESS_BY = 1024

# Positions + 1 by hash of three bytes, and the previous position with the same hash by position in the window.
cdef int32_t heads[4096]
cdef int32_t chains[4096]


cdef inline uint32_t hash3(const uint8_t *p) noexcept nogil:
    return (((<uint32_t> p[0] | (<uint32_t> p[1] << 8) | (<uint32_t> p[2] << 16)) * <uint32_t> 2654435761) >> 20) & 4095


cdef int32_t pglz_compress(const void *source, int32_t nbytes, void *dest) noexcept nogil:
    cdef const uint8_t *src = <const uint8_t *> source
    cdef uint8_t *start = <uint8_t *> dest
    cdef uint8_t *out = start
    cdef uint8_t *control = start
    cdef int32_t limit = <int32_t> (<long long> nbytes * 75 // 100)
    cdef int32_t at = 0, candidate, length, best, best_at, longest, tries
    cdef uint32_t slot
    cdef int bit = 8
    cdef bint found = False
    if nbytes < 32:
        return -1
    memset(heads, 0, sizeof(heads))
    while at < nbytes:
        if out - start >= limit or (not found and out - start >= FIRST_SUCCESS_BY):
            return -1
        if bit == 8:
            control = out
            control[0] = 0
            out += 1
            bit = 0
        best = 0
        best_at = 0
        if at + 3 <= nbytes:
            slot = hash3(src + at)
            candidate = heads[slot] - 1
            longest = nbytes - at
            if longest > MAX_MATCH:
                longest = MAX_MATCH
            tries = MAX_CHAIN
            while candidate >= 0 and at - candidate < WINDOW and tries > 0:
                if src[candidate + best] == src[at + best]:
                    length = 0
                    while length < longest and src[candidate + length] == src[at + length]:
                        length += 1
                    if length > best:
                        best = length
                        best_at = candidate
                        if best >= GOOD_MATCH or best == longest:
                            break
                candidate = chains[candidate & (WINDOW - 1)] - 1
                tries -= 1
        if best >= 3:
            found = True
            control[0] |= <uint8_t> (1 << bit)
            length = best - 3 if best < 18 else 15
            out[0] = <uint8_t> ((((at - best_at) & 0xF00) >> 4) | length)
            out[1] = <uint8_t> ((at - best_at) & 0xFF)
            out += 2
            if best >= 18:
                out[0] = <uint8_t> (best - 18)
                out += 1
        else:
            best = 1
            out[0] = src[at]
            out += 1
        bit += 1
        while best > 0:
            if at + 3 <= nbytes:
                slot = hash3(src + at)
                chains[at & (WINDOW - 1)] = heads[slot]
                heads[slot] = at + 1
            at += 1
            best -= 1
    if out - start >= limit:
        return -1
    return <int32_t> (out - start)


cdef int32_t pglz_decompress(const void *source, int32_t nbytes, void *dest, int32_t raw_bytes) noexcept nogil:
    cdef const uint8_t *src = <const uint8_t *> source
    cdef const uint8_t *end = src + nbytes
    cdef uint8_t *out = <uint8_t *> dest
    cdef uint8_t *out_end = out + raw_bytes
    cdef uint8_t control
    cdef int bit
    cdef int32_t length, offset
    while src < end and out < out_end:
        control = src[0]
        src += 1
        for bit in range(8):
            if src >= end or out >= out_end:
                break
            if control & 1:
                if end - src < 2:
                    return -1
                length = (src[0] & 0x0F) + 3
                offset = ((src[0] & 0xF0) << 4) | src[1]
                src += 2
                if length == 18:
                    if src >= end:
                        return -1
                    length += src[0]
                    src += 1
                if offset == 0 or offset > out - <uint8_t *> dest:
                    return -1
                if length > out_end - out:
                    length = <int32_t> (out_end - out)
                if offset >= length:
                    memcpy(out, out - offset, length)
                    out += length
                else:
                    while length > 0:
                        out[0] = (out - offset)[0]
                        out += 1
                        length -= 1
            else:
                out[0] = src[0]
                out += 1
                src += 1
            control >>= 1
    if src != end or out != out_end:
        return -1
    return raw_bytes


def compress(const uint8_t[::1] data not None) -> bytes | None:
    """Compressed bytes, None when compression does not save a quarter."""
    cdef bytearray room = bytearray(data.shape[0] + 32)
    cdef int32_t n = pglz_compress(&data[0], <int32_t> data.shape[0], <char *> room) if data.shape[0] else -1
    return None if n < 0 else bytes(room[:n])


def decompress(const uint8_t[::1] data not None, raw_bytes: int) -> bytes | None:
    """The original, None when the data is broken."""
    cdef bytearray room = bytearray(<Py_ssize_t> raw_bytes + 1)
    cdef int32_t n = -1
    if data.shape[0]:
        n = pglz_decompress(&data[0], <int32_t> data.shape[0], <char *> room, raw_bytes)
    return None if n < 0 else bytes(room[:n])
