"""What the executor asks of others: filled by the modules that provide it, when they are imported."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tusk.catalog import _relcache
from tusk.errors import feature_not_supported


def _no_function(row: Any, *_arguments: Any) -> Any:
    raise feature_not_supported(f"function {row.proname} in language {row.prolang}")


def _no_sequence(oid: int) -> int:
    raise feature_not_supported("nextval")


_hooks: dict[str, Callable[..., Any]] = {
    # procedure(pg_proc row, argument types, result type, collation, estate) -> callable over Python values
    "procedure": _no_function,
    # procedure_set(...) -> callable that returns an iterable of values or tuples
    "procedure_set": _no_function,
    "sequence_nextval": _no_sequence,
}


def set_hook(name: str, provider: Callable[..., Any]) -> None:
    """Install a provider."""
    assert name in _hooks, name
    _hooks[name] = provider


def call(name: str, *arguments: Any) -> Any:
    """Call a hook."""
    return _hooks[name](*arguments)


def open_relation(oid: int, lockmode: int = 1) -> Any:
    """An open relation."""
    return _relcache.relation_open(oid, lockmode)


def close_relation(relation: Any) -> None:
    """Give it back; its lock stays until the end of the transaction."""
    _relcache.relation_close(relation, 0)


def procedure(row: Any, argument_types: tuple[int, ...], result_type: int, collation: int, estate: Any) -> Any:
    """A callable for a function in SQL or another language."""
    return _hooks["procedure"](row, argument_types, result_type, collation, estate)


def procedure_set(row: Any, argument_types: tuple[int, ...], result_type: int, collation: int, estate: Any) -> Any:
    """The same for a set-returning one."""
    return _hooks["procedure_set"](row, argument_types, result_type, collation, estate)


def sequence_nextval(oid: int) -> int:
    """The next value of a sequence."""
    value: int = _hooks["sequence_nextval"](oid)
    return value
