from libc.stdlib cimport malloc, free, calloc
from libc.string cimport memcpy
cdef class MemoryContext:
    def __init__(self, str name, ident=None, MemoryContext parent=None, str kind="AllocSet"):
        self.name=name; self.ident=ident; self.parent=parent; self.kind=kind
        self._children=[]; self._held=[]; self._callbacks=[]
    cdef void *alloc(self, size_t n) except NULL:
        cdef char *p
        cdef size_t size
        cdef ArenaBlock *b
        n=(n+15)&~<size_t>15
        if self._free!=NULL and <size_t>(self._end-self._free)>=n:
            p=self._free; self._free+=n; return p
        size=n+64
        if size<65536: size=65536
        b=<ArenaBlock*>malloc(size)
        b.next=self._blocks; self._blocks=b
        self._total_bytes+=size
        p=<char*>b+48
        self._free=p+n; self._end=<char*>b+size
        return p
    cdef void *alloc_zero(self, size_t n) except NULL:
        cdef char *p=<char*>self.alloc(n)
        cdef size_t i
        for i in range(n): p[i]=0
        return p
    cdef void *realloc(self, void *c, size_t o, size_t n) except NULL:
        cdef char*p=<char*>self.alloc(n)
        memcpy(p,c,o); return p
    cdef void *_alloc_slow(self, size_t n) except NULL:
        return self.alloc(n)
    cdef void free_chunk(self, void *c, size_t n) noexcept:
        pass
    cdef char *copy_bytes(self, const void *d, size_t n) except NULL:
        cdef char *p=<char*>self.alloc(n)
        memcpy(p,d,n); return p
    cpdef size_t total_bytes(self, bint recurse=False):
        return self._total_bytes
    cpdef reset(self):
        cdef ArenaBlock *b=self._blocks
        cdef ArenaBlock *n
        while b!=NULL:
            n=b.next; free(b); b=n
        self._blocks=NULL; self._free=NULL; self._end=NULL; self._total_bytes=0
        self._held.clear()
        for c in self._callbacks: c()
        self._callbacks.clear()
    cpdef reset_only(self):
        self.reset()
    cpdef delete(self):
        self.reset()
    def hold(self, o): self._held.append(o)
    def on_reset(self, c): self._callbacks.append(c)
cdef MemoryContext TopMemoryContext=MemoryContext("Top")
cdef MemoryContext CurrentMemoryContext=TopMemoryContext
cdef MemoryContext switch_context(MemoryContext c):
    global CurrentMemoryContext
    cdef MemoryContext o=CurrentMemoryContext
    CurrentMemoryContext=c
    return o
