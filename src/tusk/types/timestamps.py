"""timestamp and timestamptz: formats, comparison, arithmetic, time zone conversion, series."""

import math
import operator
import struct
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from tusk.errors import Severity, SqlError, errcode, report
from tusk.types.calendar import (
    DATE_NOBEGIN,
    DATE_NOEND,
    DAY_NAMES,
    END_TIMESTAMP,
    MIN_TIMESTAMP,
    MONTHS,
    POSTGRES_EPOCH_JDATE,
    TIMESTAMP_NOBEGIN,
    TIMESTAMP_NOEND,
    UNIX_EPOCH_JDATE,
    UNIX_EPOCH_SECS,
    USECS_PER_DAY,
    USECS_PER_SEC,
    add_months,
    assemble,
    break_down,
    day_of_week,
    days_in_month,
    from_days,
    to_days,
)
from tusk.types.codec import Buffer, Codec, register_codec, short_message
from tusk.types.dates import (
    PARSE_ERRORS,
    clock_now,
    date_to_timestamp,
    interval_shift,
    local_now,
    make_time_us,
    now,
    out_of_range,
    register_comparisons,
    special_days,
    zone_shift,
)
from tusk.types.datetime_format import (
    INTERVAL_NOBEGIN,
    INTERVAL_NOEND,
    interval_text,
    timestamp_text,
    timestamptz_text,
)
from tusk.types.datetime_parse import (
    DATE,
    BadFormat,
    decode_datetime,
    parse_iso,
    parse_short_zone,
    raise_for,
)
from tusk.types.integers import parse_int
from tusk.types.interval_parse import round_us
from tusk.types.registry import CallContext, TypeInfo, function, services
from tusk.types.timezone import Zone, fixed_zone, instant_offset, local_offset, session_zone
from tusk.types.values import Interval, TimeTz

TIMESTAMPOID, TIMESTAMPTZOID = 1114, 1184
UNIX_EPOCH_US = (UNIX_EPOCH_JDATE - POSTGRES_EPOCH_JDATE) * USECS_PER_DAY


def is_finite(us: int) -> bool:
    """Is it neither infinity?"""
    return TIMESTAMP_NOBEGIN < us < TIMESTAMP_NOEND


def check_timestamp(us: int, text: str | None = None) -> int:
    """The timestamp, if it is one; else 22008."""
    if MIN_TIMESTAMP <= us < END_TIMESTAMP:
        return us
    raise out_of_range("timestamp", text)


def parse_timestamp(text: str, with_zone: bool) -> int:
    """Microseconds of the text form of a timestamp."""
    type_name = "timestamp with time zone" if with_zone else "timestamp"
    iso = parse_iso(text)
    if iso is not None:
        day, us, end = iso
        us += day * USECS_PER_DAY
        if end == len(text):
            return to_instant(us) if with_zone else us
        offset = parse_short_zone(text[end:])
        if offset is not None:
            return us - offset * USECS_PER_SEC if with_zone else us
    zone = session_zone() if with_zone else None
    try:
        decoder = decode_datetime(text)
        if decoder.special:
            days = special_days(decoder)
            if days is not None:
                us = days * USECS_PER_DAY + decoder.time_us()
                return us if zone is None else us - decoder.east(us, zone) * USECS_PER_SEC
            if decoder.special == "now":
                return now() if with_zone else local_now()
            if decoder.special == "epoch":
                return UNIX_EPOCH_US
            if decoder.special == "allballs":
                raise BadFormat
            return TIMESTAMP_NOBEGIN if decoder.special[0] == "-" else TIMESTAMP_NOEND
        if decoder.mask & DATE != DATE:
            raise BadFormat
    except PARSE_ERRORS as error:
        raise raise_for(error, text, type_name) from error
    us = assemble(decoder.fields)
    if zone is not None:
        if not MIN_TIMESTAMP - USECS_PER_DAY <= us < END_TIMESTAMP + USECS_PER_DAY:
            raise out_of_range("timestamp", text)
        us -= decoder.east(us, zone) * USECS_PER_SEC
    return check_timestamp(us, text)


class TimestampCodec(Codec):
    """Microseconds from 2000-01-01; of Greenwich for timestamptz."""

    __slots__ = ("_with_zone",)

    def __init__(self, info: TypeInfo) -> None:
        super().__init__(info)
        self._with_zone = info.oid == TIMESTAMPTZOID

    def from_disk(self, data: Buffer) -> int:
        return int.from_bytes(data, "little", signed=True)

    def to_disk(self, value: Any) -> bytes:
        return struct.pack("<q", value)

    def input(self, text: str, typmod: int = -1, ctx: CallContext | None = None) -> int:
        return timestamp_scale(parse_timestamp(text, self._with_zone), typmod)

    def output(self, value: Any) -> str:
        return timestamptz_text(value) if self._with_zone else timestamp_text(value)

    def receive(self, data: Buffer, typmod: int = -1) -> int:
        if len(data) != 8:
            raise short_message()
        us = int.from_bytes(data, "big", signed=True)
        return timestamp_scale(check_timestamp(us) if is_finite(us) else us, typmod)

    def send(self, value: Any) -> bytes:
        return struct.pack(">q", value)


register_codec(TimestampCodec, TIMESTAMPOID, TIMESTAMPTZOID)


@function("timestamp_scale", "timestamptz_scale")
def timestamp_scale(us: int, typmod: int) -> int:
    """Round to the typmod's fractional digits."""
    return us if typmod < 0 or typmod > 5 or not is_finite(us) else round_us(us, typmod)


def _precision_typmod_in(name: str, zone: str) -> Callable[[Sequence[str]], int]:
    def typmod_in(words: Sequence[str]) -> int:
        if len(words) != 1:
            raise SqlError(errcode.INVALID_PARAMETER_VALUE, "invalid type modifier")
        return check_precision(parse_int(next(iter(words)), 4), name, zone)

    return typmod_in


def check_precision(precision: int, name: str, zone: str) -> int:
    """A precision that the type has: negative ones fail, too large ones become 6 with a warning."""
    if precision < 0:
        raise SqlError(errcode.INVALID_PARAMETER_VALUE, f"{name}({precision}){zone} precision must not be negative")
    if precision > 6:
        report(
            Severity.WARNING,
            f"{name}({precision}){zone} precision reduced to maximum allowed, 6",
            sqlstate=errcode.INVALID_PARAMETER_VALUE,
        )
        return 6
    return precision


for _prosrc, _name, _zone in (
    ("time", "TIME", ""),
    ("timetz", "TIME", " WITH TIME ZONE"),
    ("timestamp", "TIMESTAMP", ""),
    ("timestamptz", "TIMESTAMP", " WITH TIME ZONE"),
):
    function(_prosrc + "typmodin")(_precision_typmod_in(_name, _zone))
    _suffix = " with time zone" if _zone else " without time zone"
    function(_prosrc + "typmodout")(lambda typmod, suffix=_suffix: (f"({typmod})" if typmod >= 0 else "") + suffix)

for _name in ("eq", "ne", "lt", "le", "gt", "ge"):
    function("timestamp_" + _name)(getattr(operator, _name))
function("timestamp_larger")(max)
function("timestamp_smaller")(min)


@function("timestamp_cmp")
def _compare(left: int, right: int) -> int:
    return (left > right) - (left < right)


@function("timestamp_finite")
def _finite(us: int) -> bool:
    return is_finite(us)


def to_instant(local_us: int, zone: Zone | None = None) -> int:
    """timestamptz of a local timestamp."""
    if not is_finite(local_us):
        return local_us
    return check_timestamp(local_us - local_offset(zone or session_zone(), local_us) * USECS_PER_SEC)


def to_local(us: int, zone: Zone | None = None) -> int:
    """Local timestamp of a timestamptz."""
    if not is_finite(us):
        return us
    return check_timestamp(us + instant_offset(zone or session_zone(), us)[0] * USECS_PER_SEC)


function("timestamp_timestamptz")(lambda us: to_instant(us))
function("timestamptz_timestamp")(lambda us: to_local(us))
function("timestamp_at_local")(lambda us: to_instant(us))
function("timestamptz_at_local")(lambda us: to_local(us))


@function("timestamp_date")
def timestamp_to_date(us: int) -> int:
    """Day number of a timestamp."""
    if not is_finite(us):
        return DATE_NOBEGIN if us < 0 else DATE_NOEND
    return us // USECS_PER_DAY


@function("timestamptz_date")
def _timestamptz_date(us: int) -> int:
    return timestamp_to_date(to_local(us))


@function("timestamp_time")
def _timestamp_time(us: int) -> int | None:
    return us % USECS_PER_DAY if is_finite(us) else None


@function("timestamptz_time")
def _timestamptz_time(us: int) -> int | None:
    return to_local(us) % USECS_PER_DAY if is_finite(us) else None


@function("timestamptz_timetz")
def _timestamptz_timetz(us: int) -> TimeTz | None:
    if not is_finite(us):
        return None
    east = instant_offset(session_zone(), us)[0]
    return TimeTz((us + east * USECS_PER_SEC) % USECS_PER_DAY, -east)


@function("date_timestamptz")
def date_to_timestamptz(days: int) -> int:
    """Midnight of a date in the session's zone."""
    return to_instant(date_to_timestamp(days))


@function("datetime_timestamp")
def _date_time(days: int, us: int) -> int:
    midnight = date_to_timestamp(days)
    return check_timestamp(midnight + us) if is_finite(midnight) else midnight


@function("datetimetz_timestamptz")
def _date_timetz(days: int, value: TimeTz) -> int:
    midnight = date_to_timestamp(days)
    if not is_finite(midnight):
        return midnight
    return check_timestamp(midnight + value.us + value.zone_seconds_west * USECS_PER_SEC)


def _date_compare(days: int, us: int) -> int:
    if days == DATE_NOBEGIN:
        midnight = TIMESTAMP_NOBEGIN
    elif days == DATE_NOEND:
        midnight = TIMESTAMP_NOEND
    else:
        # Dates beyond the last timestamp are before infinity only.
        midnight = min(days * USECS_PER_DAY, TIMESTAMP_NOEND - 1)
    return _compare(midnight, us)


def _date_compare_zone(days: int, us: int) -> int:
    if days in (DATE_NOBEGIN, DATE_NOEND) or days * USECS_PER_DAY >= END_TIMESTAMP - USECS_PER_DAY:
        return _date_compare(days, us)
    local = days * USECS_PER_DAY
    return _compare(local - local_offset(session_zone(), local) * USECS_PER_SEC, us)


def _local_compare(local: int, us: int) -> int:
    if is_finite(local):
        local -= local_offset(session_zone(), local) * USECS_PER_SEC
    return _compare(local, us)


for _left, _right, _test in (
    ("date", "timestamp", _date_compare),
    ("date", "timestamptz", _date_compare_zone),
    ("timestamp", "timestamptz", _local_compare),
):
    _reverse = lambda a, b, test=_test: -test(b, a)
    function(f"{_left}_cmp_{_right}")(_test)
    function(f"{_right}_cmp_{_left}")(_reverse)
    register_comparisons(_left, _test, f"_{_right}")
    register_comparisons(_right, _reverse, f"_{_left}")


def _infinite_sum(us: int, interval: Interval, sign: int) -> int | None:
    """Result of timestamp + interval when either is infinite; None when both are finite."""
    infinite = 0
    if interval == INTERVAL_NOEND:
        infinite = sign
    elif interval == INTERVAL_NOBEGIN:
        infinite = -sign
    if infinite:
        if us == (TIMESTAMP_NOBEGIN if infinite > 0 else TIMESTAMP_NOEND):
            raise out_of_range("timestamp")
        return TIMESTAMP_NOEND if infinite > 0 else TIMESTAMP_NOBEGIN
    return None if is_finite(us) else us


def negate_interval(interval: Interval) -> Interval:
    """All parts with the other sign, unchecked."""
    return Interval(-interval.months, -interval.days, -interval.us)


def _shift_local(us: int, months: int, days: int) -> int:
    day, rest = divmod(us, USECS_PER_DAY)
    if months:
        year, month, mday = add_months(*from_days(day), months)
        day = to_days(year, month, mday)
    return (day + days) * USECS_PER_DAY + rest


def timestamp_plus(us: int, interval: Interval, sign: int = 1) -> int:
    """timestamp + interval."""
    infinite = _infinite_sum(us, interval, sign)
    if infinite is not None:
        return infinite
    if interval.months or interval.days:
        us = check_timestamp(_shift_local(us, sign * interval.months, sign * interval.days))
    return check_timestamp(us + sign * interval.us)


def timestamptz_plus(us: int, interval: Interval, sign: int = 1, zone: Zone | None = None) -> int:
    """timestamptz + interval: months and days by the zone's calendar."""
    infinite = _infinite_sum(us, interval, sign)
    if infinite is not None:
        return infinite
    if interval.months or interval.days:
        zone = zone or session_zone()
        local = us + instant_offset(zone, us)[0] * USECS_PER_SEC
        if interval.months:
            local = check_timestamp(_shift_local(local, sign * interval.months, 0))
            us = check_timestamp(local - local_offset(zone, local) * USECS_PER_SEC)
            local = us + instant_offset(zone, us)[0] * USECS_PER_SEC
        if interval.days:
            local = check_timestamp(local + sign * interval.days * USECS_PER_DAY)
            us = check_timestamp(local - local_offset(zone, local) * USECS_PER_SEC)
    return check_timestamp(us + sign * interval.us)


function("timestamp_pl_interval")(lambda us, interval: timestamp_plus(us, interval))
function("timestamp_mi_interval")(lambda us, interval: timestamp_plus(us, interval, -1))
function("timestamptz_pl_interval")(lambda us, interval: timestamptz_plus(us, interval))
function("timestamptz_mi_interval")(lambda us, interval: timestamptz_plus(us, interval, -1))
function("date_pl_interval")(lambda days, interval: timestamp_plus(date_to_timestamp(days), interval))
function("date_mi_interval")(lambda days, interval: timestamp_plus(date_to_timestamp(days), interval, -1))


def named_zone(name: str) -> Zone:
    """The zone of a name or abbreviation."""
    shift = zone_shift(name)
    return fixed_zone(shift) if isinstance(shift, int) else shift


@function("timestamptz_pl_interval_at_zone")
def _plus_at_zone(us: int, interval: Interval, zone: str) -> int:
    return timestamptz_plus(us, interval, 1, named_zone(zone))


@function("timestamptz_mi_interval_at_zone")
def _minus_at_zone(us: int, interval: Interval, zone: str) -> int:
    return timestamptz_plus(us, interval, -1, named_zone(zone))


@function("timestamp_mi")
def timestamp_minus(left: int, right: int) -> Interval:
    """timestamp - timestamp, in days and microseconds."""
    if not (is_finite(left) and is_finite(right)):
        if left == right:
            raise out_of_range("interval")
        up = left == TIMESTAMP_NOEND or right == TIMESTAMP_NOBEGIN
        return INTERVAL_NOEND if up else INTERVAL_NOBEGIN
    difference = left - right
    days = abs(difference) // USECS_PER_DAY
    days = days if difference >= 0 else -days
    return Interval(0, days, difference - days * USECS_PER_DAY)


def _by_name(name: str) -> int | Zone:
    return zone_shift(name)


@function("timestamptz_zone")
def _timestamptz_zone(name: str, us: int) -> int:
    if not is_finite(us):
        return us
    shift = _by_name(name)
    east = shift if isinstance(shift, int) else instant_offset(shift, us)[0]
    return check_timestamp(us + east * USECS_PER_SEC)


@function("timestamp_zone")
def _timestamp_zone(name: str, us: int) -> int:
    if not is_finite(us):
        return us
    shift = _by_name(name)
    east = shift if isinstance(shift, int) else local_offset(shift, us)
    return check_timestamp(us - east * USECS_PER_SEC)


@function("timestamptz_izone")
def _timestamptz_izone(interval: Interval, us: int) -> int:
    if not is_finite(us):
        return us
    return check_timestamp(us + interval_shift(interval, interval_text(interval)) * USECS_PER_SEC)


@function("timestamp_izone")
def _timestamp_izone(interval: Interval, us: int) -> int:
    if not is_finite(us):
        return us
    return check_timestamp(us - interval_shift(interval, interval_text(interval)) * USECS_PER_SEC)


def _make(year: int, month: int, day: int, hour: int, minute: int, second: float) -> int:
    civil = year + 1 if year < 0 else year
    if year == 0 or not 1 <= month <= 12 or not 1 <= day <= days_in_month(civil, month):
        raise SqlError(errcode.DATETIME_FIELD_OVERFLOW, f"date field value out of range: {year}-{month:02d}-{day:02d}")
    us = make_time_us(hour, minute, second)
    if us is None:
        shown = f"{second:.17g}"
        raise SqlError(
            errcode.DATETIME_FIELD_OVERFLOW,
            f"time field value out of range: {hour}:{minute:02d}:{'0' + shown if second < 10 else shown}",
        )
    return check_timestamp(to_days(civil, month, day) * USECS_PER_DAY + us)


function("make_timestamp")(_make)


@function("make_timestamptz")
def _make_timestamptz(year: int, month: int, day: int, hour: int, minute: int, second: float) -> int:
    return to_instant(_make(year, month, day, hour, minute, second))


@function("make_timestamptz_at_timezone")
def _make_at_zone(year: int, month: int, day: int, hour: int, minute: int, second: float, zone: str) -> int:
    return to_instant(_make(year, month, day, hour, minute, second), named_zone(zone))


@function("float8_timestamptz")
def _from_epoch(seconds: float) -> int:
    if seconds != seconds:
        raise SqlError(errcode.DATETIME_VALUE_OUT_OF_RANGE, "timestamp cannot be NaN")
    if math.isinf(seconds):
        return TIMESTAMP_NOEND if seconds > 0 else TIMESTAMP_NOBEGIN
    if not (
        MIN_TIMESTAMP / USECS_PER_SEC + UNIX_EPOCH_SECS <= seconds < END_TIMESTAMP / USECS_PER_SEC + UNIX_EPOCH_SECS
    ):
        raise out_of_range("timestamp", f"{seconds:g}")
    # As PostgreSQL: shift to its epoch in double precision first, then scale and round.
    us = round((seconds - UNIX_EPOCH_SECS) * USECS_PER_SEC)
    return check_timestamp(us, f"{seconds:g}")


def _series(start: int, stop: int, step: Interval, add: Callable[[int, Interval], int]) -> Iterator[int]:
    size = step.us + (step.days + step.months * 30) * USECS_PER_DAY
    if step in (INTERVAL_NOBEGIN, INTERVAL_NOEND):
        raise SqlError(errcode.INVALID_PARAMETER_VALUE, "step size cannot be infinite")
    if size == 0:
        raise SqlError(errcode.INVALID_PARAMETER_VALUE, "step size cannot equal zero")
    current = start
    while current <= stop if size > 0 else current >= stop:
        yield current
        current = add(current, step)


function("generate_series_timestamp", set_returning=True)(
    lambda start, stop, step: _series(start, stop, step, timestamp_plus)
)
function("generate_series_timestamptz", set_returning=True)(
    lambda start, stop, step: _series(start, stop, step, timestamptz_plus)
)


@function("generate_series_timestamptz_at_zone", set_returning=True)
def _series_at_zone(start: int, stop: int, step: Interval, name: str) -> Iterator[int]:
    zone = named_zone(name)
    return _series(start, stop, step, lambda us, interval: timestamptz_plus(us, interval, 1, zone))


@function("now")
def _now() -> int:
    return now()


@function("statement_timestamp")
def _statement_timestamp() -> int:
    provider = services.get("statement_timestamp")
    us: int = provider() if provider is not None else now()
    return us


@function("clock_timestamp")
def _clock_timestamp() -> int:
    return clock_now()


@function("timeofday")
def _timeofday() -> str:
    us = clock_now()
    offset = instant_offset(session_zone(), us)
    f = break_down(us + offset[0] * USECS_PER_SEC)
    days = to_days(f.year, f.month, f.day)
    return (
        f"{DAY_NAMES[day_of_week(days)][:3]} {MONTHS[f.month - 1]} {f.day:02d} {f.hour:02d}:{f.minute:02d}:"
        f"{f.second:02d}.{f.us:06d} {f.year} {offset[2]}"
    )


def _in_range(value: int, base: int, offset: Interval, sub: bool, less: bool, plus: Callable[..., int]) -> bool:
    size = offset.us + (offset.days + offset.months * 30) * USECS_PER_DAY
    if size < 0:
        raise SqlError(
            errcode.INVALID_PRECEDING_OR_FOLLOWING_SIZE, "invalid preceding or following size in window function"
        )
    if offset == INTERVAL_NOEND and base == (TIMESTAMP_NOEND if sub else TIMESTAMP_NOBEGIN):
        return True
    limit = plus(base, offset, -1 if sub else 1)
    return value <= limit if less else value >= limit


function("in_range_timestamp_interval")(lambda v, b, o, s, l: _in_range(v, b, o, s, l, timestamp_plus))
function("in_range_timestamptz_interval")(lambda v, b, o, s, l: _in_range(v, b, o, s, l, timestamptz_plus))


@function("in_range_date_interval")
def _date_in_range(value: int, base: int, offset: Interval, sub: bool, less: bool) -> bool:
    return _in_range(date_to_timestamp(value), date_to_timestamp(base), offset, sub, less, timestamp_plus)
