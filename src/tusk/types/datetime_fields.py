"""Parts of dates and times: extract, date_part, date_trunc, date_bin, age."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from tusk.errors import SqlError, errcode
from tusk.types.calendar import (
    POSTGRES_EPOCH_JDATE,
    TIMESTAMP_NOBEGIN,
    UNIX_EPOCH_SECS,
    USECS_PER_DAY,
    USECS_PER_HOUR,
    USECS_PER_MINUTE,
    USECS_PER_SEC,
    Fields,
    assemble,
    break_down,
    day_of_week,
    day_of_year,
    days_in_month,
    from_days,
    iso_week_start,
    iso_year_week,
    to_days,
)
from tusk.types.dates import date_is_finite
from tusk.types.datetime_format import INTERVAL_NOBEGIN, INTERVAL_NOEND
from tusk.types.intervals import INFINITE, make_interval
from tusk.types.intervals import out_of_range as interval_out_of_range
from tusk.types.numeric import add, divide
from tusk.types.numeric_format import make
from tusk.types.registry import function
from tusk.types.timestamps import check_timestamp, is_finite, named_zone, to_local
from tusk.types.timezone import Zone, instant_offset, local_offset, session_zone
from tusk.types.values import Interval

_UNITS: dict[str, str] = {}
for _unit_name, _names in {
    "microseconds": "us usec usecs usecond useconds microsecon",
    "milliseconds": "ms msec msecs msecond mseconds millisecon",
    "second": "s sec secs second seconds",
    "minute": "m min mins minute minutes",
    "hour": "h hr hrs hour hours",
    "day": "d day days",
    "week": "w week weeks",
    "month": "mon mons month months",
    "quarter": "qtr quarter",
    "year": "y yr yrs year years",
    "decade": "dec decs decade decades",
    "century": "c cent century centuries",
    "millennium": "mil mils millennia millennium",
    "timezone": "timezone",
    "timezone_hour": "timezone_h",
    "timezone_minute": "timezone_m",
    "epoch": "epoch",
    "dow": "dow",
    "doy": "doy",
    "isodow": "isodow",
    "isoyear": "isoyear",
    "julian": "j jd julian",
}.items():
    for _name in _names.split():
        _UNITS[_name] = _unit_name

_TIME_UNITS = {"microseconds": 1, "milliseconds": 1000, "second": USECS_PER_SEC, "minute": USECS_PER_MINUTE,
               "hour": USECS_PER_HOUR}  # fmt: skip
_NAMES = {"timestamp": "timestamp without time zone", "timestamptz": "timestamp with time zone",
          "time": "time without time zone", "timetz": "time with time zone", "date": "date",
          "interval": "interval"}  # fmt: skip


def _not_recognized(unit: str, kind: str) -> SqlError:
    return SqlError(errcode.INVALID_PARAMETER_VALUE, f'unit "{unit.lower()}" not recognized for type {_NAMES[kind]}')


def _not_supported(unit: str, kind: str, detail: str | None = None) -> SqlError:
    return SqlError(
        errcode.FEATURE_NOT_SUPPORTED, f'unit "{unit.lower()}" not supported for type {_NAMES[kind]}', detail=detail
    )


def _unit(text: str, kind: str) -> str:
    # Keywords are told apart by their first ten characters.
    unit = _UNITS.get(text.lower()[:10])
    if unit is None:
        raise _not_recognized(text, kind)
    return unit


def _century(year: int, size: int) -> int:
    return (year + size - 1) // size if year > 0 else -((size - 1 - (year - 1)) // size)


def _of_seconds(unit: str, second: int, us: int) -> Decimal:
    total = second * USECS_PER_SEC + us
    if unit == "microseconds":
        return Decimal(total)
    return make(total, 3 if unit == "milliseconds" else 6)


def _of_fields(unit: str, f: Fields) -> Decimal | None:
    """Parts that need the broken-down local time only."""
    days = to_days(f.year, f.month, f.day)
    match unit:
        case "microseconds" | "milliseconds" | "second":
            return _of_seconds(unit, f.second, f.us)
        case "minute" | "hour" | "day" | "month":
            return Decimal(getattr(f, unit))
        case "quarter":
            return Decimal((f.month - 1) // 3 + 1)
        case "week":
            return Decimal(iso_year_week(days)[1])
        case "year":
            return Decimal(f.year if f.year > 0 else f.year - 1)
        case "isoyear":
            year = iso_year_week(days)[0]
            return Decimal(year if year > 0 else year - 1)
        case "decade":
            return Decimal(f.year // 10)
        case "century":
            return Decimal(_century(f.year, 100))
        case "millennium":
            return Decimal(_century(f.year, 1000))
        case "dow":
            return Decimal(day_of_week(days))
        case "isodow":
            return Decimal(day_of_week(days) or 7)
        case "doy":
            return Decimal(day_of_year(f.year, f.month, f.day))
        case "julian":
            us = ((f.hour * 60 + f.minute) * 60 + f.second) * USECS_PER_SEC + f.us
            return _julian(days + POSTGRES_EPOCH_JDATE, us)
    return None


def _julian(day: int, us: int) -> Decimal:
    return add(Decimal(day), divide(Decimal(us), Decimal(USECS_PER_DAY)))


_MONOTONIC = ("year", "decade", "century", "millennium", "julian", "isoyear", "epoch")


def _infinite(unit: str, text: str, kind: str, negative: bool) -> Decimal | None:
    if unit in _MONOTONIC:
        return Decimal("-Infinity" if negative else "Infinity")
    if unit.startswith("timezone") and kind == "timestamp":
        raise _not_supported(text, kind)
    return None


def _zone_part(unit: str, east: int) -> Decimal:
    sign = -1 if east < 0 else 1
    if unit == "timezone":
        return Decimal(east)
    if unit == "timezone_hour":
        return Decimal(sign * (abs(east) // 3600))
    return Decimal(sign * (abs(east) // 60 % 60))


def _timestamp_part(text: str, us: int) -> Decimal | None:
    unit = _unit(text, "timestamp")
    if not is_finite(us):
        return _infinite(unit, text, "timestamp", us == TIMESTAMP_NOBEGIN)
    if unit == "epoch":
        return make(us + UNIX_EPOCH_SECS * USECS_PER_SEC, 6)
    value = _of_fields(unit, break_down(us))
    if value is None:
        raise _not_supported(text, "timestamp")
    return value


def _timestamptz_part(text: str, us: int) -> Decimal | None:
    unit = _unit(text, "timestamptz")
    if not is_finite(us):
        return _infinite(unit, text, "timestamptz", us == TIMESTAMP_NOBEGIN)
    if unit == "epoch":
        return make(us + UNIX_EPOCH_SECS * USECS_PER_SEC, 6)
    east = instant_offset(session_zone(), us)[0]
    if unit.startswith("timezone"):
        return _zone_part(unit, east)
    return _of_fields(unit, break_down(us + east * USECS_PER_SEC))


def _date_part(text: str, days: int) -> Decimal | None:
    unit = _unit(text, "date")
    if unit in _TIME_UNITS or unit.startswith("timezone"):
        raise _not_supported(text, "date")
    if not date_is_finite(days):
        return _infinite(unit, text, "date", days < 0)
    if unit == "epoch":
        return Decimal(days * 86400 + UNIX_EPOCH_SECS)
    if unit == "julian":
        return Decimal(days + POSTGRES_EPOCH_JDATE)
    return _of_fields(unit, Fields(*from_days(days)))


def _time_part(text: str, us: int, kind: str = "time", west: int = 0) -> Decimal:
    unit = _unit(text, kind)
    hour, rest = divmod(us, USECS_PER_HOUR)
    minute, rest = divmod(rest, USECS_PER_MINUTE)
    second, fraction = divmod(rest, USECS_PER_SEC)
    match unit:
        case "microseconds" | "milliseconds" | "second":
            return _of_seconds(unit, second, fraction)
        case "minute":
            return Decimal(minute)
        case "hour":
            return Decimal(hour)
        case "epoch":
            return make(us + west * USECS_PER_SEC, 6)
        case "timezone" | "timezone_hour" | "timezone_minute" if kind == "timetz":
            return _zone_part(unit, -west)
    raise _not_supported(text, kind)


def _interval_part(text: str, value: Interval) -> Decimal | None:
    unit = _unit(text, "interval")
    if value in INFINITE:
        if unit in ("hour", "day", "week", "year", "decade", "century", "millennium", "epoch"):
            return Decimal("-Infinity" if value == INTERVAL_NOBEGIN else "Infinity")
        if unit in ("microseconds", "milliseconds", "second", "minute", "month", "quarter"):
            return None
        raise _not_supported(text, "interval")
    sign = -1 if value.us < 0 else 1
    rest = abs(value.us)
    month_sign = -1 if value.months < 0 else 1
    years, months = divmod(abs(value.months), 12)
    years, months = month_sign * years, month_sign * months
    match unit:
        case "microseconds" | "milliseconds" | "second":
            return _of_seconds(unit, 0, sign * (rest % USECS_PER_MINUTE))
        case "minute":
            return Decimal(sign * (rest // USECS_PER_MINUTE % 60))
        case "hour":
            return Decimal(sign * (rest // USECS_PER_HOUR))
        case "day":
            return Decimal(value.days)
        case "week":
            return Decimal(_truncated(value.days, 7))
        case "month":
            return Decimal(months)
        case "quarter":
            # Quarters count from the start of the year, also of a negative one.
            return Decimal(months // 3 + 1 if value.months >= 0 else -(-months // 3 + 1))
        case "year":
            return Decimal(years)
        case "decade":
            return Decimal(_truncated(years, 10))
        case "century":
            return Decimal(_truncated(years, 100))
        case "millennium":
            return Decimal(_truncated(years, 1000))
        case "epoch":
            # A year has 365.25 days here, a month beyond whole years 30.
            seconds_4 = years * 1461 * 86400 + (months * 30 + value.days) * 4 * 86400
            return make(seconds_4 * (USECS_PER_SEC // 4) + value.us, 6)
    raise _not_supported(text, "interval")


def _truncated(value: int, unit: int) -> int:
    return abs(value) // unit * (1 if value >= 0 else -1)


def _register_part(kind: str, part: Callable[[str, Any], Decimal | None]) -> None:
    function("extract_" + kind)(part)

    def as_float(unit: str, value: Any) -> float | None:
        found = part(unit, value)
        return None if found is None else float(found)

    function(kind + "_part")(as_float)


_register_part("timestamp", _timestamp_part)
_register_part("timestamptz", _timestamptz_part)
_register_part("date", _date_part)
_register_part("time", _time_part)
_register_part("timetz", lambda unit, value: _time_part(unit, value.us, "timetz", value.zone_seconds_west))
_register_part("interval", _interval_part)


def _trunc_fields(unit: str, text: str, us: int, kind: str) -> int:
    """Local timestamp cut down to a unit."""
    size = _TIME_UNITS.get(unit)
    if size is not None:
        return us - us % size
    f = break_down(us)
    year, month, day = f.year, f.month, f.day
    match unit:
        case "day":
            pass
        case "week":
            days = to_days(year, month, day)
            return iso_week_start(iso_year_week(days)[0]) * USECS_PER_DAY + (
                (iso_year_week(days)[1] - 1) * 7 * USECS_PER_DAY
            )
        case "month":
            day = 1
        case "quarter":
            month, day = (month - 1) // 3 * 3 + 1, 1
        case "year":
            month = day = 1
        case "decade":
            year, month, day = (year // 10 * 10 if year > 0 else -((8 - (year - 1)) // 10) * 10), 1, 1
        case "century":
            year, month, day = (
                ((year + 99) // 100 * 100 - 99 if year > 0 else -((99 - (year - 1)) // 100) * 100 + 1),
                1,
                1,
            )
        case "millennium":
            year, month, day = (
                ((year + 999) // 1000 * 1000 - 999 if year > 0 else -((999 - (year - 1)) // 1000) * 1000 + 1), 1, 1
            )  # fmt: skip
        case _:
            raise _not_supported(text, kind)
    return assemble(Fields(year, month, day))


@function("timestamp_trunc")
def _timestamp_trunc(text: str, us: int) -> int:
    unit = _unit(text, "timestamp")
    if not is_finite(us):
        _check_trunc_unit(unit, text, "timestamp")
        return us
    return check_timestamp(_trunc_fields(unit, text, us, "timestamp"))


def _check_trunc_unit(unit: str, text: str, kind: str) -> None:
    if unit in ("timezone", "timezone_hour", "timezone_minute", "epoch", "dow", "doy", "isodow", "isoyear", "julian"):
        raise _not_supported(text, kind)


def _trunc_zone(text: str, us: int, zone: Zone) -> int:
    unit = _unit(text, "timestamptz")
    if not is_finite(us):
        _check_trunc_unit(unit, text, "timestamptz")
        return us
    east = instant_offset(zone, us)[0]
    local = _trunc_fields(unit, text, us + east * USECS_PER_SEC, "timestamptz")
    if unit not in _TIME_UNITS:
        # Another day may have another offset.
        east = local_offset(zone, local)
    return check_timestamp(local - east * USECS_PER_SEC)


@function("timestamptz_trunc")
def _timestamptz_trunc(text: str, us: int) -> int:
    return _trunc_zone(text, us, session_zone())


@function("timestamptz_trunc_zone")
def _timestamptz_trunc_zone(text: str, us: int, zone: str) -> int:
    return _trunc_zone(text, us, named_zone(zone))


@function("interval_trunc")
def _interval_trunc(text: str, value: Interval) -> Interval:
    unit = _unit(text, "interval")
    if unit == "week":
        raise _not_supported(text, "interval", "Months usually have fractional weeks.")
    per_month = {"month": 1, "quarter": 3, "year": 12, "decade": 120, "century": 1200, "millennium": 12000}
    if unit not in per_month and unit not in _TIME_UNITS and unit != "day":
        raise _not_supported(text, "interval")
    if value in INFINITE:
        return value
    if unit in per_month:
        return Interval(_truncated(value.months, per_month[unit]) * per_month[unit], 0, 0)
    if unit == "day":
        return Interval(value.months, value.days, 0)
    size = _TIME_UNITS[unit]
    return Interval(value.months, value.days, _truncated(value.us, size) * size)


@function("timestamp_bin", "timestamptz_bin")
def _bin(stride: Interval, us: int, origin: int) -> int:
    if not is_finite(us):
        return us
    if not is_finite(origin):
        raise SqlError(errcode.DATETIME_VALUE_OUT_OF_RANGE, "origin out of range")
    if stride in INFINITE:
        raise SqlError(errcode.DATETIME_VALUE_OUT_OF_RANGE, "timestamps cannot be binned into infinite intervals")
    if stride.months:
        raise SqlError(
            errcode.FEATURE_NOT_SUPPORTED,
            "timestamps cannot be binned into intervals containing months or years",
        )
    size = stride.days * USECS_PER_DAY + stride.us
    if size <= 0:
        raise SqlError(errcode.DATETIME_VALUE_OUT_OF_RANGE, "stride must be greater than zero")
    if not -(1 << 63) <= us - origin < 1 << 63 or size >= 1 << 63:
        raise interval_out_of_range()
    return check_timestamp(us - (us - origin) % size)


def _age(left: int, right: int) -> Interval:
    """Difference in years, months, days and time, counted by the calendar."""
    if not (is_finite(left) and is_finite(right)):
        if left == right:
            raise interval_out_of_range()
        up = left > right
        return INTERVAL_NOEND if up else INTERVAL_NOBEGIN
    a, b = break_down(left), break_down(right)
    year, month, day, hour, minute, second, us = (x - y for x, y in zip(a, b, strict=True))
    sign = 1
    if left < right:
        sign = -1
        year, month, day, hour, minute, second, us = -year, -month, -day, -hour, -minute, -second, -us
    time = ((hour * 60 + minute) * 60 + second) * USECS_PER_SEC + us
    while time < 0:
        time += USECS_PER_DAY
        day -= 1
    borrow = a if left < right else b
    while day < 0:
        day += days_in_month(borrow.year, borrow.month)
        month -= 1
    while month < 0:
        month += 12
        year -= 1
    return make_interval(sign * (year * 12 + month), sign * day, sign * time)


@function("timestamp_age")
def _timestamp_age(left: int, right: int) -> Interval:
    return _age(left, right)


@function("timestamptz_age")
def _timestamptz_age(left: int, right: int) -> Interval:
    return _age(to_local(left), to_local(right))
