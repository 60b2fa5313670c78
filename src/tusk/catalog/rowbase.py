"""What all catalog row classes share: construction, copying, comparison, and ACL items."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, NamedTuple, TypeVar

Self = TypeVar("Self", bound="Row")


class AclItem(NamedTuple):
    """One grant: role OIDs (grantee 0 is PUBLIC), privilege bits low, their grant options 32 bits higher."""

    grantee: int
    grantor: int
    privileges: int


class Row:
    """A catalog row; subclasses list the columns in ``__slots__``, in attribute order.

    ``t_self`` is where the row was read, (block, offset), or None for a row that is not stored or is a built-in
    fact. ``t_xmin`` and ``t_infomask2_keys`` are not kept: who needs the header reads the tuple.
    A row that came out of a cache is shared: take a ``copy()`` before changing it.
    """

    __slots__ = ("t_self",)
    catalog_name: ClassVar[str]
    catalog_oid: ClassVar[int]
    t_self: tuple[int, int] | None

    def __init__(self, **columns: Any) -> None:
        self.t_self = None
        for name in self.__slots__:
            setattr(self, name, columns.pop(name, None))
        if columns:
            raise TypeError(f"{self.catalog_name} has no column {', '.join(columns)}")

    @classmethod
    def from_values(cls: type[Self], values: Sequence[Any]) -> Self:
        """A row from its columns' values in attribute order."""
        row = cls.__new__(cls)
        row.t_self = None
        for name, value in zip(cls.__slots__, values, strict=True):
            setattr(row, name, value)
        return row

    def values(self) -> list[Any]:
        """The columns' values in attribute order."""
        return [getattr(self, name) for name in self.__slots__]

    def copy(self: Self, **changes: Any) -> Self:
        """A private copy with some columns changed; it still knows where the original is stored."""
        row = self.from_values(self.values())
        row.t_self = self.t_self
        for name, value in changes.items():
            setattr(row, name, value)
        return row

    def key(self, names: Iterable[str]) -> tuple[Any, ...]:
        """The values of some columns."""
        return tuple(getattr(self, name) for name in names)

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and self.values() == other.values()

    __hash__ = object.__hash__

    def __repr__(self) -> str:
        columns = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.__slots__)
        return f"{type(self).__name__}({columns})"
