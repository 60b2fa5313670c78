"""Imports every module that runs a plan node, so that they register."""

from tusk.sql.execute import (
    _append,
    _hashjoin,
    _limit,
    _material,
    _mergejoin,
    _nestloop,
    _result,
    _seqscan,
    _sort,
    _subquery_scan,
    _values,
)

__all__ = [
    "_append",
    "_hashjoin",
    "_limit",
    "_material",
    "_mergejoin",
    "_nestloop",
    "_result",
    "_seqscan",
    "_sort",
    "_subquery_scan",
    "_values",
]
