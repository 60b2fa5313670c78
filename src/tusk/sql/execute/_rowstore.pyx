"""Rows kept in chunks (see _rowstore.pxd)."""

from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memcpy, memset
from tusk.sql.execute._batch cimport batch_row
from tusk.types._kernel cimport BATCH_ROWS
from tusk.types._kernel_datum cimport datum_length

from tusk.storage.temporary_files import temporary_file


cdef class RowStore:
    """``RowStore(shape, limit=0)``: limit is the memory in bytes beyond which full chunks go to a temporary file."""

    def __cinit__(self, RowShape shape, size_t limit=0):
        self.shape = shape
        self.limit = limit
        self.context = MemoryContext("tuplestore")
        self.loaded_index = -1
        self.lane_bytes = BATCH_ROWS * 9

    def __del__(self):
        if self.file is not None:
            self.file.close()

    def __dealloc__(self):
        cdef int i
        for i in range(self.nchunks):
            self.free_lanes(&self.chunks[i])
        self.free_lanes(&self.loaded)
        free(self.chunks)

    cdef void free_lanes(self, Chunk *chunk) noexcept:
        if chunk.cols != NULL:
            free(chunk.cols)
            chunk.cols = NULL

    cdef int make_lanes(self, Chunk *chunk) except -1:
        """Vectors and lanes of all columns in one piece."""
        cdef int ncols = self.shape.ncols, c
        cdef char *p = <char *> malloc(ncols * sizeof(Vector) + <size_t> ncols * self.lane_bytes + 8)
        if p == NULL:
            raise MemoryError
        chunk.cols = <Vector *> p
        p += ncols * sizeof(Vector)
        for c in range(ncols):
            chunk.cols[c].values = <Datum *> p
            p += BATCH_ROWS * sizeof(Datum)
        for c in range(ncols):
            chunk.cols[c].nulls = <uint8_t *> p
            p += BATCH_ROWS
        return 0

    cdef Chunk *_room_chunk(self) except NULL:
        """The last chunk, with room for a row."""
        cdef Chunk *grown
        if self.nchunks and self.chunks[self.nchunks - 1].nrows < BATCH_ROWS:
            return &self.chunks[self.nchunks - 1]
        if self.limit and self.nchunks and self.memory() > self.limit:
            self.spill()
        if self.nchunks == self.room:
            self.room = 8 if self.room == 0 else self.room * 2
            grown = <Chunk *> realloc(self.chunks, self.room * sizeof(Chunk))
            if grown == NULL:
                raise MemoryError
            self.chunks = grown
        memset(&self.chunks[self.nchunks], 0, sizeof(Chunk))
        self.make_lanes(&self.chunks[self.nchunks])
        self.nchunks += 1
        return &self.chunks[self.nchunks - 1]

    cdef int append(self, Batch batch, const uint16_t *sel, int n) except -1:
        """Copy the rows of sel (NULL: the first n)."""
        cdef int done = 0, part, c, k, i, typlen
        cdef Chunk *chunk
        cdef Vector *v
        cdef Datum *values
        cdef uint8_t *nulls
        cdef RowShape shape = self.shape
        while done < n:
            chunk = self._room_chunk()
            part = min(n - done, BATCH_ROWS - chunk.nrows)
            for c in range(shape.ncols):
                v = &batch.cols[c]
                values = chunk.cols[c].values + chunk.nrows
                nulls = chunk.cols[c].nulls + chunk.nrows
                if v.values == NULL:
                    memset(nulls, 1, part)
                elif shape.typbyvals[c]:
                    for k in range(part):
                        i = done + k if sel == NULL else sel[done + k]
                        values[k] = v.values[i]
                        nulls[k] = v.nulls[i]
                else:
                    typlen = shape.typlens[c]
                    for k in range(part):
                        i = done + k if sel == NULL else sel[done + k]
                        nulls[k] = v.nulls[i]
                        if not v.nulls[i]:
                            values[k] = <Datum> self.context.copy_bytes(<void *> v.values[i],
                                                                        datum_length(v.values[i], typlen))
            chunk.nrows += part
            self.nrows += part
            done += part
        return 0

    cdef int append_row(self, Vector **cols, int row) except -1:
        """Copy one row, the columns given one by one (row counts in each of them)."""
        cdef Chunk *chunk = self._room_chunk()
        cdef int c
        cdef RowShape shape = self.shape
        for c in range(shape.ncols):
            chunk.cols[c].nulls[chunk.nrows] = cols[c].nulls[row]
            if not cols[c].nulls[row]:
                if shape.typbyvals[c]:
                    chunk.cols[c].values[chunk.nrows] = cols[c].values[row]
                else:
                    chunk.cols[c].values[chunk.nrows] = <Datum> self.context.copy_bytes(
                        <void *> cols[c].values[row], datum_length(cols[c].values[row], shape.typlens[c]))
        chunk.nrows += 1
        self.nrows += 1
        return 0

    cdef size_t memory(self) noexcept:
        cdef size_t lanes = 0
        cdef int i
        for i in range(self.nchunks - 1, -1, -1):
            if self.chunks[i].cols == NULL:
                break
            lanes += <size_t> self.lane_bytes * self.shape.ncols
        return lanes + self.context.total_bytes(False)

    cdef int spill(self) except -1:
        """Write every chunk in memory to the file."""
        cdef int i
        cdef bytes image
        if self.file is None:
            self.file = temporary_file()
        for i in range(self.nchunks):
            if self.chunks[i].cols == NULL:
                continue
            image = self.pack_chunk(&self.chunks[i])
            self.file.seek(self.file_end)
            self.file.write(image)
            self.chunks[i].offset = self.file_end
            self.chunks[i].size = len(image)
            self.file_end += len(image)
            self.free_lanes(&self.chunks[i])
        self.context.reset()
        return 0

    cdef bytes pack_chunk(self, Chunk *chunk):
        """A chunk as bytes: for each column nulls, then values; by-reference ones as their bytes, 8-aligned."""
        cdef int c, i, n = chunk.nrows
        cdef size_t size = 0, length
        cdef bytearray out
        cdef char *p
        cdef RowShape shape = self.shape
        cdef Vector *v
        for c in range(shape.ncols):
            v = &chunk.cols[c]
            size += (n + 7) & ~7
            if shape.typbyvals[c]:
                size += 8 * n
            else:
                for i in range(n):
                    if not v.nulls[i]:
                        size += 8 + ((datum_length(v.values[i], shape.typlens[c]) + 7) & ~<size_t> 7)
        out = bytearray(size)
        p = out
        for c in range(shape.ncols):
            v = &chunk.cols[c]
            memcpy(p, v.nulls, n)
            p += (n + 7) & ~7
            if shape.typbyvals[c]:
                memcpy(p, v.values, 8 * n)
                p += 8 * n
            else:
                for i in range(n):
                    if not v.nulls[i]:
                        length = datum_length(v.values[i], shape.typlens[c])
                        (<size_t *> p)[0] = length
                        memcpy(p + 8, <void *> v.values[i], length)
                        p += 8 + ((length + 7) & ~<size_t> 7)
        return bytes(out)

    cdef Chunk *chunk(self, int i) except NULL:
        cdef Chunk *chunk = &self.chunks[i]
        cdef bytes image
        cdef char *p
        cdef int c, r, n
        cdef size_t length
        cdef Vector *v
        if chunk.cols != NULL:
            return chunk
        if self.loaded_index == i:
            return &self.loaded
        self.file.seek(chunk.offset)
        image = self.file.read(chunk.size)
        if self.loaded.cols == NULL:
            self.make_lanes(&self.loaded)
            self.loaded_context = MemoryContext("tuplestore chunk")
        self.loaded_context.reset()
        p = self.loaded_context.copy_bytes(<char *> image, chunk.size + 1)
        n = chunk.nrows
        self.loaded.nrows = n
        for c in range(self.shape.ncols):
            v = &self.loaded.cols[c]
            memcpy(v.nulls, p, n)
            p += (n + 7) & ~7
            if self.shape.typbyvals[c]:
                memcpy(v.values, p, 8 * n)
                p += 8 * n
            else:
                for r in range(n):
                    if not v.nulls[r]:
                        length = (<size_t *> p)[0]
                        v.values[r] = <Datum> (p + 8)
                        p += 8 + ((length + 7) & ~<size_t> 7)
        self.loaded_index = i
        return &self.loaded

    cdef int fill(self, Batch batch, int i, int first) except -1:
        cdef Chunk *chunk = self.chunk(i)
        cdef int c
        for c in range(self.shape.ncols):
            batch.cols[c].values = chunk.cols[c].values + first
            batch.cols[c].nulls = chunk.cols[c].nulls + first
        batch.select_all(chunk.nrows - first)
        return 0

    cdef int clear(self) except -1:
        """Forget all rows."""
        cdef int i
        for i in range(self.nchunks):
            self.free_lanes(&self.chunks[i])
        self.nchunks = 0
        self.nrows = 0
        self.context.reset()
        self.loaded_index = -1
        if self.file is not None:
            self.file.close()
            self.file = None
            self.file_end = 0
        return 0

    @property
    def spilled(self):
        """Whether rows are in a temporary file."""
        return self.file is not None

    @property
    def memory_bytes(self):
        """Memory in use."""
        return self.memory()

    @property
    def file_bytes(self):
        """Size of the temporary file."""
        return self.file_end

    def add(self, Batch batch):
        """Append the selected rows of a batch."""
        self.append(batch, batch.sel, batch.nsel)

    def forget(self):
        """See clear."""
        self.clear()

    def read(self, Batch batch, int64_t position):
        """Point batch at the rows from a position on, up to the end of its chunk; False at the end."""
        if position >= self.nrows:
            return False
        self.fill(batch, <int> (position >> 10), <int> (position & 1023))
        return True
