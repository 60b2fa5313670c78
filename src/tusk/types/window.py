"""Window functions.

A window function gets a `WindowObject` as its only argument and is called once for each row of a partition, in order.
The executor implements the protocol; `state` starts as None for each partition and belongs to the function.
"""

from typing import Any, Protocol

from tusk.errors import SqlError, errcode
from tusk.types.registry import function

SEEK_CURRENT, SEEK_HEAD, SEEK_TAIL = 0, 1, 2


class WindowObject(Protocol):
    """What a window function may ask. Positions count from 0 within the partition."""

    state: Any

    def partition_row_count(self) -> int:
        """Rows in the partition."""

    def current_position(self) -> int:
        """Position of the current row."""

    def rows_are_peers(self, left: int, right: int) -> bool:
        """Are two rows equal by the window's ORDER BY?"""

    def get_arg_current(self, argument: int) -> Any:
        """Value of an argument at the current row."""

    def get_arg_in_partition(self, argument: int, offset: int, seek: int) -> tuple[Any, bool]:
        """(value, is out of the partition) of an argument at a row relative to the current one, head or tail."""

    def get_arg_in_frame(self, argument: int, offset: int, seek: int) -> tuple[Any, bool]:
        """As above within the current frame, exclusions honoured."""


@function("window_row_number")
def _row_number(window: WindowObject) -> int:
    return window.current_position() + 1


def _starts_group(window: WindowObject) -> bool:
    position = window.current_position()
    return position == 0 or not window.rows_are_peers(position - 1, position)


@function("window_rank")
def _rank(window: WindowObject) -> int:
    if _starts_group(window):
        window.state = window.current_position() + 1
    rank: int = window.state
    return rank


@function("window_dense_rank")
def _dense_rank(window: WindowObject) -> int:
    if _starts_group(window):
        window.state = (window.state or 0) + 1
    rank: int = window.state
    return rank


@function("window_percent_rank")
def _percent_rank(window: WindowObject) -> float:
    count = window.partition_row_count()
    if _starts_group(window):
        window.state = window.current_position()
    return window.state / (count - 1) if count > 1 else 0.0


@function("window_cume_dist")
def _cume_dist(window: WindowObject) -> float:
    count = window.partition_row_count()
    if _starts_group(window):
        last = window.current_position()
        while last + 1 < count and window.rows_are_peers(last, last + 1):
            last += 1
        window.state = last + 1
    return float(window.state) / count


@function("window_ntile")
def _ntile(window: WindowObject) -> int | None:
    if window.state is None:
        buckets = window.get_arg_current(0)
        if buckets is None:
            return None
        if buckets <= 0:
            raise SqlError(errcode.INVALID_ARGUMENT_FOR_NTILE, "argument of ntile must be greater than zero")
        window.state = (window.partition_row_count(), buckets)
    count, buckets = window.state
    size, larger = divmod(count, buckets)
    position = window.current_position()
    if position < larger * (size + 1):
        return int(position // (size + 1) + 1)
    return int(larger + (position - larger * (size + 1)) // size + 1)


def _shifted(window: WindowObject, forward: bool, with_offset: bool, with_default: bool) -> Any:
    offset = 1
    if with_offset:
        offset = window.get_arg_current(1)
        if offset is None:
            return None
    value, outside = window.get_arg_in_partition(0, offset if forward else -offset, SEEK_CURRENT)
    if outside:
        return window.get_arg_current(2) if with_default else None
    return value


for _name, _forward in (("lag", False), ("lead", True)):
    function(f"window_{_name}")(lambda w, f=_forward: _shifted(w, f, False, False))
    function(f"window_{_name}_with_offset")(lambda w, f=_forward: _shifted(w, f, True, False))
    function(f"window_{_name}_with_offset_and_default")(lambda w, f=_forward: _shifted(w, f, True, True))


@function("window_first_value")
def _first_value(window: WindowObject) -> Any:
    return window.get_arg_in_frame(0, 0, SEEK_HEAD)[0]


@function("window_last_value")
def _last_value(window: WindowObject) -> Any:
    return window.get_arg_in_frame(0, 0, SEEK_TAIL)[0]


@function("window_nth_value")
def _nth_value(window: WindowObject) -> Any:
    position = window.get_arg_current(1)
    if position is None:
        return None
    if position <= 0:
        raise SqlError(
            errcode.INVALID_ARGUMENT_FOR_NTH_VALUE, "argument of nth_value must be greater than zero"
        )
    return window.get_arg_in_frame(0, position - 1, SEEK_HEAD)[0]
