"""Python values of the SQL types that have no Python type of their own.

This module imports nothing of the project: layers below `types` that meet arrays, ACL items or records may use it.
The full table of which SQL type is which Python value stands in docs/interfaces.md.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple


class Interval(NamedTuple):
    """A span of time in its three independent parts. Infinite ones have all parts at the extreme (as on disk)."""

    months: int
    days: int
    us: int


class TimeTz(NamedTuple):
    """A time of day with its zone, in seconds west of Greenwich (as on disk)."""

    us: int
    zone_seconds_west: int


class Tid(NamedTuple):
    """A tuple's place: block number from 0, offset number from 1."""

    block: int
    offset: int


class AclItem(NamedTuple):
    """One entry of an access control list; the upper 32 bits of ``privileges`` are the grant options."""

    grantee: int
    grantor: int
    privileges: int


class BitString(NamedTuple):
    """``nbits`` bits, the first one the most significant of the first byte; spare bits are zero."""

    nbits: int
    data: bytes


class Inet(NamedTuple):
    """An address (4 or 16 bytes) with its network mask length; ``cidr`` tells the type the text form is of."""

    address: bytes
    masklen: int
    cidr: bool = False


class Array:
    """An array of any dimension; no dimensions means empty. ``elements`` is flat, in row-major order."""

    __slots__ = ("dims", "element_type", "elements", "lower_bounds")

    def __init__(
        self, element_type: int, dims: tuple[int, ...], lower_bounds: tuple[int, ...], elements: tuple[Any, ...]
    ) -> None:
        self.element_type = element_type
        self.dims = dims
        self.lower_bounds = lower_bounds
        self.elements = elements

    @classmethod
    def of(cls, element_type: int, elements: Iterable[Any]) -> "Array":
        """A one-dimensional array from subscript 1; the empty array if there are no elements."""
        flat = tuple(elements)
        return cls(element_type, (len(flat),), (1,), flat) if flat else cls(element_type, (), (), ())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Array) and (
            (self.dims, self.lower_bounds, self.elements) == (other.dims, other.lower_bounds, other.elements)
        )

    def __hash__(self) -> int:
        return hash((self.dims, self.lower_bounds, self.elements))

    def __iter__(self) -> Iterator[Any]:
        return iter(self.elements)

    def __len__(self) -> int:
        return len(self.elements)

    def __repr__(self) -> str:
        return f"Array({self.element_type}, {self.dims}, {self.lower_bounds}, {self.elements})"


class Record:
    """A row value. ``type_oid`` 2249 with a typmod names a row type blessed by `registry.bless_record`."""

    __slots__ = ("type_oid", "typmod", "values")

    def __init__(self, type_oid: int, typmod: int, values: tuple[Any, ...]) -> None:
        self.type_oid = type_oid
        self.typmod = typmod
        self.values = values

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Record) and self.values == other.values

    def __hash__(self) -> int:
        return hash(self.values)

    def __repr__(self) -> str:
        return f"Record({self.type_oid}, {self.typmod}, {self.values})"


_encode_jsonb: Callable[[Any], bytes] | None = None
_decode_jsonb: Callable[[bytes], Any] | None = None


def set_jsonb_format(encode: Callable[[Any], bytes], decode: Callable[[bytes], Any]) -> None:
    """Install the on-disk format; done by `jsonb_format` when it is imported."""
    global _encode_jsonb, _decode_jsonb
    _encode_jsonb, _decode_jsonb = encode, decode


class Jsonb:
    """A jsonb value: the on-disk bytes (without varlena header), the parsed tree, or both, made on demand.

    The tree consists of None, bool, Decimal, str, list and dict; dict keys are in jsonb's order (length, then bytes).
    """

    __slots__ = ("_data", "_tree")
    _missing = object()

    def __init__(self, data: bytes | None = None, tree: Any = _missing) -> None:
        self._data = data
        self._tree = tree

    @property
    def data(self) -> bytes:
        """The on-disk bytes."""
        if self._data is None:
            assert _encode_jsonb is not None
            self._data = _encode_jsonb(self._tree)
        return self._data

    @property
    def tree(self) -> Any:
        """The parsed value; never change it in place."""
        if self._tree is Jsonb._missing:
            assert _decode_jsonb is not None and self._data is not None
            self._tree = _decode_jsonb(self._data)
        return self._tree

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Jsonb) and self.data == other.data

    def __hash__(self) -> int:
        return hash(self.data)

    def __repr__(self) -> str:
        return f"Jsonb({self.tree!r})"
