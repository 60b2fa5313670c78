"""interval: format on disk and wire, comparison, arithmetic, justification, aggregates."""

import math
import struct
from collections.abc import Sequence
from typing import Any

from tusk.errors import SqlError, errcode
from tusk.types.calendar import USECS_PER_DAY, USECS_PER_SEC
from tusk.types.codec import Buffer, Codec, register_codec, short_message
from tusk.types.dates import register_comparisons
from tusk.types.datetime_format import INTERVAL_NOBEGIN, INTERVAL_NOEND, interval_text
from tusk.types.integers import parse_int
from tusk.types.interval_parse import (
    DAY,
    FULL_PRECISION,
    FULL_RANGE,
    HOUR,
    MINUTE,
    MONTH,
    SECOND,
    YEAR,
    apply_typmod,
    parse_interval,
)
from tusk.types.registry import CallContext, division_by_zero, function
from tusk.types.timestamps import check_precision
from tusk.types.values import Interval

INTERVALOID = 1186
_DISK, _WIRE = struct.Struct("<qii"), struct.Struct(">qii")
INFINITE = (INTERVAL_NOBEGIN, INTERVAL_NOEND)


class IntervalCodec(Codec):
    """Microseconds, days, months."""

    __slots__ = ()

    def from_disk(self, data: Buffer) -> Interval:
        us, days, months = _DISK.unpack(data)
        return Interval(months, days, us)

    def to_disk(self, value: Any) -> bytes:
        return _DISK.pack(value.us, value.days, value.months)

    def input(self, text: str, typmod: int = -1, ctx: CallContext | None = None) -> Interval:
        return parse_interval(text, typmod)

    def output(self, value: Any) -> str:
        return interval_text(value)

    def receive(self, data: Buffer, typmod: int = -1) -> Interval:
        if len(data) != 16:
            raise short_message()
        us, days, months = _WIRE.unpack(data)
        return apply_typmod(Interval(months, days, us), typmod)

    def send(self, value: Any) -> bytes:
        return _WIRE.pack(value.us, value.days, value.months)


register_codec(IntervalCodec, INTERVALOID)

function("interval_scale")(apply_typmod)

_RANGES = {
    YEAR: " year", MONTH: " month", DAY: " day", HOUR: " hour", MINUTE: " minute", SECOND: " second",
    YEAR | MONTH: " year to month", DAY | HOUR: " day to hour", DAY | HOUR | MINUTE: " day to minute",
    DAY | HOUR | MINUTE | SECOND: " day to second", HOUR | MINUTE: " hour to minute",
    HOUR | MINUTE | SECOND: " hour to second", MINUTE | SECOND: " minute to second", FULL_RANGE: "",
}  # fmt: skip


@function("intervaltypmodin")
def _typmod_in(words: Sequence[str]) -> int:
    numbers = [parse_int(word, 4) for word in words]
    if not 1 <= len(numbers) <= 2 or numbers[0] not in _RANGES:
        raise SqlError(errcode.INVALID_PARAMETER_VALUE, "invalid INTERVAL type modifier")
    if len(numbers) == 1:
        return (FULL_PRECISION | numbers[0] << 16) if numbers[0] != FULL_RANGE else -1
    return numbers[0] << 16 | check_precision(numbers[1], "INTERVAL", "")


@function("intervaltypmodout")
def _typmod_out(typmod: int) -> str:
    if typmod < 0:
        return ""
    precision = typmod & 0xFFFF
    return _RANGES[typmod >> 16 & 0x7FFF] + (f"({precision})" if precision != FULL_PRECISION else "")


def interval_span(value: Interval) -> int:
    """Length in microseconds with months of 30 days: the order of intervals."""
    return value.us + (value.days + value.months * 30) * USECS_PER_DAY


@function("interval_cmp")
def interval_compare(left: Interval, right: Interval) -> int:
    """Three-way comparison."""
    a, b = interval_span(left), interval_span(right)
    return (a > b) - (a < b)


register_comparisons("interval", interval_compare)


@function("interval_larger")
def _larger(left: Interval, right: Interval) -> Interval:
    return left if interval_compare(left, right) > 0 else right


@function("interval_smaller")
def _smaller(left: Interval, right: Interval) -> Interval:
    return left if interval_compare(left, right) < 0 else right


def out_of_range() -> SqlError:
    """22008: the result is no interval."""
    return SqlError(errcode.DATETIME_VALUE_OUT_OF_RANGE, "interval out of range")


def make_interval(months: int, days: int, us: int) -> Interval:
    """A finite interval; 22008 when a part does not fit."""
    bound = 1 << 31
    if not (-bound <= months < bound and -bound <= days < bound and -(1 << 63) <= us < 1 << 63):
        raise out_of_range()
    value = Interval(months, days, us)
    if value in INFINITE:
        raise out_of_range()
    return value


@function("interval_finite")
def _finite(value: Interval) -> bool:
    return value not in INFINITE


@function("interval_um")
def interval_negate(value: Interval) -> Interval:
    """The other sign; infinities swap."""
    if value == INTERVAL_NOEND:
        return INTERVAL_NOBEGIN
    if value == INTERVAL_NOBEGIN:
        return INTERVAL_NOEND
    return make_interval(-value.months, -value.days, -value.us)


@function("interval_pl")
def interval_add(left: Interval, right: Interval) -> Interval:
    """Sum of two intervals."""
    if left in INFINITE or right in INFINITE:
        if left in INFINITE and right in INFINITE and left != right:
            raise out_of_range()
        return left if left in INFINITE else right
    return make_interval(left.months + right.months, left.days + right.days, left.us + right.us)


@function("interval_mi")
def interval_subtract(left: Interval, right: Interval) -> Interval:
    """Difference of two intervals."""
    if left in INFINITE or right in INFINITE:
        if left == right:
            raise out_of_range()
        return left if left in INFINITE else interval_negate(right)
    return make_interval(left.months - right.months, left.days - right.days, left.us - right.us)


def _round_us(value: float) -> float:
    return round(value * 1e6) / 1e6


def _scaled(value: Interval, scale: Any) -> Interval:
    """All parts through ``scale``; fractions of months and days flow down, months as 30 days."""
    months_exact, days_exact = scale(value.months), scale(value.days)
    if not (abs(months_exact) < 1 << 31 and abs(days_exact) < 1 << 31):
        raise out_of_range()
    months, days = int(months_exact), int(days_exact)
    remainder_days = _round_us((months_exact - months) * 30)
    seconds = _round_us((days_exact - days + remainder_days - int(remainder_days)) * 86400)
    if abs(seconds) >= 86400:
        whole = int(seconds / 86400)
        days += whole
        seconds -= whole * 86400
    us = scale(value.us) + seconds * USECS_PER_SEC
    if not abs(us) < 2.0**63:
        raise out_of_range()
    return make_interval(months, days + int(remainder_days), round(us))


def _sign_of(value: Interval) -> int:
    if value == INTERVAL_NOEND:
        return 1
    if value == INTERVAL_NOBEGIN:
        return -1
    span = interval_span(value)
    return (span > 0) - (span < 0)


@function("interval_mul")
def interval_multiply(value: Interval, factor: float) -> Interval:
    """interval * float8."""
    if factor != factor:
        raise out_of_range()
    if value in INFINITE or math.isinf(factor):
        sign = _sign_of(value) * ((factor > 0) - (factor < 0))
        if sign == 0:
            raise out_of_range()
        return INTERVAL_NOEND if sign > 0 else INTERVAL_NOBEGIN
    return _scaled(value, lambda part: part * factor)


@function("mul_d_interval")
def _multiply_reverse(factor: float, value: Interval) -> Interval:
    return interval_multiply(value, factor)


@function("interval_div")
def interval_divide(value: Interval, divisor: float) -> Interval:
    """interval / float8."""
    if divisor == 0:
        raise division_by_zero()
    if divisor != divisor:
        raise out_of_range()
    if value in INFINITE:
        if math.isinf(divisor):
            raise out_of_range()
        return value if divisor > 0 else interval_negate(value)
    return _scaled(value, lambda part: part / divisor)


@function("make_interval")
def _make_interval(years: int, months: int, weeks: int, days: int, hours: int, mins: int, secs: float) -> Interval:
    if not math.isfinite(secs):
        raise out_of_range()
    us = round(secs * USECS_PER_SEC)
    return make_interval(years * 12 + months, weeks * 7 + days, (hours * 60 + mins) * 60 * USECS_PER_SEC + us)


def _toward_zero(value: int, unit: int) -> tuple[int, int]:
    quotient = abs(value) // unit
    quotient = quotient if value >= 0 else -quotient
    return quotient, value - quotient * unit


@function("interval_justify_hours")
def _justify_hours(value: Interval) -> Interval:
    if value in INFINITE:
        return value
    whole, us = _toward_zero(value.us, USECS_PER_DAY)
    days = value.days + whole
    if days > 0 and us < 0:
        days, us = days - 1, us + USECS_PER_DAY
    elif days < 0 and us > 0:
        days, us = days + 1, us - USECS_PER_DAY
    return make_interval(value.months, days, us)


@function("interval_justify_days")
def _justify_days(value: Interval) -> Interval:
    if value in INFINITE:
        return value
    whole, days = _toward_zero(value.days, 30)
    months = value.months + whole
    if months > 0 and days < 0:
        months, days = months - 1, days + 30
    elif months < 0 and days > 0:
        months, days = months + 1, days - 30
    return make_interval(months, days, value.us)


@function("interval_justify_interval")
def _justify_interval(value: Interval) -> Interval:
    if value in INFINITE:
        return value
    whole, us = _toward_zero(value.us, USECS_PER_DAY)
    days = value.days + whole
    whole, days = _toward_zero(days, 30)
    months = value.months + whole
    if months > 0 and (days < 0 or (days == 0 and us < 0)):
        months, days = months - 1, days + 30
    elif months < 0 and (days > 0 or (days == 0 and us > 0)):
        months, days = months + 1, days - 30
    if days > 0 and us < 0:
        days, us = days - 1, us + USECS_PER_DAY
    elif days < 0 and us > 0:
        days, us = days + 1, us - USECS_PER_DAY
    return make_interval(months, days, us)


class IntervalSum:
    """State of sum and avg over intervals: exact parts, infinities counted apart."""

    __slots__ = ("count", "days", "months", "negative", "positive", "us")

    def __init__(self) -> None:
        self.count = self.months = self.days = self.us = self.positive = self.negative = 0

    def add(self, value: Interval, sign: int) -> None:
        """Put one value in, or take it out."""
        if value == INTERVAL_NOEND:
            self.positive += sign
        elif value == INTERVAL_NOBEGIN:
            self.negative += sign
        else:
            self.count += sign
            self.months += sign * value.months
            self.days += sign * value.days
            self.us += sign * value.us

    def infinite(self) -> Interval | None:
        """The result if infinities decide it."""
        if self.positive and self.negative:
            raise out_of_range()
        if self.positive:
            return INTERVAL_NOEND
        return INTERVAL_NOBEGIN if self.negative else None

    @property
    def total_count(self) -> int:
        """How many values are in."""
        return self.count + self.positive + self.negative


@function("interval_avg_accum")
def _accumulate(state: IntervalSum | None, value: Interval | None) -> IntervalSum:
    state = state or IntervalSum()
    if value is not None:
        state.add(value, 1)
    return state


@function("interval_avg_accum_inv")
def _accumulate_inverse(state: IntervalSum, value: Interval | None) -> IntervalSum:
    if value is not None:
        state.add(value, -1)
    return state


@function("interval_avg_combine")
def _combine(left: IntervalSum | None, right: IntervalSum | None) -> IntervalSum | None:
    if left is None or right is None:
        return left or right
    for name in IntervalSum.__slots__:
        setattr(left, name, getattr(left, name) + getattr(right, name))
    return left


@function("interval_sum")
def _sum(state: IntervalSum | None) -> Interval | None:
    if state is None or state.total_count == 0:
        return None
    return state.infinite() or make_interval(state.months, state.days, state.us)


@function("interval_avg")
def _average(state: IntervalSum | None) -> Interval | None:
    if state is None or state.total_count == 0:
        return None
    infinite = state.infinite()
    if infinite is not None:
        return infinite
    return interval_divide(make_interval(state.months, state.days, state.us), float(state.count))


@function("interval_avg_serialize")
def _serialize(state: IntervalSum) -> bytes:
    numbers = [getattr(state, name) for name in IntervalSum.__slots__]
    return " ".join(map(str, numbers)).encode()


@function("interval_avg_deserialize")
def _deserialize(data: bytes, internal: Any) -> IntervalSum:
    state = IntervalSum()
    for name, number in zip(IntervalSum.__slots__, data.split(), strict=True):
        setattr(state, name, int(number))
    return state


@function("in_range_interval_interval")
def _in_range(value: Interval, base: Interval, offset: Interval, sub: bool, less: bool) -> bool:
    if interval_span(offset) < 0:
        raise SqlError(
            errcode.INVALID_PRECEDING_OR_FOLLOWING_SIZE, "invalid preceding or following size in window function"
        )
    if offset == INTERVAL_NOEND and base == (INTERVAL_NOEND if sub else INTERVAL_NOBEGIN):
        return True
    limit = interval_subtract(base, offset) if sub else interval_add(base, offset)
    order = interval_compare(value, limit)
    return order <= 0 if less else order >= 0
