"""date, time and timetz: formats, comparison, arithmetic, construction."""

import operator
import struct
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from tusk.errors import SqlError, errcode
from tusk.types.calendar import (
    DATE_NOBEGIN,
    DATE_NOEND,
    END_DATE,
    END_TIMESTAMP,
    MIN_DATE,
    POSTGRES_EPOCH_JDATE,
    TIMESTAMP_NOBEGIN,
    TIMESTAMP_NOEND,
    UNIX_EPOCH_JDATE,
    USECS_PER_DAY,
    USECS_PER_SEC,
    days_in_month,
    to_days,
)
from tusk.types.codec import Buffer, Codec, register_codec, short_message
from tusk.types.datetime_format import INTERVAL_NOBEGIN, INTERVAL_NOEND, date_text, interval_text, time_text
from tusk.types.datetime_parse import (
    DATE,
    DOW,
    TIME,
    TZ,
    BadFormat,
    Decoder,
    FieldOverflow,
    UnknownZone,
    ZoneOverflow,
    decode_datetime,
    parse_iso,
    parse_zone_offset,
    raise_for,
)
from tusk.types.interval_parse import round_us
from tusk.types.registry import CallContext, function, services
from tusk.types.timezone import (
    Zone,
    abbreviation_offset,
    instant_offset,
    load_zone,
    local_offset,
    offset_text,
    session_zone,
)
from tusk.types.values import Interval, TimeTz

DATEOID, TIMEOID, TIMETZOID = 1082, 1083, 1266
PARSE_ERRORS = (BadFormat, FieldOverflow, ZoneOverflow, UnknownZone)


def now() -> int:
    """The transaction's timestamp."""
    provider = services.get("transaction_timestamp")
    us: int = provider() if provider is not None else clock_now()
    return us


def clock_now() -> int:
    """The actual time, in microseconds since 2000."""
    return time.time_ns() // 1000 - (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY


def local_now() -> int:
    """The transaction's timestamp as local time of the session's zone."""
    us = now()
    return us + instant_offset(session_zone(), us)[0] * USECS_PER_SEC


_RELATIVE = {"today": 0, "yesterday": -1, "tomorrow": 1}


def special_days(decoder: Decoder) -> int | None:
    """Day number of today, yesterday or tomorrow; None for other input."""
    shift = _RELATIVE.get(decoder.special)
    return None if shift is None else local_now() // USECS_PER_DAY + shift


def out_of_range(type_name: str, text: str | None = None) -> SqlError:
    """22008: the value does not fit the type."""
    suffix = f': "{text}"' if text is not None else ""
    return SqlError(errcode.DATETIME_VALUE_OUT_OF_RANGE, f"{type_name} out of range{suffix}")


def parse_date(text: str) -> int:
    """Day number of a date's text form."""
    iso = parse_iso(text)
    if iso is not None and iso[2] == len(text) == 10:
        return iso[0]
    try:
        decoder = decode_datetime(text)
        if decoder.special:
            days = special_days(decoder)
            if days is not None:
                return days
            if decoder.special == "now":
                return local_now() // USECS_PER_DAY
            if decoder.special == "epoch":
                return UNIX_EPOCH_JDATE - POSTGRES_EPOCH_JDATE
            if decoder.special == "allballs":
                raise BadFormat
            return DATE_NOBEGIN if decoder.special[0] == "-" else DATE_NOEND
        if decoder.mask & DATE != DATE:
            raise BadFormat
    except PARSE_ERRORS as error:
        raise raise_for(error, text, "date") from error
    if decoder.julian is not None:
        days = decoder.julian - POSTGRES_EPOCH_JDATE
    else:
        days = to_days(decoder.year, decoder.month, decoder.day)
    if not MIN_DATE <= days < END_DATE:
        raise out_of_range("date", text)
    return days


def _decode_time(text: str, type_name: str) -> Decoder:
    try:
        decoder = decode_datetime(text, time_only=True)
        if decoder.special == "now":
            us = local_now() % USECS_PER_DAY
            decoder.hour, rest = divmod(us, 3600 * USECS_PER_SEC)
            decoder.minute, rest = divmod(rest, 60 * USECS_PER_SEC)
            decoder.second, decoder.us = divmod(rest, USECS_PER_SEC)
        elif decoder.special or not decoder.mask & TIME or decoder.mask & ~(TIME | TZ | DATE | DOW | 0x3FF):
            raise BadFormat
    except PARSE_ERRORS as error:
        raise raise_for(error, text, type_name) from error
    return decoder


class DateCodec(Codec):
    """Days from 2000-01-01."""

    __slots__ = ()

    def from_disk(self, data: Buffer) -> int:
        return int.from_bytes(data, "little", signed=True)

    def to_disk(self, value: Any) -> bytes:
        data: bytes = value.to_bytes(4, "little", signed=True)
        return data

    def input(self, text: str, typmod: int = -1, ctx: CallContext | None = None) -> int:
        return parse_date(text)

    def output(self, value: Any) -> str:
        return date_text(value)

    def receive(self, data: Buffer, typmod: int = -1) -> int:
        if len(data) != 4:
            raise short_message()
        days = int.from_bytes(data, "big", signed=True)
        if not (MIN_DATE <= days < END_DATE or days in (DATE_NOBEGIN, DATE_NOEND)):
            raise out_of_range("date")
        return days

    def send(self, value: Any) -> bytes:
        data: bytes = value.to_bytes(4, "big", signed=True)
        return data


class TimeCodec(Codec):
    """Microseconds from midnight."""

    __slots__ = ()

    def from_disk(self, data: Buffer) -> int:
        return int.from_bytes(data, "little", signed=True)

    def to_disk(self, value: Any) -> bytes:
        data: bytes = value.to_bytes(8, "little", signed=True)
        return data

    def input(self, text: str, typmod: int = -1, ctx: CallContext | None = None) -> int:
        return time_scale(_decode_time(text, "time").time_us(), typmod)

    def output(self, value: Any) -> str:
        return time_text(value)

    def receive(self, data: Buffer, typmod: int = -1) -> int:
        if len(data) != 8:
            raise short_message()
        us = int.from_bytes(data, "big", signed=True)
        if not 0 <= us <= USECS_PER_DAY:
            raise out_of_range("time")
        return time_scale(us, typmod)

    def send(self, value: Any) -> bytes:
        data: bytes = value.to_bytes(8, "big", signed=True)
        return data


class TimeTzCodec(Codec):
    """Microseconds from midnight and seconds west of Greenwich."""

    __slots__ = ()

    def from_disk(self, data: Buffer) -> TimeTz:
        return TimeTz(*struct.unpack("<qi", data))

    def to_disk(self, value: Any) -> bytes:
        return struct.pack("<qi", *value)

    def input(self, text: str, typmod: int = -1, ctx: CallContext | None = None) -> TimeTz:
        decoder = _decode_time(text, "time with time zone")
        us = decoder.time_us()
        if decoder.mask & DATE == DATE:
            days = to_days(decoder.year, decoder.month, decoder.day)
        elif decoder.zone is not None and not decoder.zone_name and not decoder.zone.is_fixed:
            # Without a date a zone with changing offsets has no definite one.
            raise raise_for(BadFormat(), text, "time with time zone")
        else:
            days = local_now() // USECS_PER_DAY
        east = decoder.east(days * USECS_PER_DAY + us, session_zone())
        return TimeTz(time_scale(us, typmod), -east)

    def output(self, value: Any) -> str:
        return time_text(value.us) + offset_text(-value.zone_seconds_west)

    def receive(self, data: Buffer, typmod: int = -1) -> TimeTz:
        if len(data) != 12:
            raise short_message()
        us, west = struct.unpack(">qi", data)
        if not 0 <= us <= USECS_PER_DAY:
            raise out_of_range("time")
        if not -57600 < west < 57600:
            raise SqlError(errcode.INVALID_TIME_ZONE_DISPLACEMENT_VALUE, "time zone displacement out of range")
        return TimeTz(time_scale(us, typmod), west)

    def send(self, value: Any) -> bytes:
        return struct.pack(">qi", *value)


register_codec(DateCodec, DATEOID)
register_codec(TimeCodec, TIMEOID)
register_codec(TimeTzCodec, TIMETZOID)


@function("time_scale")
def time_scale(us: int, typmod: int) -> int:
    """Round to the typmod's fractional digits."""
    return us if typmod < 0 or typmod > 5 else round_us(us, typmod)


@function("timetz_scale")
def _timetz_scale(value: TimeTz, typmod: int) -> TimeTz:
    return TimeTz(time_scale(value.us, typmod), value.zone_seconds_west)


_TESTS: dict[str, Callable[[int], bool]] = {
    "eq": lambda order: order == 0,
    "ne": lambda order: order != 0,
    "lt": lambda order: order < 0,
    "le": lambda order: order <= 0,
    "gt": lambda order: order > 0,
    "ge": lambda order: order >= 0,
}


def register_comparisons(prefix: str, compare: Callable[[Any, Any], int], suffix: str = "") -> None:
    """Register prefix_eq ... prefix_ge by a three-way comparison."""
    for name, test in _TESTS.items():
        function(f"{prefix}_{name}{suffix}")(lambda a, b, test=test: test(compare(a, b)))


for _prefix in ("date", "time"):
    for _name in _TESTS:
        function(f"{_prefix}_{_name}")(getattr(operator, _name))
    function(f"{_prefix}_larger")(max)
    function(f"{_prefix}_smaller")(min)


@function("date_cmp", "time_cmp")
def _compare(left: int, right: int) -> int:
    return (left > right) - (left < right)


@function("timetz_cmp")
def timetz_compare(left: TimeTz, right: TimeTz) -> int:
    """Order by the instant, then by zone."""
    a = left.us + left.zone_seconds_west * USECS_PER_SEC
    b = right.us + right.zone_seconds_west * USECS_PER_SEC
    if a != b:
        return 1 if a > b else -1
    return (left.zone_seconds_west > right.zone_seconds_west) - (left.zone_seconds_west < right.zone_seconds_west)


register_comparisons("timetz", timetz_compare)


@function("timetz_larger")
def _timetz_larger(left: TimeTz, right: TimeTz) -> TimeTz:
    return left if timetz_compare(left, right) > 0 else right


@function("timetz_smaller")
def _timetz_smaller(left: TimeTz, right: TimeTz) -> TimeTz:
    return left if timetz_compare(left, right) < 0 else right


@function("date_finite")
def date_is_finite(days: int) -> bool:
    """Is it neither infinity?"""
    return days not in (DATE_NOBEGIN, DATE_NOEND)


@function("date_mi")
def _date_mi(left: int, right: int) -> int:
    if not (date_is_finite(left) and date_is_finite(right)):
        raise SqlError(errcode.DATETIME_VALUE_OUT_OF_RANGE, "cannot subtract infinite dates")
    return left - right


def _shifted(days: int, count: int) -> int:
    if not date_is_finite(days):
        return days
    result = days + count
    if not MIN_DATE <= result < END_DATE:
        raise out_of_range("date")
    return result


@function("date_pli")
def _date_pli(days: int, count: int) -> int:
    return _shifted(days, count)


@function("date_mii")
def _date_mii(days: int, count: int) -> int:
    return _shifted(days, -count)


def date_to_timestamp(days: int) -> int:
    """Midnight of a date; 22008 beyond the timestamps."""
    if days == DATE_NOBEGIN:
        return TIMESTAMP_NOBEGIN
    if days == DATE_NOEND:
        return TIMESTAMP_NOEND
    if days * USECS_PER_DAY >= END_TIMESTAMP:
        raise SqlError(errcode.DATETIME_VALUE_OUT_OF_RANGE, "date out of range for timestamp")
    return days * USECS_PER_DAY


function("date_timestamp")(date_to_timestamp)


@function("make_date")
def _make_date(year: int, month: int, day: int) -> int:
    civil = year + 1 if year < 0 else year
    if year == 0 or not 1 <= month <= 12 or not 1 <= day <= 31 or day > days_in_month(civil, month):
        raise SqlError(
            errcode.DATETIME_FIELD_OVERFLOW, f"date field value out of range: {year}-{month:02d}-{day:02d}"
        )
    days = to_days(civil, month, day)
    if not MIN_DATE <= days < END_DATE:
        raise SqlError(errcode.DATETIME_VALUE_OUT_OF_RANGE, f"date out of range: {year}-{month:02d}-{day:02d}")
    return days


def make_time_us(hour: int, minute: int, second: float) -> int | None:
    """Microseconds from midnight, or None when a field is out of range."""
    if second != second or not 0 <= hour <= 24 or not 0 <= minute <= 59 or not 0 <= second <= 60:
        return None
    us = (hour * 60 + minute) * 60 * USECS_PER_SEC + round(second * USECS_PER_SEC)
    return us if us <= USECS_PER_DAY else None


@function("make_time")
def _make_time(hour: int, minute: int, second: float) -> int:
    us = make_time_us(hour, minute, second)
    if us is None:
        raise SqlError(
            errcode.DATETIME_FIELD_OVERFLOW, f"time field value out of range: {hour}:{minute:02d}:{_seconds(second)}"
        )
    return us


def _seconds(second: float) -> str:
    text = f"{second:.17g}"
    return "0" + text if second < 10 else text


@function("time_mi_time")
def _time_mi_time(left: int, right: int) -> Interval:
    return Interval(0, 0, left - right)


def check_finite_interval(interval: Interval, verb: str, type_name: str) -> None:
    """22008: times of day cannot be shifted infinitely."""
    if interval in (INTERVAL_NOBEGIN, INTERVAL_NOEND):
        raise SqlError(
            errcode.DATETIME_VALUE_OUT_OF_RANGE, f"cannot {verb} infinite interval {type_name}"
        )


@function("time_pl_interval")
def _time_plus(us: int, interval: Interval) -> int:
    check_finite_interval(interval, "add", "to time")
    return (us + interval.us) % USECS_PER_DAY


@function("time_mi_interval")
def _time_minus(us: int, interval: Interval) -> int:
    check_finite_interval(interval, "subtract", "from time")
    return (us - interval.us) % USECS_PER_DAY


@function("timetz_pl_interval")
def _timetz_plus(value: TimeTz, interval: Interval) -> TimeTz:
    check_finite_interval(interval, "add", "to time")
    return TimeTz((value.us + interval.us) % USECS_PER_DAY, value.zone_seconds_west)


@function("timetz_mi_interval")
def _timetz_minus(value: TimeTz, interval: Interval) -> TimeTz:
    check_finite_interval(interval, "subtract", "from time")
    return TimeTz((value.us - interval.us) % USECS_PER_DAY, value.zone_seconds_west)


@function("time_interval")
def _time_interval(us: int) -> Interval:
    return Interval(0, 0, us)


@function("interval_time")
def _interval_time(value: Interval) -> int:
    if value in (INTERVAL_NOBEGIN, INTERVAL_NOEND):
        raise SqlError(errcode.DATETIME_VALUE_OUT_OF_RANGE, "cannot convert infinite interval to time")
    return value.us % USECS_PER_DAY


@function("timetz_time")
def _timetz_time(value: TimeTz) -> int:
    return value.us


@function("time_timetz")
def _time_timetz(us: int) -> TimeTz:
    midnight = local_now() // USECS_PER_DAY * USECS_PER_DAY
    return TimeTz(us, -local_offset(session_zone(), midnight + us))


def zone_shift(name: str) -> int | Zone:
    """What AT TIME ZONE's text means: seconds east of Greenwich, or a zone; 22023 when unknown."""
    meaning = abbreviation_offset(name) if name[:1].isalpha() else None
    if isinstance(meaning, tuple):
        return meaning[0]
    if meaning is not None:
        return meaning
    zone = load_zone(name)
    if zone is not None:
        return zone
    try:
        # A bare offset counts as in a POSIX zone name: positive is west of Greenwich.
        return -parse_zone_offset(name if name[:1] in ("+", "-") else "+" + name)
    except (BadFormat, ZoneOverflow):
        raise SqlError(errcode.INVALID_PARAMETER_VALUE, f'time zone "{name}" not recognized') from None


def interval_shift(interval: Interval, text: str) -> int:
    """Seconds east of Greenwich of an interval used as zone."""
    if interval.months or interval.days:
        raise SqlError(
            errcode.INVALID_PARAMETER_VALUE, f'interval time zone "{text}" must not include months or days'
        )
    return int(Decimal(interval.us) / USECS_PER_SEC)


def _timetz_at(value: TimeTz, east: int) -> TimeTz:
    us = (value.us + (value.zone_seconds_west + east) * USECS_PER_SEC) % USECS_PER_DAY
    return TimeTz(us, -east)


@function("timetz_zone")
def _timetz_zone(name: str, value: TimeTz) -> TimeTz:
    shift = zone_shift(name)
    return _timetz_at(value, shift if isinstance(shift, int) else instant_offset(shift, now())[0])


@function("timetz_izone")
def _timetz_izone(interval: Interval, value: TimeTz) -> TimeTz:
    return _timetz_at(value, interval_shift(interval, interval_text(interval)))


@function("timetz_at_local")
def _timetz_at_local(value: TimeTz) -> TimeTz:
    return _timetz_at(value, instant_offset(session_zone(), now())[0])


def _overlaps(start_1: Any, end_1: Any, start_2: Any, end_2: Any, compare: Callable[[Any, Any], int]) -> bool | None:
    """SQL's OVERLAPS on half-open periods that may be given backwards or with one end unknown."""
    first = _ordered(start_1, end_1, compare)
    second = _ordered(start_2, end_2, compare)
    if first is None or second is None:
        return None
    (s1, e1), (s2, e2) = first, second
    order = compare(s1, s2)
    if order == 0:
        # Same start: they overlap whatever the ends are, if one of the ends is known on each side.
        return True if e1 is not None and e2 is not None else None
    early_end, late_start = (e2, s1) if order > 0 else (e1, s2)
    if early_end is None:
        return None
    if compare(late_start, early_end) < 0:
        return True
    late_end = e1 if order > 0 else e2
    return None if late_end is None else False


def _ordered(start: Any, end: Any, compare: Callable[[Any, Any], int]) -> tuple[Any, Any] | None:
    if start is None:
        return None if end is None else (end, None)
    if end is None:
        return start, None
    return (end, start) if compare(start, end) > 0 else (start, end)


function("overlaps_time", "overlaps_timestamp")(lambda a, b, c, d: _overlaps(a, b, c, d, _compare))
function("overlaps_timetz")(lambda a, b, c, d: _overlaps(a, b, c, d, timetz_compare))


def time_in_range(value: int, base: int, offset: Interval, sub: bool, less: bool) -> bool:
    """RANGE frame bound on time."""
    if offset == INTERVAL_NOBEGIN or offset.us < 0:
        raise SqlError(
            errcode.INVALID_PRECEDING_OR_FOLLOWING_SIZE, "invalid preceding or following size in window function"
        )
    limit = base - offset.us if sub else base + offset.us
    return value <= limit if less else value >= limit


function("in_range_time_interval")(time_in_range)


@function("in_range_timetz_interval")
def _timetz_in_range(value: TimeTz, base: TimeTz, offset: Interval, sub: bool, less: bool) -> bool:
    time_in_range(0, 0, offset, sub, less)
    limit = TimeTz(base.us - offset.us if sub else base.us + offset.us, base.zone_seconds_west)
    order = timetz_compare(value, limit)
    return order <= 0 if less else order >= 0
