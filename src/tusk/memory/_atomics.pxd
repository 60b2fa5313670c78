# cython: language_level=3
"""Atomic operations on words of shared memory, barriers and spinlocks (port/atomics.h, storage/spin.h).

Read-modify-write operations are full barriers; plain reads and writes are relaxed, as in PostgreSQL.
"""

from libc.stdint cimport uint32_t, uint64_t

cdef extern from *:
    """
    #ifndef TUSK_ATOMICS
    #define TUSK_ATOMICS
    #include <stdint.h>
    #include <sched.h>
    #define tusk_read32(p) __atomic_load_n((const volatile uint32_t *) (p), __ATOMIC_RELAXED)
    #define tusk_read64(p) __atomic_load_n((const volatile uint64_t *) (p), __ATOMIC_RELAXED)
    #define tusk_load32(p) __atomic_load_n((const volatile uint32_t *) (p), __ATOMIC_ACQUIRE)
    #define tusk_load64(p) __atomic_load_n((const volatile uint64_t *) (p), __ATOMIC_ACQUIRE)
    #define tusk_write32(p, v) __atomic_store_n((volatile uint32_t *) (p), (v), __ATOMIC_RELAXED)
    #define tusk_write64(p, v) __atomic_store_n((volatile uint64_t *) (p), (v), __ATOMIC_RELAXED)
    #define tusk_store32(p, v) __atomic_store_n((volatile uint32_t *) (p), (v), __ATOMIC_RELEASE)
    #define tusk_store64(p, v) __atomic_store_n((volatile uint64_t *) (p), (v), __ATOMIC_RELEASE)
    #define tusk_add32(p, v) __atomic_fetch_add((uint32_t *) (p), (v), __ATOMIC_SEQ_CST)
    #define tusk_add64(p, v) __atomic_fetch_add((uint64_t *) (p), (v), __ATOMIC_SEQ_CST)
    #define tusk_sub32(p, v) __atomic_fetch_sub((uint32_t *) (p), (v), __ATOMIC_SEQ_CST)
    #define tusk_sub64(p, v) __atomic_fetch_sub((uint64_t *) (p), (v), __ATOMIC_SEQ_CST)
    #define tusk_or32(p, v) __atomic_fetch_or((uint32_t *) (p), (v), __ATOMIC_SEQ_CST)
    #define tusk_and32(p, v) __atomic_fetch_and((uint32_t *) (p), (v), __ATOMIC_SEQ_CST)
    #define tusk_xchg32(p, v) __atomic_exchange_n((uint32_t *) (p), (v), __ATOMIC_SEQ_CST)
    #define tusk_xchg64(p, v) __atomic_exchange_n((uint64_t *) (p), (v), __ATOMIC_SEQ_CST)
    static inline int tusk_cas32(uint32_t *p, uint32_t *expected, uint32_t v) {
        return __atomic_compare_exchange_n(p, expected, v, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    }
    static inline int tusk_cas64(uint64_t *p, uint64_t *expected, uint64_t v) {
        return __atomic_compare_exchange_n(p, expected, v, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    }
    #define tusk_full_barrier() __atomic_thread_fence(__ATOMIC_SEQ_CST)
    #define tusk_read_barrier() __atomic_thread_fence(__ATOMIC_ACQUIRE)
    #define tusk_write_barrier() __atomic_thread_fence(__ATOMIC_RELEASE)
    #define tusk_compiler_barrier() __atomic_signal_fence(__ATOMIC_SEQ_CST)
    #if defined(__x86_64__) || defined(__i386__)
    #define tusk_cpu_relax() __builtin_ia32_pause()
    #elif defined(__aarch64__)
    #define tusk_cpu_relax() __asm__ __volatile__("isb" ::: "memory")
    #else
    #define tusk_cpu_relax() tusk_compiler_barrier()
    #endif
    static inline void tusk_spin_lock(uint32_t *lock) {
        unsigned spins = 0;
        while (__atomic_exchange_n(lock, 1u, __ATOMIC_ACQUIRE)) {
            do {
                /* With few cores the holder may have been preempted: give it the processor soon. */
                if (++spins % 64 == 0) sched_yield(); else tusk_cpu_relax();
            } while (__atomic_load_n(lock, __ATOMIC_RELAXED));
        }
    }
    #define tusk_spin_try(lock) (__atomic_exchange_n((lock), 1u, __ATOMIC_ACQUIRE) == 0)
    #define tusk_spin_unlock(lock) __atomic_store_n((lock), 0u, __ATOMIC_RELEASE)
    #endif
    """
    uint32_t atomic_read_u32 "tusk_read32"(const uint32_t *address) noexcept nogil
    uint64_t atomic_read_u64 "tusk_read64"(const uint64_t *address) noexcept nogil
    uint32_t atomic_load_acquire_u32 "tusk_load32"(const uint32_t *address) noexcept nogil
    uint64_t atomic_load_acquire_u64 "tusk_load64"(const uint64_t *address) noexcept nogil
    void atomic_write_u32 "tusk_write32"(uint32_t *address, uint32_t value) noexcept nogil
    void atomic_write_u64 "tusk_write64"(uint64_t *address, uint64_t value) noexcept nogil
    void atomic_store_release_u32 "tusk_store32"(uint32_t *address, uint32_t value) noexcept nogil
    void atomic_store_release_u64 "tusk_store64"(uint64_t *address, uint64_t value) noexcept nogil
    uint32_t atomic_fetch_add_u32 "tusk_add32"(uint32_t *address, uint32_t value) noexcept nogil
    uint64_t atomic_fetch_add_u64 "tusk_add64"(uint64_t *address, uint64_t value) noexcept nogil
    uint32_t atomic_fetch_sub_u32 "tusk_sub32"(uint32_t *address, uint32_t value) noexcept nogil
    uint64_t atomic_fetch_sub_u64 "tusk_sub64"(uint64_t *address, uint64_t value) noexcept nogil
    uint32_t atomic_fetch_or_u32 "tusk_or32"(uint32_t *address, uint32_t value) noexcept nogil
    uint32_t atomic_fetch_and_u32 "tusk_and32"(uint32_t *address, uint32_t value) noexcept nogil
    uint32_t atomic_exchange_u32 "tusk_xchg32"(uint32_t *address, uint32_t value) noexcept nogil
    uint64_t atomic_exchange_u64 "tusk_xchg64"(uint64_t *address, uint64_t value) noexcept nogil
    # On failure *expected receives the value found.
    bint atomic_compare_exchange_u32 "tusk_cas32"(uint32_t *address, uint32_t *expected, uint32_t value) noexcept nogil
    bint atomic_compare_exchange_u64 "tusk_cas64"(uint64_t *address, uint64_t *expected, uint64_t value) noexcept nogil
    void full_barrier "tusk_full_barrier"() noexcept nogil
    void read_barrier "tusk_read_barrier"() noexcept nogil
    void write_barrier "tusk_write_barrier"() noexcept nogil
    void compiler_barrier "tusk_compiler_barrier"() noexcept nogil
    void cpu_relax "tusk_cpu_relax"() noexcept nogil
    void spin_lock "tusk_spin_lock"(uint32_t *lock) noexcept nogil
    bint spin_try_lock "tusk_spin_try"(uint32_t *lock) noexcept nogil
    void spin_unlock "tusk_spin_unlock"(uint32_t *lock) noexcept nogil
