"""Taking many tuples apart by column."""

from tusk.access._tupdesc import TupleDesc
from tusk.access._tuple import RawDatum

def deform_tuples(desc: TupleDesc, tuples: list[bytes], attnums: list[int]) -> list[list[RawDatum]]: ...
