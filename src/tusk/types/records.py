"""Composite values, records, domains and enums: formats and comparison. Their definitions come from the catalogs."""

import struct
from collections.abc import Callable, Sequence
from typing import Any

from tusk.errors import SqlError, errcode
from tusk.types.arrays import ALIGNMENTS
from tusk.types.codec import Buffer, Codec, codec_for, decode_text, register_codec_factory
from tusk.types.compare import comparator, type_display
from tusk.types.registry import RECORDOID, CallContext, ColumnInfo, TypeInfo, function, services
from tusk.types.values import Array, Record

# Fields of the tuple header that a composite datum has instead of transaction ids (access/htup_details.h).
_HEAP_HASNULL, _HEAP_HASVARWIDTH, _NATTS_MASK = 0x0001, 0x0002, 0x07FF


def columns_of(value: Record) -> Sequence[ColumnInfo]:
    """Columns of a row value's type."""
    columns = services.row_columns(value.type_oid, value.typmod)
    if columns is None:
        raise SqlError(errcode.UNDEFINED_OBJECT, "record type has not been registered")
    return columns


def record_to_disk(value: Record) -> bytes:
    """On-disk payload: a tuple with a datum header, without the varlena length word."""
    columns = columns_of(value)
    has_nulls = any(item is None for item in value.values)
    bitmap = bytearray((len(columns) + 7) // 8) if has_nulls else bytearray()
    hoff = (23 + len(bitmap) + 7) & ~7
    body = bytearray()
    has_varwidth = False
    for index, (column, item) in enumerate(zip(columns, value.values, strict=True)):
        if item is None:
            continue
        if has_nulls:
            bitmap[index // 8] |= 1 << index % 8
        codec = codec_for(column.type_oid)
        payload = codec.to_disk(item)
        align = ALIGNMENTS[codec.typalign]
        if codec.typlen == -1:
            has_varwidth = True
            info = services.type_info(column.type_oid)
            if len(payload) + 1 <= 126 and (info is None or info.typstorage != "p"):
                body += bytes((len(payload) + 1 << 1 | 1,)) + payload
                continue
            body += bytes(-len(body) % align)
            body += (len(payload) + 4 << 2).to_bytes(4, "little") + payload
        else:
            body += bytes(-len(body) % align) + payload + (b"\0" if codec.typlen == -2 else b"")
    infomask = (_HEAP_HASNULL if has_nulls else 0) | (_HEAP_HASVARWIDTH if has_varwidth else 0)
    # After the length word: typmod, type oid, then an invalid ctid, as heap_form_tuple leaves it.
    header = struct.pack("<iIHHHHHB", value.typmod, value.type_oid, 0xFFFF, 0xFFFF, 0, len(columns), infomask, hoff)
    return (header + bytes(bitmap)).ljust(hoff - 4, b"\0") + bytes(body)


def record_from_disk(data: Buffer) -> Record:
    """Value of the on-disk payload of a composite."""
    typmod, type_oid, _, _, _, infomask2, infomask, hoff = struct.unpack_from("<iIHHHHHB", data)
    natts = infomask2 & _NATTS_MASK
    columns = services.row_columns(type_oid, typmod)
    if columns is None:
        raise SqlError(errcode.UNDEFINED_OBJECT, "record type has not been registered")
    values: list[Any] = []
    position = base = hoff - 4
    for index, column in enumerate(columns):
        if index >= natts or (infomask & _HEAP_HASNULL and not data[19 + index // 8] >> index % 8 & 1):
            values.append(None)
            continue
        codec = codec_for(column.type_oid)
        align = ALIGNMENTS[codec.typalign]
        if codec.typlen == -1:
            if not data[position] & 1:
                position = base + ((position - base + align - 1) & -align)
            if data[position] & 1:
                size, start = data[position] >> 1, 1
            else:
                size, start = int.from_bytes(data[position : position + 4], "little") >> 2, 4
            values.append(codec.from_disk(data[position + start : position + size]))
        else:
            position = base + ((position - base + align - 1) & -align)
            size = codec.typlen if codec.typlen > 0 else bytes(data[position:]).index(0) + 1
            stop = position + size - (codec.typlen == -2)
            values.append(codec.from_disk(data[position:stop]))
        position += size
    return Record(type_oid, typmod, tuple(values))


def _malformed(text: str, detail: str) -> SqlError:
    return SqlError(errcode.INVALID_TEXT_REPRESENTATION, f'malformed record literal: "{text}"', detail=detail)


def split_record(text: str) -> list[str | None]:
    """The fields of a row literal, still as text."""
    position = len(text) - len(text.lstrip(" \t\n\v\f\r"))
    if text[position : position + 1] != "(":
        raise _malformed(text, "Missing left parenthesis.")
    position += 1
    fields: list[str | None] = []
    while True:
        start = position
        characters: list[str] = []
        quoted = False
        while True:
            if position >= len(text):
                raise _malformed(text, "Unexpected end of input.")
            character = text[position]
            if not quoted and character in ",)":
                break
            position += 1
            if character == "\\":
                if position >= len(text):
                    raise _malformed(text, "Unexpected end of input.")
                characters.append(text[position])
                position += 1
            elif character == '"':
                if not quoted:
                    quoted = True
                elif text[position : position + 1] == '"':
                    characters.append('"')
                    position += 1
                else:
                    quoted = False
            else:
                characters.append(character)
        fields.append("".join(characters) if position > start else None)
        position += 1
        if text[position - 1] == ")":
            break
    if text[position:].strip(" \t\n\v\f\r"):
        raise _malformed(text, "Junk after right parenthesis.")
    return fields


def _quote_field(text: str) -> str:
    if text and not any(c in '"\\(), \t\n\v\f\r' for c in text):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '""') + '"'


def record_text(value: Record) -> str:
    """Text form of a row."""
    fields = []
    for column, item in zip(columns_of(value), value.values, strict=True):
        if not column.is_dropped:
            fields.append("" if item is None else _quote_field(codec_for(column.type_oid).output(item)))
    return "(" + ",".join(fields) + ")"


class RecordCodec(Codec):
    """A composite type, or record."""

    __slots__ = ()

    def from_disk(self, data: Buffer) -> Record:
        return record_from_disk(data)

    def to_disk(self, value: Any) -> bytes:
        return record_to_disk(value)

    def _columns(self, typmod: int) -> Sequence[ColumnInfo]:
        columns = services.row_columns(self.type_oid, typmod)
        if columns is None:
            raise SqlError(errcode.FEATURE_NOT_SUPPORTED, "input of anonymous composite types is not implemented")
        return columns

    def input(self, text: str, typmod: int = -1, ctx: CallContext | None = None) -> Record:
        columns = self._columns(typmod)
        live = [column for column in columns if not column.is_dropped]
        if not live and text.strip(" \t\n\v\f\r") == "()":
            return Record(self.type_oid, typmod, (None,) * len(columns))
        fields = split_record(text)
        if len(fields) < len(live):
            raise _malformed(text, "Too few columns.")
        if len(fields) > len(live):
            raise _malformed(text, "Too many columns.")
        remaining = iter(fields)
        values: list[Any] = []
        for column in columns:
            field = None if column.is_dropped else next(remaining)
            codec = codec_for(column.type_oid)
            if field is None:
                if isinstance(codec, DomainCodec):
                    codec.input_null(column.typmod)
                values.append(None)
            else:
                values.append(codec.input(field, column.typmod, ctx))
        return Record(self.type_oid, typmod, tuple(values))

    def output(self, value: Any) -> str:
        return record_text(value)

    def receive(self, data: Buffer, typmod: int = -1) -> Record:
        columns = self._columns(typmod)
        live = [column for column in columns if not column.is_dropped]
        insufficient = SqlError(errcode.PROTOCOL_VIOLATION, "insufficient data left in message")
        if len(data) < 4:
            raise insufficient
        count = int.from_bytes(data[:4], "big", signed=True)
        if count != len(live):
            raise SqlError(errcode.DATATYPE_MISMATCH, f"wrong number of columns: {count}, expected {len(live)}")
        position = 4
        values: list[Any] = []
        for index, column in enumerate(columns):
            if column.is_dropped:
                values.append(None)
                continue
            if position + 8 > len(data):
                raise insufficient
            type_oid, size = struct.unpack_from(">Ii", data, position)
            position += 8
            if type_oid != column.type_oid:
                raise SqlError(
                    errcode.DATATYPE_MISMATCH,
                    f"binary data has type {type_oid} instead of expected {column.type_oid}"
                    f" in record column {index + 1}",
                )
            if size < -1 or size > len(data) - position:
                raise insufficient
            codec = codec_for(type_oid)
            values.append(None if size < 0 else codec.receive(data[position : position + size], column.typmod))
            position += max(size, 0)
        return Record(self.type_oid, typmod, tuple(values))

    def send(self, value: Any) -> bytes:
        live = [
            (column, item)
            for column, item in zip(columns_of(value), value.values, strict=True)
            if not column.is_dropped
        ]
        parts = [len(live).to_bytes(4, "big")]
        for column, item in live:
            payload = None if item is None else codec_for(column.type_oid).send(item)
            parts.append(struct.pack(">Ii", column.type_oid, -1 if payload is None else len(payload)))
            parts.append(payload or b"")
        return b"".join(parts)


class DomainCodec(Codec):
    """A domain: the formats of its base type, checked on the way in."""

    __slots__ = ("base", "typmod")

    def __init__(self, info: TypeInfo) -> None:
        super().__init__(info)
        self.base = codec_for(info.typbasetype)
        self.typmod = info.typtypmod

    def from_disk(self, data: Buffer) -> Any:
        return self.base.from_disk(data)

    def to_disk(self, value: Any) -> bytes:
        return self.base.to_disk(value)

    def _checked(self, value: Any) -> Any:
        services.call("domain_check", self.type_oid, value)
        return value

    def input(self, text: str, typmod: int = -1, ctx: CallContext | None = None) -> Any:
        return self._checked(self.base.input(text, self.typmod, ctx))

    def input_null(self, typmod: int = -1) -> None:
        """Check that the domain takes NULL."""
        self._checked(None)

    def output(self, value: Any) -> str:
        return self.base.output(value)

    def receive(self, data: Buffer, typmod: int = -1) -> Any:
        return self._checked(self.base.receive(data, self.typmod))

    def send(self, value: Any) -> bytes:
        return self.base.send(value)


class EnumCodec(Codec):
    """An enum. The value is the oid of its pg_enum row, as on disk."""

    __slots__ = ()

    def from_disk(self, data: Buffer) -> int:
        return int.from_bytes(data, "little")

    def to_disk(self, value: Any) -> bytes:
        data: bytes = value.to_bytes(4, "little")
        return data

    def input(self, text: str, typmod: int = -1, ctx: CallContext | None = None) -> int:
        for oid, _, label in services.call("enum_labels", self.type_oid):
            if label == text:
                value: int = oid
                return value
        raise SqlError(errcode.INVALID_TEXT_REPRESENTATION, f'invalid input value for enum {self.name}: "{text}"')

    def output(self, value: Any) -> str:
        for oid, _, label in services.call("enum_labels", self.type_oid):
            if oid == value:
                text: str = label
                return text
        raise SqlError(errcode.INVALID_BINARY_REPRESENTATION, f"invalid internal value for enum: {value}")

    def receive(self, data: Buffer, typmod: int = -1) -> int:
        return self.input(decode_text(data))

    def send(self, value: Any) -> bytes:
        return self.output(value).encode()


def _factory(info: TypeInfo) -> Codec | None:
    match info.typtype:
        case "c":
            return RecordCodec(info)
        case "d":
            return DomainCodec(info)
        case "e":
            return EnumCodec(info)
    return RecordCodec(info) if info.oid == RECORDOID else None


register_codec_factory(_factory)


@function("record_in", context=True)
def _record_in(ctx: CallContext, text: str, type_oid: int, typmod: int = -1) -> Record:
    record: Record = codec_for(type_oid).input(text, typmod, ctx)
    return record


@function("record_out")
def _record_out(value: Record) -> str:
    return record_text(value)


@function("record_recv")
def _record_recv(data: Buffer, type_oid: int, typmod: int = -1) -> Record:
    record: Record = codec_for(type_oid).receive(data, typmod)
    return record


@function("record_send")
def _record_send(value: Record) -> bytes:
    return codec_for(RECORDOID).send(value)


@function("domain_in", context=True)
def _domain_in(ctx: CallContext, text: str | None, type_oid: int, typmod: int = -1) -> Any:
    codec = codec_for(type_oid)
    if text is None:
        assert isinstance(codec, DomainCodec)
        return codec.input_null()
    return codec.input(text, typmod, ctx)


@function("domain_recv")
def _domain_recv(data: Buffer, type_oid: int, typmod: int = -1) -> Any:
    return codec_for(type_oid).receive(data, typmod)


@function("enum_in")
def _enum_in(text: str, type_oid: int) -> int:
    value: int = codec_for(type_oid).input(text)
    return value


@function("enum_recv")
def _enum_recv(data: Buffer, type_oid: int) -> int:
    value: int = codec_for(type_oid).receive(data)
    return value


@function("enum_out", context=True)
def _enum_out(ctx: CallContext, value: int) -> str:
    return codec_for(ctx.argument_types[0]).output(value)


@function("enum_send", context=True)
def _enum_send(ctx: CallContext, value: int) -> bytes:
    return codec_for(ctx.argument_types[0]).send(value)


def _order(type_oid: int) -> dict[int, float]:
    info = services.type_info(type_oid)
    if info is not None and info.typtype == "d":
        type_oid = info.typbasetype
    return {oid: place for oid, place, _ in services.call("enum_labels", type_oid)}


def enum_compare(type_oid: int, left: int, right: int) -> int:
    """Three-way comparison of two labels by their sort order."""
    if left == right:
        return 0
    order = _order(type_oid)
    return -1 if order[left] < order[right] else 1


_TESTS: dict[str, Callable[[int], bool]] = {
    "eq": lambda order: order == 0,
    "ne": lambda order: order != 0,
    "lt": lambda order: order < 0,
    "le": lambda order: order <= 0,
    "gt": lambda order: order > 0,
    "ge": lambda order: order >= 0,
}


def _register(prefix: str, compare: Callable[[CallContext, Any, Any], int]) -> None:
    for name, test in _TESTS.items():
        function(prefix + name, context=True)(lambda ctx, a, b, test=test: test(compare(ctx, a, b)))


@function("enum_cmp", context=True)
def _enum_cmp(ctx: CallContext, left: int, right: int) -> int:
    return enum_compare(ctx.argument_types[0], left, right)


_register("enum_", _enum_cmp)


@function("enum_larger", context=True)
def _enum_larger(ctx: CallContext, left: int, right: int) -> int:
    return left if _enum_cmp(ctx, left, right) > 0 else right


@function("enum_smaller", context=True)
def _enum_smaller(ctx: CallContext, left: int, right: int) -> int:
    return left if _enum_cmp(ctx, left, right) < 0 else right


def _labels(ctx: CallContext) -> tuple[int, list[int]]:
    type_oid = ctx.argument_types[0]
    info = services.type_info(type_oid)
    if info is None or info.typtype != "e":
        raise SqlError(errcode.FEATURE_NOT_SUPPORTED, "could not determine actual enum type")
    labels = [oid for oid, _, _ in services.call("enum_labels", type_oid)]
    if not labels:
        raise SqlError(errcode.OBJECT_NOT_IN_PREREQUISITE_STATE, f"enum {info.typname} contains no values")
    return type_oid, labels


@function("enum_first", context=True)
def _enum_first(ctx: CallContext, value: int | None) -> int:
    return _labels(ctx)[1][0]


@function("enum_last", context=True)
def _enum_last(ctx: CallContext, value: int | None) -> int:
    return _labels(ctx)[1][-1]


@function("enum_range_all", context=True)
def _enum_range_all(ctx: CallContext, value: int | None) -> Array:
    return Array.of(*_labels(ctx))


@function("enum_range_bounds", context=True)
def _enum_range_bounds(ctx: CallContext, low: int | None, high: int | None) -> Array:
    type_oid, labels = _labels(ctx)
    start = 0 if low is None else labels.index(low)
    end = len(labels) if high is None else labels.index(high) + 1
    return Array.of(type_oid, labels[start:end])


def record_compare(left: Record, right: Record) -> int:
    """Three-way comparison of rows, column by column, nulls last."""
    left_columns = [c for c in columns_of(left) if not c.is_dropped]
    right_columns = [c for c in columns_of(right) if not c.is_dropped]
    pairs = zip(left_columns, _live(left), right_columns, _live(right), strict=False)
    for index, (left_column, a, right_column, b) in enumerate(pairs):
        if left_column.type_oid != right_column.type_oid:
            raise SqlError(
                errcode.DATATYPE_MISMATCH,
                f"cannot compare dissimilar column types {type_display(left_column.type_oid)}"
                f" and {type_display(right_column.type_oid)}"
                f" at record column {index + 1}",
            )
        if a is None or b is None:
            if (a is None) != (b is None):
                return 1 if a is None else -1
            continue
        same = left_column.collation == right_column.collation
        result = comparator(left_column.type_oid, left_column.collation if same else 100)(a, b)
        if result:
            return -1 if result < 0 else 1
    if len(left_columns) != len(right_columns):
        raise SqlError(errcode.DATATYPE_MISMATCH, "cannot compare record types with different numbers of columns")
    return 0


def _live(value: Record) -> list[Any]:
    columns = columns_of(value)
    return [item for column, item in zip(columns, value.values, strict=True) if not column.is_dropped]


@function("btrecordcmp", context=True)
def _btrecordcmp(ctx: CallContext, left: Record, right: Record) -> int:
    return record_compare(left, right)


_register("record_", _btrecordcmp)


@function("record_larger")
def _record_larger(left: Record, right: Record) -> Record:
    return left if record_compare(left, right) > 0 else right


@function("record_smaller")
def _record_smaller(left: Record, right: Record) -> Record:
    return left if record_compare(left, right) < 0 else right


@function("btrecordimagecmp", context=True)
def _image_compare(ctx: CallContext, left: Record, right: Record) -> int:
    for column, a, b in zip(columns_of(left), left.values, right.values, strict=False):
        if a is None or b is None:
            if (a is None) != (b is None):
                return 1 if a is None else -1
            continue
        codec = codec_for(column.type_oid)
        x, y = codec.to_disk(a), codec.to_disk(b)
        if codec.typbyval:
            difference = int.from_bytes(x, "little") - int.from_bytes(y, "little")
        else:
            difference = (x > y) - (x < y)
        if difference:
            return -1 if difference < 0 else 1
    return 0


_register("record_image_", _image_compare)
