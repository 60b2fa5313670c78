# cython: language_level=3
"""CRC-32C by the CPU's instruction where it has one, else by table (reflected polynomial 0x82F63B78)."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

cdef extern from *:
    """
    #include <stdint.h>
    #include <string.h>
    #if defined(__x86_64__)
    #include <nmmintrin.h>
    static int tusk_crc32c_available(void) { return __builtin_cpu_supports("sse4.2"); }
    __attribute__((target("sse4.2")))
    static uint32_t tusk_crc32c_hw(uint32_t crc, const void *data, size_t n) {
        const unsigned char *p = (const unsigned char *) data;
        uint64_t c = crc, w;
        for (; n >= 8; p += 8, n -= 8) { memcpy(&w, p, 8); c = _mm_crc32_u64(c, w); }
        for (; n; n--) c = _mm_crc32_u8((uint32_t) c, *p++);
        return (uint32_t) c;
    }
    #elif defined(__aarch64__)
    #include <arm_acle.h>
    #include <sys/auxv.h>
    static int tusk_crc32c_available(void) { return (getauxval(AT_HWCAP) & (1 << 7)) != 0; }
    __attribute__((target("+crc")))
    static uint32_t tusk_crc32c_hw(uint32_t crc, const void *data, size_t n) {
        const unsigned char *p = (const unsigned char *) data;
        uint64_t w;
        for (; n >= 8; p += 8, n -= 8) { memcpy(&w, p, 8); crc = __crc32cd(crc, w); }
        for (; n; n--) crc = __crc32cb(crc, *p++);
        return crc;
    }
    #else
    static int tusk_crc32c_available(void) { return 0; }
    static uint32_t tusk_crc32c_hw(uint32_t crc, const void *data, size_t n) { return crc; }
    #endif
    """
    int cpu_has_crc32c "tusk_crc32c_available"() noexcept nogil
    uint32_t crc32c_hardware "tusk_crc32c_hw"(uint32_t crc, const void *data, size_t nbytes) noexcept nogil

cdef uint32_t tables[8][256]
cdef bint use_hardware = cpu_has_crc32c() != 0


cdef void build_tables() noexcept nogil:
    """tables[k][b] is the effect of byte b followed by k zero bytes."""
    cdef uint32_t i, k, crc
    for i in range(256):
        crc = i
        for k in range(8):
            crc = (crc >> 1) ^ (<uint32_t> 0x82F63B78 if crc & 1 else 0)
        tables[0][i] = crc
    for i in range(256):
        for k in range(1, 8):
            tables[k][i] = (tables[k - 1][i] >> 8) ^ tables[0][tables[k - 1][i] & 0xFF]


build_tables()


cdef uint32_t crc32c_tables(uint32_t crc, const void *data, size_t nbytes) noexcept nogil:
    cdef const uint8_t *p = <const uint8_t *> data
    cdef uint64_t word
    while nbytes >= 8:
        memcpy(&word, p, 8)
        word ^= crc
        crc = (tables[7][word & 0xFF] ^ tables[6][(word >> 8) & 0xFF] ^ tables[5][(word >> 16) & 0xFF]
               ^ tables[4][(word >> 24) & 0xFF] ^ tables[3][(word >> 32) & 0xFF] ^ tables[2][(word >> 40) & 0xFF]
               ^ tables[1][(word >> 48) & 0xFF] ^ tables[0][word >> 56])
        p += 8
        nbytes -= 8
    while nbytes > 0:
        crc = (crc >> 8) ^ tables[0][(crc ^ p[0]) & 0xFF]
        p += 1
        nbytes -= 1
    return crc


cdef uint32_t crc32c_update(uint32_t crc, const void *data, size_t nbytes) noexcept nogil:
    if use_hardware:
        return crc32c_hardware(crc, data, nbytes)
    return crc32c_tables(crc, data, nbytes)


def crc32c(const uint8_t[::1] data not None, *, hardware: bool = True) -> int:
    """The finished CRC-32C of ``data``; ``hardware=False`` forces the table version (for tests)."""
    cdef uint32_t crc = CRC32C_INIT
    if data.shape[0]:
        if hardware:
            crc = crc32c_update(crc, &data[0], data.shape[0])
        else:
            crc = crc32c_tables(crc, &data[0], data.shape[0])
    return crc ^ CRC32C_INIT
