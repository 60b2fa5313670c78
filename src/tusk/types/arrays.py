"""Arrays: the text, disk and binary formats, for array types and for int2vector and oidvector."""

import struct
from typing import Any

from tusk.errors import SqlError, errcode
from tusk.types.codec import Buffer, Codec, codec_for, register_codec, register_codec_factory
from tusk.types.integers import parse_int
from tusk.types.oids import parse_unsigned
from tusk.types.registry import CallContext, TypeInfo, function, services
from tusk.types.values import Array

INT2VECTOROID, OIDVECTOROID = 22, 30
MAXDIM = 6
MAX_ARRAY_SIZE = 0x3FFFFFFF // 8
ALIGNMENTS = {"c": 1, "s": 2, "i": 4, "d": 8}
_SPACE = " \t\n\v\f\r"


def array_from_disk(data: Buffer, codec: Codec | None = None) -> Array:
    """Value of the on-disk payload; offsets inside count from the varlena header that is not in ``data``."""
    ndim, data_offset, element_type = struct.unpack_from("<iiI", data)
    if ndim == 0:
        return Array(element_type, (), (), ())
    dims = struct.unpack_from(f"<{ndim}i", data, 12)
    lower_bounds = struct.unpack_from(f"<{ndim}i", data, 12 + 4 * ndim)
    count = 1
    for dim in dims:
        count *= dim
    codec = codec or codec_for(element_type)
    bitmap_start = 12 + 8 * ndim
    position = data_offset - 4 if data_offset else ((16 + 8 * ndim + 7) & ~7) - 4
    elements: list[Any] = []
    align = ALIGNMENTS[codec.typalign]
    length = codec.typlen
    for index in range(count):
        if data_offset and not data[bitmap_start + index // 8] >> index % 8 & 1:
            elements.append(None)
            continue
        if length == -1:
            if not data[position]:
                position = ((position + 4 + align - 1) & -align) - 4
            if data[position] & 1:
                size = data[position] >> 1
                elements.append(codec.from_disk(data[position + 1 : position + size]))
            else:
                size = int.from_bytes(data[position : position + 4], "little") >> 2
                elements.append(codec.from_disk(data[position + 4 : position + size]))
        elif length == -2:
            size = bytes(data[position:]).index(0) + 1
            elements.append(codec.from_disk(data[position : position + size - 1]))
        else:
            size = length
            elements.append(codec.from_disk(data[position : position + size]))
        position = ((position + size + 4 + align - 1) & -align) - 4
    return Array(element_type, dims, lower_bounds, tuple(elements))


def array_to_disk(value: Array, codec: Codec | None = None) -> bytes:
    """On-disk payload."""
    ndim = len(value.dims)
    if ndim == 0:
        return struct.pack("<iiI", 0, 0, value.element_type)
    codec = codec or codec_for(value.element_type)
    count = len(value.elements)
    has_nulls = None in value.elements
    header_size = 16 + 8 * ndim + ((count + 7) // 8 if has_nulls else 0)
    data_offset = (header_size + 7) & ~7
    parts = bytearray(
        struct.pack(f"<iiI{2 * ndim}i", ndim, data_offset if has_nulls else 0, value.element_type,
                    *value.dims, *value.lower_bounds)
    )  # fmt: skip
    if has_nulls:
        bitmap = bytearray((count + 7) // 8)
        for index, element in enumerate(value.elements):
            if element is not None:
                bitmap[index // 8] |= 1 << index % 8
        parts += bitmap
    parts += bytes(data_offset - 4 - len(parts))
    align = ALIGNMENTS[codec.typalign]
    to_disk, length = codec.to_disk, codec.typlen
    for element in value.elements:
        if element is None:
            continue
        payload = to_disk(element)
        if length == -1:
            parts += (len(payload) + 4 << 2).to_bytes(4, "little")
        parts += payload
        if length == -2:
            parts.append(0)
        parts += bytes(-(len(parts) + 4) % align)
    return bytes(parts)


def malformed(text: str, detail: str) -> SqlError:
    """22P02 for a literal that is not an array."""
    return SqlError(errcode.INVALID_TEXT_REPRESENTATION, f'malformed array literal: "{text}"', detail=detail)


def check_size(dims: tuple[int, ...]) -> int:
    """Number of elements; 54000 when there are too many."""
    count = 1
    for dim in dims:
        count *= dim
        if count > MAX_ARRAY_SIZE:
            raise SqlError(
                errcode.PROGRAM_LIMIT_EXCEEDED, f"array size exceeds the maximum allowed ({MAX_ARRAY_SIZE})"
            )
    return count


def too_many_dimensions(count: int | None = None) -> SqlError:
    """54000: more than six dimensions."""
    if count is None:
        message = f"number of array dimensions exceeds the maximum allowed ({MAXDIM})"
    else:
        message = f"number of array dimensions ({count}) exceeds the maximum allowed ({MAXDIM})"
    return SqlError(errcode.PROGRAM_LIMIT_EXCEEDED, message)


class _Reader:
    """Recursive reading of an array literal into a flat list with its dimensions."""

    def __init__(self, text: str, position: int, delimiter: str) -> None:
        self.text = text
        self.position = position
        self.delimiter = delimiter
        self.values: list[str | None] = []
        self.dims: list[int] = []
        self.leaf_depth = -1

    def fail(self, detail: str) -> SqlError:
        return malformed(self.text, detail)

    def skip_space(self) -> str:
        text, position = self.text, self.position
        while position < len(text) and text[position] in _SPACE:
            position += 1
        self.position = position
        if position >= len(text):
            raise self.fail("Unexpected end of input.")
        return text[position]

    def read_level(self, depth: int) -> int:
        """Read after an opening brace up to its closing one; return how many items there were."""
        if depth >= MAXDIM:
            raise too_many_dimensions()
        count = 0
        expect_item = True
        while True:
            character = self.skip_space()
            if character == "}":
                if expect_item and count:
                    raise self.fail('Unexpected "}" character.')
                self.position += 1
                self.close_level(depth, count)
                return count
            if character == self.delimiter:
                if expect_item:
                    raise self.fail(f'Unexpected "{character}" character.')
                self.position += 1
                expect_item = True
                continue
            if character == "{":
                if not expect_item:
                    raise self.fail('Unexpected "{" character.')
                if self.leaf_depth >= 0 and depth >= self.leaf_depth:
                    raise self.mismatch()
                self.position += 1
                self.read_level(depth + 1)
            else:
                if not expect_item:
                    raise self.fail("Unexpected array element.")
                if self.leaf_depth < 0:
                    if any(self.dims[depth:]) or len(self.dims) > depth + 1:
                        raise self.mismatch()
                    self.leaf_depth = depth
                elif self.leaf_depth != depth:
                    raise self.mismatch()
                self.values.append(self.read_element())
            count += 1
            expect_item = False

    def mismatch(self) -> SqlError:
        return self.fail("Multidimensional arrays must have sub-arrays with matching dimensions.")

    def close_level(self, depth: int, count: int) -> None:
        while len(self.dims) <= depth:
            self.dims.append(-1)
        if self.dims[depth] < 0:
            self.dims[depth] = count
        elif self.dims[depth] != count:
            raise self.mismatch()
        if self.leaf_depth < 0 and count == 0:
            self.leaf_depth = depth
        elif count == 0 and depth < self.leaf_depth:
            raise self.mismatch()

    def read_element(self) -> str | None:
        text, delimiter = self.text, self.delimiter
        if text[self.position] == '"':
            return self.read_quoted()
        start = self.position
        characters: list[str] = []
        escaped = False
        keep = 0
        while self.position < len(text):
            character = text[self.position]
            if character == '"':
                raise self.fail("Incorrectly quoted array element.")
            if character == "{":
                raise self.fail('Unexpected "{" character.')
            if character in ("}", delimiter):
                break
            if character == "\\":
                self.position += 1
                if self.position >= len(text):
                    break
                character = text[self.position]
                escaped = True
                characters.append(character)
                keep = len(characters)
            else:
                characters.append(character)
                if character not in _SPACE:
                    keep = len(characters)
            self.position += 1
        else:
            raise self.fail("Unexpected end of input.")
        if self.position >= len(text):
            raise self.fail("Unexpected end of input.")
        value = "".join(characters[:keep])
        if not escaped and value.upper() == "NULL" and text[start] in "nN":
            return None
        return value

    def read_quoted(self) -> str:
        text = self.text
        characters: list[str] = []
        position = self.position + 1
        while True:
            if position >= len(text):
                raise self.fail("Unexpected end of input.")
            character = text[position]
            if character == '"':
                break
            if character == "\\":
                position += 1
                if position >= len(text):
                    raise self.fail("Unexpected end of input.")
                character = text[position]
            characters.append(character)
            position += 1
        self.position = position + 1
        following = self.skip_space()
        if following not in ("}", "{", self.delimiter):
            raise self.fail("Incorrectly quoted array element.")
        return "".join(characters)


def _read_dimensions(text: str) -> tuple[list[tuple[int, int]], int]:
    """Explicit ``[l:u]`` dimensions, as (lower bound, size), and where they end."""
    found: list[tuple[int, int]] = []
    position = 0
    while True:
        while position < len(text) and text[position] in _SPACE:
            position += 1
        if position >= len(text) or text[position] != "[":
            return found, position
        if len(found) >= MAXDIM:
            raise too_many_dimensions()
        position += 1
        first, position = _read_bound(text, position)
        if first is None:
            raise malformed(text, '"[" must introduce explicitly-specified array dimensions.')
        lower, upper = 1, first
        if text[position : position + 1] == ":":
            lower = first
            second, position = _read_bound(text, position + 1)
            if second is None:
                raise malformed(text, "Missing array dimension value.")
            upper = second
        if text[position : position + 1] != "]":
            raise malformed(text, 'Missing "]" after array dimensions.')
        position += 1
        if upper == 0x7FFFFFFF:
            raise SqlError(errcode.NUMERIC_VALUE_OUT_OF_RANGE, f"array upper bound is too large: {upper}")
        if upper < lower - (1 if lower == upper + 1 else 0) or upper < lower:
            raise SqlError(errcode.ARRAY_SUBSCRIPT_ERROR, "upper bound cannot be less than lower bound")
        found.append((lower, upper - lower + 1))


def _read_bound(text: str, position: int) -> tuple[int | None, int]:
    end = position
    if text[end : end + 1] in ("-", "+") and end < len(text):
        end += 1
    while end < len(text) and text[end].isdigit():
        end += 1
    if end == position or not text[end - 1].isdigit():
        return None, position
    value = int(text[position:end])
    if not -0x80000000 <= value <= 0x7FFFFFFF:
        raise SqlError(errcode.NUMERIC_VALUE_OUT_OF_RANGE, "array bound is out of integer range")
    return value, end


class ArrayCodec(Codec):
    """The array type over one element type."""

    __slots__ = ("delimiter", "element_type")

    def __init__(self, info: TypeInfo) -> None:
        super().__init__(info)
        self.element_type = info.typelem
        self.delimiter = info.typdelim

    def from_disk(self, data: Buffer) -> Array:
        return array_from_disk(data, codec_for(self.element_type))

    def to_disk(self, value: Any) -> bytes:
        return array_to_disk(value)

    def input(self, text: str, typmod: int = -1, ctx: CallContext | None = None) -> Array:
        explicit, position = _read_dimensions(text)
        if explicit:
            if text[position : position + 1] != "=":
                raise malformed(text, 'Missing "=" after array dimensions.')
            position += 1
            while position < len(text) and text[position] in _SPACE:
                position += 1
            if text[position : position + 1] != "{":
                raise malformed(text, "Array contents must start with \"{\".")
        elif text[position : position + 1] != "{":
            raise malformed(text, 'Array value must start with "{" or dimension information.')
        reader = _Reader(text, position + 1, self.delimiter)
        reader.read_level(0)
        if text[reader.position :].strip(_SPACE):
            raise malformed(text, "Junk after closing right brace.")
        dims = tuple(reader.dims) if reader.values else ()
        if explicit:
            if tuple(size for _, size in explicit) != dims:
                raise malformed(text, "Specified array dimensions do not match array contents.")
            lower_bounds = tuple(lower for lower, _ in explicit)
        else:
            lower_bounds = (1,) * len(dims)
        check_size(dims)
        read = codec_for(self.element_type).input
        elements = tuple(None if item is None else read(item, typmod, ctx) for item in reader.values)
        return Array(self.element_type, dims, lower_bounds, elements)

    def output(self, value: Any) -> str:
        return array_text(value, self.delimiter)

    def receive(self, data: Buffer, typmod: int = -1) -> Array:
        return _receive(data, self.element_type, typmod)

    def send(self, value: Any) -> bytes:
        ndim = len(value.dims)
        send = codec_for(value.element_type).send
        parts = [struct.pack(">iiI", ndim, int(None in value.elements), value.element_type)]
        parts += [struct.pack(">ii", dim, bound) for dim, bound in zip(value.dims, value.lower_bounds, strict=True)]
        for element in value.elements:
            if element is None:
                parts.append(b"\xff\xff\xff\xff")
            else:
                payload = send(element)
                parts.append(len(payload).to_bytes(4, "big"))
                parts.append(payload)
        return b"".join(parts)


class AnyArrayCodec(ArrayCodec):
    """An array of any type, as pg_statistic holds them: the element type stands in the value."""

    __slots__ = ()

    def from_disk(self, data: Buffer) -> Array:
        element_type = int.from_bytes(bytes(data[8:12]), "little")
        return array_from_disk(data, codec_for(element_type))

    def input(self, text: str, typmod: int = -1, ctx: CallContext | None = None) -> Array:
        raise SqlError(errcode.FEATURE_NOT_SUPPORTED, "cannot accept a value of type anyarray")

    def receive(self, data: Buffer, typmod: int = -1) -> Array:
        raise SqlError(errcode.FEATURE_NOT_SUPPORTED, "cannot accept a value of type anyarray")


def _receive(data: Buffer, element_type: int, typmod: int) -> Array:
    def insufficient() -> SqlError:
        return SqlError(errcode.PROTOCOL_VIOLATION, "insufficient data left in message")

    if len(data) < 12:
        raise insufficient()
    ndim, flags, sent_type = struct.unpack_from(">iiI", data)
    if ndim < 0:
        raise SqlError(errcode.INVALID_BINARY_REPRESENTATION, f"invalid number of dimensions: {ndim}")
    if ndim > MAXDIM:
        raise too_many_dimensions(ndim)
    if flags not in (0, 1):
        raise SqlError(errcode.INVALID_BINARY_REPRESENTATION, "invalid array flags")
    if sent_type != element_type:
        raise SqlError(
            errcode.DATATYPE_MISMATCH,
            f"binary data has array element type {sent_type} ({_type_name(sent_type)})"
            f" instead of expected {element_type} ({_type_name(element_type)})",
        )
    position = 12 + 8 * ndim
    if len(data) < position:
        raise insufficient()
    pairs = struct.unpack_from(f">{2 * ndim}i", data, 12)
    dims, lower_bounds = pairs[::2], pairs[1::2]
    count = check_size(dims) if ndim else 0
    if count == 0:
        return Array(element_type, (), (), ())
    receive = codec_for(element_type).receive
    elements: list[Any] = []
    for _ in range(count):
        size = int.from_bytes(data[position : position + 4], "big", signed=True)
        if len(data) < position + 4 or size < -1 or size > len(data) - position - 4:
            raise insufficient()
        position += 4
        if size < 0:
            elements.append(None)
        else:
            elements.append(receive(data[position : position + size], typmod))
            position += size
    return Array(element_type, dims, lower_bounds, tuple(elements))


def _type_name(oid: int) -> str:
    info = services.type_info(oid)
    return info.typname if info else "???"


def quote_element(text: str, delimiter: str) -> str:
    """Text form of an element inside an array, quoted where needed."""
    if text and not any(c in '{}"\\ \t\n\r\v\f' or c == delimiter for c in text) and text.upper() != "NULL":
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def array_text(value: Array, delimiter: str = ",") -> str:
    """Text form, with explicit dimensions when a lower bound is not 1."""
    if not value.elements:
        return "{}"
    output = codec_for(value.element_type).output
    items = ["NULL" if v is None else quote_element(output(v), delimiter) for v in value.elements]
    for dim in reversed(value.dims):
        items = ["{" + delimiter.join(items[i : i + dim]) + "}" for i in range(0, len(items), dim)]
    prefix = ""
    if any(bound != 1 for bound in value.lower_bounds):
        bounds = zip(value.dims, value.lower_bounds, strict=True)
        prefix = "".join(f"[{lower}:{lower + dim - 1}]" for dim, lower in bounds) + "="
    return prefix + items[0]


class VectorCodec(ArrayCodec):
    """int2vector and oidvector: one dimension from subscript 0, no nulls, items separated by spaces."""

    __slots__ = ()

    def from_disk(self, data: Buffer) -> Array:
        count, lower = struct.unpack_from("<ii", data, 12)
        letter = "h" if self.element_type == 21 else "I"
        return Array(self.element_type, (count,), (lower,), struct.unpack_from(f"<{count}{letter}", data, 20))

    def to_disk(self, value: Any) -> bytes:
        letter = "h" if self.element_type == 21 else "I"
        count = len(value.elements)
        return struct.pack(f"<iiIii{count}{letter}", 1, 0, self.element_type, count, 0, *value.elements)

    def input(self, text: str, typmod: int = -1, ctx: CallContext | None = None) -> Array:
        words = text.split()
        if self.element_type == 21:
            numbers = tuple(parse_int(word, 2) for word in words)
        else:
            numbers = tuple(parse_unsigned(word, 32, "oid") for word in words)
        return vector(self.element_type, numbers)

    def output(self, value: Any) -> str:
        return " ".join(map(str, value.elements))

    def receive(self, data: Buffer, typmod: int = -1) -> Array:
        value = _receive(data, self.element_type, -1)
        if len(value.dims) > 1 or None in value.elements or (value.dims and value.lower_bounds != (0,)):
            raise SqlError(errcode.INVALID_BINARY_REPRESENTATION, f"invalid {self.name} data")
        return vector(self.element_type, value.elements)


def vector(element_type: int, numbers: tuple[int, ...]) -> Array:
    """An int2vector (element type 21) or oidvector (26)."""
    return Array(element_type, (len(numbers),), (0,), numbers)


register_codec(VectorCodec, INT2VECTOROID, OIDVECTOROID)


def _array_factory(info: TypeInfo) -> Codec | None:
    return ArrayCodec(info) if info.is_array else None


register_codec_factory(_array_factory)
register_codec(AnyArrayCodec, 2277)


@function("array_in", context=True)
def _array_in(ctx: CallContext, text: str, element_type: int, typmod: int) -> Array:
    info = services.type_info(element_type)
    if info is None:
        raise SqlError(errcode.UNDEFINED_OBJECT, f"cache lookup failed for type {element_type}")
    array: Array = codec_for(info.typarray).input(text, typmod, ctx)
    return array


@function("array_out", "anyarray_out", "anycompatiblearray_out")
def _array_out(value: Array) -> str:
    info = services.type_info(value.element_type)
    return array_text(value, info.typdelim if info else ",")


@function("array_recv")
def _array_recv(data: Buffer, element_type: int, typmod: int) -> Array:
    return _receive(data, element_type, typmod)


@function("array_send", "anyarray_send", "anycompatiblearray_send")
def _array_send(value: Array) -> bytes:
    info = services.type_info(value.element_type)
    assert info is not None
    return codec_for(info.typarray).send(value)


def _vector_compare(left: Array, right: Array) -> int:
    difference = len(left.elements) - len(right.elements)
    if difference:
        return difference
    return (left.elements > right.elements) - (left.elements < right.elements)


function("btoidvectorcmp")(_vector_compare)
function("oidvectoreq")(lambda a, b: _vector_compare(a, b) == 0)
function("oidvectorne")(lambda a, b: _vector_compare(a, b) != 0)
function("oidvectorlt")(lambda a, b: _vector_compare(a, b) < 0)
function("oidvectorle")(lambda a, b: _vector_compare(a, b) <= 0)
function("oidvectorgt")(lambda a, b: _vector_compare(a, b) > 0)
function("oidvectorge")(lambda a, b: _vector_compare(a, b) >= 0)
