"""Imports every module that runs a plan node, so that they register."""

from tusk.sql.execute import (
    _append,
    _bitmap,
    _bitmap_heap,
    _hashjoin,
    _index_only_scan,
    _indexscan,
    _limit,
    _material,
    _mergejoin,
    _nestloop,
    _result,
    _seqscan,
    _sort,
    _subquery_scan,
    _tidscan,
    _values,
)

__all__ = [
    "_append",
    "_bitmap",
    "_bitmap_heap",
    "_hashjoin",
    "_index_only_scan",
    "_indexscan",
    "_limit",
    "_material",
    "_mergejoin",
    "_nestloop",
    "_result",
    "_seqscan",
    "_sort",
    "_subquery_scan",
    "_tidscan",
    "_values",
]
