"""Batches of rows in columns (see _batch.pxd)."""

from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memset
from tusk.types._kernel_datum cimport datum_to_python, datum_type


cdef class RowShape:
    """``RowShape(type_oids, typmods=None, collations=None, names=None)``."""

    def __cinit__(self, object types, object typmods=None, object collations=None, object names=None):
        cdef int i
        cdef DatumType t
        oids = list(types)
        self.ncols = len(oids)
        self.types = tuple([datum_type(oid) for oid in oids])
        self.typmods = tuple(typmods) if typmods is not None else (-1,) * self.ncols
        self.collations = tuple(collations) if collations is not None else (0,) * self.ncols
        self.names = tuple(names) if names is not None else ("?column?",) * self.ncols
        self.typlens = <int16_t *> calloc(self.ncols + 1, sizeof(int16_t))
        self.typbyvals = <uint8_t *> calloc(self.ncols + 1, 1)
        if self.typlens == NULL or self.typbyvals == NULL:
            raise MemoryError
        for i in range(self.ncols):
            t = self.types[i]
            self.typlens[i] = t.typlen
            self.typbyvals[i] = t.typbyval

    def __dealloc__(self):
        free(self.typlens)
        free(self.typbyvals)

    cdef DatumType type(self, int column):
        return <DatumType> self.types[column]

    @property
    def type_oids(self):
        """The columns' type OIDs."""
        return tuple([t.oid for t in self.types])


cdef class Batch:
    """``Batch(shape)``: an empty batch whose columns have no lanes yet."""

    def __cinit__(self, RowShape shape):
        self.shape = shape
        self.ncols = shape.ncols
        self.cols = <Vector *> calloc(self.ncols + 1, sizeof(Vector))
        self.own = <uint8_t *> calloc(self.ncols + 1, 1)
        if self.cols == NULL or self.own == NULL:
            raise MemoryError

    def __dealloc__(self):
        cdef int i
        if self.cols != NULL and self.own != NULL:
            for i in range(self.ncols):
                if self.own[i]:
                    free(self.cols[i].values)
        free(self.cols)
        free(self.own)
        free(self.own_sel)

    cdef uint16_t *selection(self) except NULL:
        """Room for a selection of this batch's own; the caller fills it and points sel at it."""
        if self.own_sel == NULL:
            self.own_sel = <uint16_t *> malloc(BATCH_ROWS * sizeof(uint16_t))
            if self.own_sel == NULL:
                raise MemoryError
        return self.own_sel

    cdef Vector *lanes(self, int column) except NULL:
        """The column with lanes of the batch's own, to be written to. Such a column must never be pointed elsewhere."""
        cdef Vector *v = &self.cols[column]
        if not self.own[column]:
            v.values = <Datum *> malloc(BATCH_ROWS * (sizeof(Datum) + 1))
            if v.values == NULL:
                raise MemoryError
            v.nulls = <uint8_t *> (v.values + BATCH_ROWS)
            self.own[column] = 1
        return v

    cdef int lanes_all(self) except -1:
        cdef int i
        for i in range(self.ncols):
            self.lanes(i)
        return 0

    cdef void select_all(self, int nrows) noexcept:
        self.nrows = nrows
        self.nsel = nrows
        self.sel = NULL

    cdef Batch slice(self, int first, int count):
        """Some rows of this batch as another one over the same lanes."""
        cdef Batch part = Batch(self.shape)
        cdef int i, left = self.nsel - first
        cdef uint16_t *sel
        if count > left:
            count = left
        for i in range(self.ncols):
            part.cols[i] = self.cols[i]
        part.nrows = self.nrows
        part.nsel = count
        sel = part.selection()
        for i in range(count):
            sel[i] = <uint16_t> batch_row(self, first + i)
        part.sel = sel
        return part

    def part(self, int first, int count):
        """See slice."""
        return self.slice(first, count)

    cpdef object value(self, int k, int column):
        """The Python value in a column of the k-th selected row."""
        cdef int row
        if not 0 <= k < self.nsel or not 0 <= column < self.ncols:
            raise IndexError
        row = batch_row(self, k)
        if self.cols[column].nulls[row]:
            return None
        return datum_to_python(self.cols[column].values[row], self.shape.type(column))

    cpdef tuple row(self, int k):
        """The k-th selected row as Python values."""
        cdef int i
        return tuple([self.value(k, i) for i in range(self.ncols)])

    cpdef list rows(self):
        """All selected rows as Python values."""
        cdef int k
        return [self.row(k) for k in range(self.nsel)]

    def __len__(self):
        return self.nsel

    def __repr__(self):
        return f"<Batch {self.nsel} of {self.nrows} rows, {self.ncols} columns>"
