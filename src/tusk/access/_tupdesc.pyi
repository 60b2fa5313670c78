"""Row types."""

from collections.abc import Iterable
from typing import Any

class TupleDesc:
    natts: int
    tdtypeid: int
    tdtypmod: int
    names: tuple[str, ...]
    constr: Any
    def __init__(self, rows: Iterable[Any], typeid: int = ..., typmod: int = ...) -> None: ...
    def __len__(self) -> int: ...
    def set_missing(self, attnum: int, value: int | bytes | None) -> int: ...
    def attribute(self, attnum: int) -> dict[str, Any]: ...
    def attnum_of(self, name: str) -> int: ...

class AttributeRow:
    attname: str
    atttypid: int
    attlen: int
    attbyval: bool
    attalign: str
    attstorage: str
    atttypmod: int
    attcollation: int
    attndims: int
    attcompression: str
    attnotnull: bool
    attisdropped: bool
    atthasmissing: bool
    atthasdef: bool
    attgenerated: str
    attidentity: str
    def __init__(
        self,
        attname: str,
        atttypid: int,
        attlen: int,
        attbyval: bool,
        attalign: str,
        attstorage: str = ...,
        atttypmod: int = ...,
        attcollation: int = ...,
        attndims: int = ...,
        attcompression: str = ...,
        attnotnull: bool = ...,
        attisdropped: bool = ...,
        atthasmissing: bool = ...,
        atthasdef: bool = ...,
        attgenerated: str = ...,
        attidentity: str = ...,
    ) -> None: ...

def make_tupdesc(rows: Iterable[Any], typeid: int = ..., typmod: int = ...) -> TupleDesc: ...
