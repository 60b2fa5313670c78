"""inet and cidr: formats, comparison, parts of addresses."""

import importlib
import operator
import struct
from collections.abc import Callable
from typing import Any

from tusk.errors import SqlError, errcode
from tusk.types.codec import Buffer, Codec, register_codec
from tusk.types.hashing import hash_bytes, hash_bytes_extended
from tusk.types.registry import CallContext, TypeInfo, function, services
from tusk.types.values import Inet

INETOID, CIDROID = 869, 650
_FAMILY_4, _FAMILY_6 = 2, 3


def _parse_v4(text: str, cidr: bool) -> tuple[bytes, int | None]:
    """Address, and the mask length that a shortened network implies."""
    parts = text.split(".")
    if not 1 <= len(parts) <= 4 or not all(p.isdigit() and p.isascii() and len(p) <= 3 for p in parts):
        raise ValueError
    if len(parts) != 4 and not cidr:
        raise ValueError
    numbers = [int(part) for part in parts]
    if any(number > 255 for number in numbers):
        raise ValueError
    implied = None
    if cidr and len(parts) < 4:
        first = numbers[0]
        by_class = 32 if first >= 240 else 8 if first >= 224 else 24 if first >= 192 else 16 if first >= 128 else 8
        implied = max(by_class, 8 * len(parts))
    elif cidr:
        implied = 32
    return bytes(numbers + [0] * (4 - len(parts))), implied


def _parse_v6(text: str) -> bytes:
    socket = importlib.import_module("socket")
    try:
        packed: bytes = socket.inet_pton(socket.AF_INET6, text)
        return packed
    except OSError as error:
        raise ValueError from error


def parse_inet(text: str, cidr: bool) -> Inet:
    """Value of the text form."""
    name = "cidr" if cidr else "inet"
    body, slash, mask = text.partition("/")
    try:
        if ":" in body:
            address, implied = _parse_v6(body), None
        else:
            address, implied = _parse_v4(body, cidr and not slash)
            if cidr and slash:
                address, _ = _parse_v4(body, True)
        bits = len(address) * 8
        if slash:
            if not (mask.isdigit() and mask.isascii()) or int(mask) > bits:
                raise ValueError
            masklen = int(mask)
        else:
            masklen = bits if implied is None else implied
    except ValueError as error:
        raise SqlError(
            errcode.INVALID_TEXT_REPRESENTATION, f'invalid input syntax for type {name}: "{text}"'
        ) from error
    value = Inet(address, masklen, cidr)
    if cidr and _host_bits(value):
        raise SqlError(
            errcode.INVALID_TEXT_REPRESENTATION,
            f'invalid cidr value: "{text}"',
            detail="Value has bits set to right of mask.",
        )
    return value


def _number(value: Inet) -> int:
    return int.from_bytes(value.address, "big")


def _size(value: Inet) -> int:
    return len(value.address) * 8


def _mask(bits: int, masklen: int) -> int:
    return (1 << bits) - (1 << bits - masklen)


def _host_bits(value: Inet) -> int:
    return _number(value) & ~_mask(_size(value), value.masklen)


def _with_number(value: Inet, number: int, masklen: int | None = None, cidr: bool = False) -> Inet:
    return Inet(number.to_bytes(len(value.address), "big"), value.masklen if masklen is None else masklen, cidr)


def address_text(address: bytes) -> str:
    """The bare address."""
    if len(address) == 4:
        return ".".join(map(str, address))
    # Imported here since hardly any session needs it.
    socket = importlib.import_module("socket")
    return str(socket.inet_ntop(socket.AF_INET6, address))


def inet_text(value: Inet) -> str:
    """Text form: a host of inet goes without mask."""
    text = address_text(value.address)
    return text if not value.cidr and value.masklen == _size(value) else f"{text}/{value.masklen}"


class InetCodec(Codec):
    """Family, mask length and 4 or 16 address bytes."""

    __slots__ = ("_cidr",)

    def __init__(self, info: TypeInfo) -> None:
        super().__init__(info)
        self._cidr = info.oid == CIDROID

    def from_disk(self, data: Buffer) -> Inet:
        nbytes = 4 if data[0] == _FAMILY_4 else 16
        return Inet(bytes(data[2 : 2 + nbytes]), data[1], self._cidr)

    def to_disk(self, value: Any) -> bytes:
        family = _FAMILY_4 if len(value.address) == 4 else _FAMILY_6
        return struct.pack("BB", family, value.masklen) + bytes(value.address)

    def input(self, text: str, typmod: int = -1, ctx: CallContext | None = None) -> Inet:
        return parse_inet(text, self._cidr)

    def output(self, value: Any) -> str:
        text = inet_text(value)
        return text if not self._cidr or "/" in text else f"{text}/{value.masklen}"

    def receive(self, data: Buffer, typmod: int = -1) -> Inet:
        def invalid(what: str) -> SqlError:
            return SqlError(errcode.INVALID_BINARY_REPRESENTATION, f'invalid {what} in external "{self.name}" value')

        if len(data) < 4:
            raise SqlError(errcode.PROTOCOL_VIOLATION, "insufficient data left in message")
        family, masklen, _, nbytes = struct.unpack_from("BBBB", data)
        if family not in (_FAMILY_4, _FAMILY_6):
            raise invalid("address family")
        if masklen > (32 if family == _FAMILY_4 else 128):
            raise invalid("bits")
        if nbytes != (4 if family == _FAMILY_4 else 16) or len(data) != 4 + nbytes:
            raise invalid("length")
        value = Inet(bytes(data[4:]), masklen, self._cidr)
        if self._cidr and _host_bits(value):
            raise SqlError(
                errcode.INVALID_BINARY_REPRESENTATION,
                'invalid external "cidr" value',
                detail="Value has bits set to right of mask.",
            )
        return value

    def send(self, value: Any) -> bytes:
        family = _FAMILY_4 if len(value.address) == 4 else _FAMILY_6
        return struct.pack("BBBB", family, value.masklen, self._cidr, len(value.address)) + bytes(value.address)


register_codec(InetCodec, INETOID, CIDROID)


@function("network_cmp")
def network_compare(left: Inet, right: Inet) -> int:
    """Three-way comparison: family, common network bits, mask length, all bits."""
    if len(left.address) != len(right.address):
        return -1 if len(left.address) < len(right.address) else 1
    common = min(left.masklen, right.masklen)
    shift = _size(left) - common
    for a, b in (
        (_number(left) >> shift, _number(right) >> shift),
        (left.masklen, right.masklen),
        (_number(left), _number(right)),
    ):
        if a != b:
            return -1 if a < b else 1
    return 0


for _name in ("eq", "ne", "lt", "le", "gt", "ge"):
    _operation = getattr(operator, _name)
    function("network_" + _name)(lambda a, b, test=_operation: test(network_compare(a, b), 0))
function("network_larger")(lambda a, b: a if network_compare(a, b) > 0 else b)
function("network_smaller")(lambda a, b: a if network_compare(a, b) < 0 else b)


def _contains(outer: Inet, inner: Inet, strict: bool) -> bool:
    if len(outer.address) != len(inner.address) or outer.masklen > inner.masklen:
        return False
    if strict and outer.masklen == inner.masklen:
        return False
    shift = _size(outer) - outer.masklen
    return _number(outer) >> shift == _number(inner) >> shift


function("network_sub")(lambda a, b: _contains(b, a, True))
function("network_subeq")(lambda a, b: _contains(b, a, False))
function("network_sup")(lambda a, b: _contains(a, b, True))
function("network_supeq")(lambda a, b: _contains(a, b, False))
function("network_overlap")(lambda a, b: _contains(a, b, False) or _contains(b, a, False))
function("network_host")(lambda value: address_text(value.address))
function("network_show")(lambda value: f"{address_text(value.address)}/{value.masklen}")
function("network_masklen")(lambda value: value.masklen)
function("network_family")(lambda value: 4 if len(value.address) == 4 else 6)
function("inet_same_family")(lambda a, b: len(a.address) == len(b.address))
function("inet_abbrev")(inet_text)
function("inet_to_cidr")(lambda value: _with_number(value, _number(value) - _host_bits(value), None, True))
function("network_network")(lambda value: _with_number(value, _number(value) - _host_bits(value), None, True))
function("network_broadcast")(
    lambda value: _with_number(
        value, _number(value) | _mask(_size(value), _size(value)) ^ _mask(_size(value), value.masklen)
    )
)
function("network_netmask")(lambda value: _with_number(value, _mask(_size(value), value.masklen), _size(value)))
function("network_hostmask")(
    lambda value: _with_number(value, (1 << _size(value)) - 1 - _mask(_size(value), value.masklen), _size(value))
)


@function("cidr_abbrev")
def _cidr_abbrev(value: Inet) -> str:
    if len(value.address) == 16:
        return inet_text(value._replace(cidr=True))
    shown = max((value.masklen + 7) // 8, 1)
    return ".".join(map(str, value.address[:shown])) + f"/{value.masklen}"


def _checked_masklen(value: Inet, masklen: int) -> int:
    if masklen == -1:
        return _size(value)
    if not 0 <= masklen <= _size(value):
        raise SqlError(errcode.INVALID_PARAMETER_VALUE, f"invalid mask length: {masklen}")
    return masklen


@function("inet_set_masklen")
def _set_masklen(value: Inet, masklen: int) -> Inet:
    return value._replace(masklen=_checked_masklen(value, masklen))


@function("cidr_set_masklen")
def _cidr_set_masklen(value: Inet, masklen: int) -> Inet:
    masklen = _checked_masklen(value, masklen)
    return _with_number(value, _number(value) & _mask(_size(value), masklen), masklen, True)


@function("inet_merge")
def _merge(left: Inet, right: Inet) -> Inet:
    if len(left.address) != len(right.address):
        raise SqlError(errcode.INVALID_PARAMETER_VALUE, "cannot merge addresses from different families")
    bits = _size(left)
    common = min(left.masklen, right.masklen, bits - (_number(left) ^ _number(right)).bit_length())
    return _with_number(left, _number(left) & _mask(bits, common), common, True)


def _bitwise(name: str, operation: Callable[[int, int], int]) -> Callable[[Inet, Inet], Inet]:
    def apply(left: Inet, right: Inet) -> Inet:
        if len(left.address) != len(right.address):
            raise SqlError(errcode.INVALID_PARAMETER_VALUE, f"cannot {name} inet values of different sizes")
        return _with_number(left, operation(_number(left), _number(right)), max(left.masklen, right.masklen))

    return apply


function("inetand")(_bitwise("AND", operator.and_))
function("inetor")(_bitwise("OR", operator.or_))
function("inetnot")(lambda value: _with_number(value, _number(value) ^ (1 << _size(value)) - 1))


def _shifted(value: Inet, offset: int) -> Inet:
    number = _number(value) + offset
    if not 0 <= number < 1 << _size(value):
        raise SqlError(errcode.NUMERIC_VALUE_OUT_OF_RANGE, "result is out of range")
    return _with_number(value, number)


function("inetpl")(_shifted)
function("inetmi_int8")(lambda value, offset: _shifted(value, -offset))


@function("inetmi")
def _difference(left: Inet, right: Inet) -> int:
    if len(left.address) != len(right.address):
        raise SqlError(errcode.INVALID_PARAMETER_VALUE, "cannot subtract inet values of different sizes")
    result = _number(left) - _number(right)
    if not -(1 << 63) <= result < 1 << 63:
        raise SqlError(errcode.NUMERIC_VALUE_OUT_OF_RANGE, "result is out of range")
    return result


def _hash_data(value: Inet) -> bytes:
    family = _FAMILY_4 if len(value.address) == 4 else _FAMILY_6
    return bytes((family, value.masklen)) + value.address


@function("hashinet")
def _hash(value: Inet) -> int:
    result = hash_bytes(_hash_data(value))
    return result - (1 << 32) if result >> 31 else result


@function("hashinetextended")
def _hash_extended(value: Inet, seed: int) -> int:
    result = hash_bytes_extended(_hash_data(value), seed)
    return result - (1 << 64) if result >> 63 else result


for _name in ("inet_client_addr", "inet_client_port", "inet_server_addr", "inet_server_port"):
    function(_name)(lambda name=_name: services.call(name))
