"""Batches as DataRow messages: each column by its output kernel, or by its codec."""

from libc.stddef cimport size_t
from libc.stdint cimport uint32_t
from libc.string cimport memcpy
from tusk.sql.execute._batch cimport Batch, batch_row
from tusk.types._kernel cimport Vector
from tusk.types._kernel_datum cimport DatumType, datum_to_python, datum_type
from tusk.types._kernel_output cimport (
    OutBuffer, binary_output, out_free, out_reserve, output_fn, put_u32, text_output)

from tusk.errors import SqlError, errcode

cdef class RowEncoder:
    """``RowEncoder(type_oids, formats)``: formats are 0 (text) or 1 (binary) for each column.

    Made for one result: settings that shape text forms are looked at once. Texts are UTF-8; with another client
    encoding pass ``convert``, a function from text form bytes in UTF-8 to those the client wants.
    """

    def __init__(self, type_oids, formats, convert=None):
        cdef int i
        self.ncols = len(type_oids)
        self.types = [datum_type(oid) for oid in type_oids]
        self.formats = list(formats)
        self.convert = convert
        for i in range(self.ncols):
            if self.formats[i] not in (0, 1):
                raise SqlError(errcode.INVALID_PARAMETER_VALUE, f"unsupported format code: {self.formats[i]}")
            self.fns[i] = binary_output(self.types[i]) if self.formats[i] else text_output(self.types[i])
            if convert is not None:
                self.fns[i] = NULL

    def __dealloc__(self):
        out_free(&self.out)

    cdef int by_codec(self, OutBuffer *out, int column, object value) except -1:
        """Append what the codec makes of a value."""
        cdef DatumType t = self.types[column]
        cdef bytes data
        codec = t.codec()
        if self.formats[column]:
            data = codec.send(value)
        else:
            data = (<str?> codec.output(value)).encode("utf-8", "surrogateescape")
            if self.convert is not None:
                data = self.convert(data)
        copy_in(out, data)
        return 0

    def encode(self, Batch batch):
        """The DataRow messages of a batch's rows."""
        self.out.size = 0
        self.encode_into(batch, &self.out)
        return self.out.data[:self.out.size]

    cdef int encode_into(self, Batch batch, OutBuffer *out) except -1:
        cdef int k, c, row
        cdef size_t start, mark
        cdef Vector *v
        for k in range(batch.nsel):
            row = batch_row(batch, k)
            start = out.size
            out_reserve(out, 7 + 4 * <size_t> self.ncols)
            out.data[start] = c'D'
            out.data[start + 5] = <char> (self.ncols >> 8)
            out.data[start + 6] = <char> self.ncols
            out.size = start + 7
            for c in range(self.ncols):
                v = &batch.cols[c]
                out_reserve(out, 4)
                mark = out.size
                out.size += 4
                if v.nulls[row]:
                    put_u32(out.data + mark, 0xFFFFFFFF)
                    continue
                if self.fns[c] == NULL or not self.fns[c](v.values[row], out):
                    self.by_codec(out, c, datum_to_python(v.values[row], <DatumType> self.types[c]))
                put_u32(out.data + mark, <uint32_t> (out.size - mark - 4))
            put_u32(out.data + start + 1, <uint32_t> (out.size - start - 1))
        return 0


cdef int copy_in(OutBuffer *out, bytes data) except -1:
    cdef size_t size = len(data)
    out_reserve(out, size)
    memcpy(out.data + out.size, <char *> data, size)
    out.size += size
    return 0
