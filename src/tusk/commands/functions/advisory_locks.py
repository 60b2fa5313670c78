"""pg_advisory_lock() and its kin: locks whose meaning is the application's."""

from __future__ import annotations

from tusk.catalog.session import session
from tusk.transaction import _lock
from tusk.types.registry import function

_ADVISORY, _USER_METHOD = 10, 2
_SHARE, _EXCLUSIVE = 5, 7
_MASK = 0xFFFFFFFF

Tag = tuple[int, int, int, int, int, int]


def _tag8(key: int) -> Tag:
    return (session.database_id, (key >> 32) & _MASK, key & _MASK, 1, _ADVISORY, _USER_METHOD)


def _tag4(first: int, second: int) -> Tag:
    return (session.database_id, first & _MASK, second & _MASK, 2, _ADVISORY, _USER_METHOD)


def _define(infix: str, mode: int, is_session: bool) -> None:
    """Waiting and non-waiting acquisition with either kind of key."""
    suffix = "_shared" if mode == _SHARE else ""
    name = f"advisory_{infix}lock{suffix}"

    @function(f"pg_{name}_int8")
    def lock8(key: int) -> None:
        _lock.acquire(_tag8(key), mode, is_session)

    @function(f"pg_{name}_int4")
    def lock4(first: int, second: int) -> None:
        _lock.acquire(_tag4(first, second), mode, is_session)

    @function(f"pg_try_{name}_int8")
    def try8(key: int) -> bool:
        return _lock.acquire(_tag8(key), mode, is_session, True) != 0

    @function(f"pg_try_{name}_int4")
    def try4(first: int, second: int) -> bool:
        return _lock.acquire(_tag4(first, second), mode, is_session, True) != 0

    if is_session:
        unlock = f"pg_advisory_unlock{suffix}"

        @function(f"{unlock}_int8")
        def unlock8(key: int) -> bool:
            return _lock.release(_tag8(key), mode, True)

        @function(f"{unlock}_int4")
        def unlock4(first: int, second: int) -> bool:
            return _lock.release(_tag4(first, second), mode, True)


for _infix, _is_session in (("", True), ("xact_", False)):
    for _mode in (_EXCLUSIVE, _SHARE):
        _define(_infix, _mode, _is_session)


@function("pg_advisory_unlock_all")
def pg_advisory_unlock_all() -> None:
    """Give back every advisory lock that the session holds."""
    _lock.release_session(_USER_METHOD)
