"""Imports every module that runs a plan node, so that they register."""

from tusk.sql.execute import _result, _values

__all__ = ["_result", "_values"]
