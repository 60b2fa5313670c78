"""Codecs: how the values of a type look on disk, as text and in the binary protocol.

`codec_for(type_oid)` is the one entry. A codec's ``from_disk``/``to_disk`` see the payload of a varlena (no header, not
compressed, not external) or the exact bytes of a fixed-width value. Families of types that exist once for every user
type (arrays, enums, domains, composites) register a factory; everything else registers its one instance.
"""

from collections.abc import Callable, Iterable
from typing import Any

from tusk.errors import SqlError, errcode, feature_not_supported
from tusk.types.registry import CallContext, TypeInfo, builtin_types, function, load_builtins, services

Buffer = bytes | bytearray | memoryview


class Codec:
    """Formats of one type. Subclasses override all six conversions."""

    __slots__ = ("name", "typalign", "typbyval", "type_oid", "typlen")

    def __init__(self, info: TypeInfo) -> None:
        self.type_oid = info.oid
        self.name = info.typname
        self.typlen = info.typlen
        self.typbyval = info.typbyval
        self.typalign = info.typalign

    def from_disk(self, data: Buffer) -> Any:
        """Value of the on-disk payload."""
        raise NotImplementedError

    def to_disk(self, value: Any) -> bytes:
        """On-disk payload of the value, without varlena header."""
        raise NotImplementedError

    def input(self, text: str, typmod: int = -1, ctx: CallContext | None = None) -> Any:
        """Value of the text form; applies the typmod."""
        raise NotImplementedError

    def output(self, value: Any) -> str:
        """Text form, as the session's settings want it."""
        raise NotImplementedError

    def receive(self, data: Buffer, typmod: int = -1) -> Any:
        """Value of the binary protocol form; 22P03 when malformed."""
        raise NotImplementedError

    def send(self, value: Any) -> bytes:
        """Binary protocol form."""
        raise NotImplementedError


_codecs: dict[int, Codec] = {}
_user_codecs: dict[int, Codec] = {}
_factories: list[Callable[[TypeInfo], Codec | None]] = []


def register_codec(kind: Callable[[TypeInfo], Codec], *type_oids: int) -> None:
    """Use codecs of this class for built-in types."""
    for oid in type_oids:
        _codecs[oid] = kind(builtin_types()[oid])


def register_codec_factory(factory: Callable[[TypeInfo], Codec | None]) -> None:
    """Ask ``factory`` for a codec of any type that has none of its own; it returns None for types not its business."""
    _factories.append(factory)


def codec_for(type_oid: int) -> Codec:
    """The codec of a type; 0A000 when the type is not built yet."""
    codec = _codecs.get(type_oid) or _user_codecs.get(type_oid)
    return codec if codec is not None else _make_codec(type_oid)


def forget_user_codecs() -> None:
    """Drop what was cached about types that are not built in; called when pg_type changes."""
    _user_codecs.clear()


def _make_codec(type_oid: int) -> Codec:
    load_builtins()
    codec = _codecs.get(type_oid)
    if codec is not None:
        return codec
    info = services.type_info(type_oid)
    if info is None:
        raise SqlError(errcode.UNDEFINED_OBJECT, f"cache lookup failed for type {type_oid}")
    for factory in _factories:
        codec = factory(info)
        if codec is not None:
            _user_codecs[type_oid] = codec
            return codec
    raise feature_not_supported(f"type {info.typname}")


def invalid_binary(type_name: str) -> SqlError:
    """22P03: the binary form has a wrong length."""
    return SqlError(errcode.INVALID_BINARY_REPRESENTATION, f"incorrect binary data format for type {type_name}")


def short_message() -> SqlError:
    """08P01: the binary form ends too early."""
    return SqlError(errcode.PROTOCOL_VIOLATION, "insufficient data left in message")


class TextBacked(Codec):
    """Base of types whose binary form is their text in the client encoding and whose payload is the text itself."""

    __slots__ = ()

    def from_disk(self, data: Buffer) -> Any:
        return str(data, "utf-8", "surrogateescape")

    def to_disk(self, value: Any) -> bytes:
        return str.encode(value, "utf-8", "surrogateescape")

    def input(self, text: str, typmod: int = -1, ctx: CallContext | None = None) -> Any:
        return text

    def output(self, value: Any) -> str:
        text: str = value
        return text

    def receive(self, data: Buffer, typmod: int = -1) -> Any:
        return self.input(decode_text(data), typmod)

    def send(self, value: Any) -> bytes:
        return self.output(value).encode("utf-8", "surrogateescape")


def decode_text(data: Buffer) -> str:
    """Text of bytes that a client sent; 22021 when they are not valid in the encoding."""
    try:
        text = str(data, "utf-8")
    except UnicodeDecodeError as error:
        raise invalid_encoding(bytes(data), error.start) from error
    if "\0" in text:
        raise invalid_encoding(bytes(data), bytes(data).index(0))
    return text


_UTF8_LENGTHS = ((0x80, 1), (0xC0, 1), (0xE0, 2), (0xF0, 3), (0xF8, 4))


def invalid_encoding(data: bytes, start: int, encoding: str = "UTF8") -> SqlError:
    """22021 showing the bytes of the bad character as PostgreSQL does: as many as its first byte announces."""
    lead = data[start]
    length = next((n for limit, n in _UTF8_LENGTHS if lead < limit), 1)
    shown = " ".join(f"0x{byte:02x}" for byte in data[start : start + length])
    return SqlError(
        errcode.CHARACTER_NOT_IN_REPERTOIRE, f'invalid byte sequence for encoding "{encoding}": {shown}'
    )


def register_io_functions(type_oids: Iterable[int] | None = None) -> None:
    """Register input, output, receive and send functions of built-in types under their prosrc names."""
    chosen = builtin_types() if type_oids is None else {oid: builtin_types()[oid] for oid in type_oids}
    for oid, info in chosen.items():
        codec = _codecs.get(oid)
        if codec is not None:
            _register_io(info, codec)


def _register_io(info: TypeInfo, codec: Codec) -> None:
    def type_input(ctx: CallContext, text: str, type_oid: int = 0, typmod: int = -1) -> Any:
        return codec.input(text, typmod, ctx)

    def type_receive(data: Buffer, type_oid: int = 0, typmod: int = -1) -> Any:
        return codec.receive(data, typmod)

    function(info.typinput, context=True)(type_input)
    function(info.typoutput)(codec.output)
    if info.typreceive:
        function(info.typreceive)(type_receive)
        function(info.typsend)(codec.send)


def input_value(type_oid: int, text: str, typmod: int = -1, ctx: CallContext | None = None) -> Any:
    """Value of a type's text form."""
    return codec_for(type_oid).input(text, typmod, ctx)


def output_value(type_oid: int, value: Any) -> str:
    """Text form of a value."""
    return codec_for(type_oid).output(value)
