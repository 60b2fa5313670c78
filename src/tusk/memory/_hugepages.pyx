"""Huge pages for what every fork shares: fewer page table entries to copy at a fork and to take down at an exit.

A fork copies an entry for each anonymous page, 60 MB of them for a process with all modules loaded, and the exit of the
child takes them down again; with huge pages there is one entry for 512 pages. Library text is found through page faults by
each child anew, unless it is anonymous memory on huge pages too. All of it is optional: where the kernel has no huge page to
give, everything stays as it is.
"""

from libc.stdint cimport uintptr_t

cdef extern from *:
    """
    #define _GNU_SOURCE
    #include <Python.h>
    #include <stdint.h>
    #include <string.h>
    #include <sys/mman.h>
    #ifndef MADV_COLLAPSE
    #define MADV_COLLAPSE 25
    #endif
    #define TUSK_HUGE ((uintptr_t) 2 << 20)

    /* Arenas of the object allocator from one region, so that they lie side by side on whole huge pages. */
    #define TUSK_REGION ((size_t) 1 << 30)
    #define TUSK_ARENA ((size_t) 1 << 20)
    static struct {
        char *start, *next, *end;
        void *unused[256];
        int nunused;
    } tusk_region;

    static void *tusk_arena_alloc(void *context, size_t size) {
        void *arena;
        if (size == TUSK_ARENA) {
            if (tusk_region.nunused)
                return tusk_region.unused[--tusk_region.nunused];
            if (tusk_region.end - tusk_region.next >= (ptrdiff_t) size &&
                mprotect(tusk_region.next, size, PROT_READ | PROT_WRITE) == 0) {
                arena = tusk_region.next;
                tusk_region.next += size;
                return arena;
            }
        }
        arena = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        return arena == MAP_FAILED ? NULL : arena;
    }

    static void tusk_arena_free(void *context, void *arena, size_t size) {
        char *p = arena;
        if (p < tusk_region.start || p >= tusk_region.end)
            munmap(arena, size);
        else if (madvise(arena, size, MADV_DONTNEED) == 0 && tusk_region.nunused < 256)
            tusk_region.unused[tusk_region.nunused++] = arena;
    }

    static int tusk_gather_arenas(void) {
        PyObjectArenaAllocator allocator = {NULL, tusk_arena_alloc, tusk_arena_free};
        char *room;
        if (tusk_region.start != NULL)
            return 1;
        room = mmap(NULL, TUSK_REGION, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (room == MAP_FAILED)
            return 0;
        tusk_region.start = tusk_region.next = (char *) (((uintptr_t) room + TUSK_HUGE - 1) & ~(TUSK_HUGE - 1));
        tusk_region.end = room + TUSK_REGION;
        PyObject_SetArenaAllocator(&allocator);
        return 1;
    }

    /* How many of the whole huge pages in a range of anonymous memory are huge now. */
    static long tusk_collapse(uintptr_t start, uintptr_t end) {
        long done = 0;
        for (start = (start + TUSK_HUGE - 1) & ~(TUSK_HUGE - 1); start + TUSK_HUGE <= end; start += TUSK_HUGE)
            /* A page that something holds for a moment makes it fail. */
            for (int tries = 0; tries < 3; tries++)
                if (madvise((void *) start, TUSK_HUGE, MADV_COLLAPSE) == 0) {
                    done++;
                    break;
                }
        return done;
    }

    /* Put text, at the start of a huge page, into anonymous huge pages; limit is where the next mapping begins. */
    static int tusk_move_text(uintptr_t start, uintptr_t end, uintptr_t limit) {
        uintptr_t size = (end - start + TUSK_HUGE - 1) & ~(TUSK_HUGE - 1), copy;
        char *room;
        if (start % TUSK_HUGE || start + size > limit)
            return 0;
        room = mmap(NULL, size + TUSK_HUGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (room == MAP_FAILED)
            return 0;
        copy = ((uintptr_t) room + TUSK_HUGE - 1) & ~(TUSK_HUGE - 1);
        madvise((void *) copy, size, MADV_HUGEPAGE);
        memcpy((void *) copy, (void *) start, end - start);
        if (tusk_collapse(copy, copy + size) * TUSK_HUGE != size ||
            mprotect((void *) copy, size, PROT_READ | PROT_EXEC) < 0 ||
            mremap((void *) copy, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, (void *) start) == MAP_FAILED) {
            munmap(room, size + TUSK_HUGE);
            return 0;
        }
        if (copy > (uintptr_t) room)
            munmap(room, copy - (uintptr_t) room);
        if (copy - (uintptr_t) room < TUSK_HUGE)
            munmap((void *) (copy + size), TUSK_HUGE - (copy - (uintptr_t) room));
        return 1;
    }
    """
    int tusk_gather_arenas() nogil
    long tusk_collapse(uintptr_t start, uintptr_t end) nogil
    int tusk_move_text(uintptr_t start, uintptr_t end, uintptr_t limit) nogil


def _mappings():
    """(start, end, permissions, path) of this process's mappings, by address."""
    found = []
    with open("/proc/self/maps") as file:
        for line in file:
            fields = line.split(maxsplit=5)
            start, end = fields[0].split("-")
            found.append((int(start, 16), int(end, 16), fields[1], fields[5].strip() if len(fields) > 5 else ""))
    return found


def gather_arenas() -> bool:
    """From now on, take the memory of small objects from one region. Before the modules are imported that fill it."""
    return bool(tusk_gather_arenas())


def collapse_heap() -> int:
    """Put the private memory of this process on huge pages as far as it goes; returns how many it has now."""
    cdef long total = 0
    for start, end, permissions, path in _mappings():
        if permissions == "rw-p" and path in ("", "[heap]"):
            total += tusk_collapse(start, end)
    return total


def move_text(str library) -> bool:
    """Put a library's text on huge pages, if it was linked for that: its text begins on one and ends before the next."""
    mappings = _mappings()
    for i, (start, end, permissions, path) in enumerate(mappings):
        if path == library and permissions == "r-xp":
            limit = next((m[0] for m in mappings[i + 1:] if m[2] != "---p" or m[3] != library), end)
            return bool(tusk_move_text(start, end, limit))
    return False
