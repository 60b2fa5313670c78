"""Reading intervals: PostgreSQL's verbose and abbreviated forms, SQL standard literals and ISO 8601 durations."""

import re
from decimal import Decimal

from tusk.errors import SqlError, errcode
from tusk.types.calendar import USECS_PER_DAY, USECS_PER_HOUR, USECS_PER_MINUTE, USECS_PER_SEC
from tusk.types.datetime_format import INTERVAL_NOBEGIN, INTERVAL_NOEND
from tusk.types.datetime_parse import BadFormat, FieldOverflow, raise_for
from tusk.types.registry import setting
from tusk.types.values import Interval

# Field bits of an interval typmod (utils/timestamp.h: INTERVAL_MASK of utils/datetime.h's field numbers).
MONTH, YEAR, DAY, HOUR, MINUTE, SECOND = 1 << 1, 1 << 2, 1 << 3, 1 << 10, 1 << 11, 1 << 12
FULL_RANGE, FULL_PRECISION = 0x7FFF, 0xFFFF

_UNITS: dict[str, str] = {}
for _unit, _names in {
    "us": "us usec usecs usecond useconds microsecond microseconds microsecon",
    "ms": "ms msec msecs msecond mseconds millisecond milliseconds millisecon",
    "second": "s sec secs second seconds",
    "minute": "m min mins minute minutes",
    "hour": "h hr hrs hour hours",
    "day": "d day days",
    "week": "w week weeks",
    "month": "mon mons month months",
    "year": "y yr yrs year years",
    "decade": "dec decs decade decades",
    "century": "c cent century centuries",
    "millennium": "mil mils millennia millennium",
}.items():
    for _name in _names.split():
        _UNITS[_name] = _unit
_MONTHS_PER = {"month": 1, "year": 12, "decade": 120, "century": 1200, "millennium": 12000}
_US_PER = {"us": 1, "ms": 1000, "second": USECS_PER_SEC, "minute": USECS_PER_MINUTE, "hour": USECS_PER_HOUR}

_TOKEN = re.compile(
    r"\s*(?:([+-]?\s*\d+:\d*(?::\d*)?(?:\.\d*)?)"  # 1 clock
    r"|([+-]?\s*\d+-\d+)(?![\d.])"  # 2 years-months
    r"|([+-]?\s*(?:\d+(?:\.\d*)?|\.\d+))(?![eE][+-]?\d)"  # 3 number
    r"|([+-]\s*[A-Za-z]+)"  # 4 signed word
    r"|([A-Za-z]+)"  # 5 word
    r"|([^\w\s+-]))"  # 6 punctuation
)


class _Sum:
    """Parts of an interval while it is being read; checks their ranges as they grow."""

    def __init__(self) -> None:
        self.months = self.days = self.us = 0

    def add(self, unit: str, number: Decimal) -> None:
        whole = int(number)
        fraction = number - whole
        per_month = _MONTHS_PER.get(unit)
        if per_month is not None:
            self.months += whole * per_month
            if unit == "month":
                self.add_days(fraction * 30)
            else:
                self.months += int((fraction * per_month).to_integral_value())
        elif unit == "week":
            self.days += whole * 7
            self.add_days(fraction * 7)
        elif unit == "day":
            self.add_days(number)
        else:
            self.us += int((number * _US_PER[unit]).to_integral_value())
        self.check()

    def add_days(self, number: Decimal) -> None:
        whole = int(number)
        self.days += whole
        self.us += int(((number - whole) * USECS_PER_DAY).to_integral_value())

    def check(self) -> None:
        bound = 1 << 31
        if not (-bound <= self.months < bound and -bound <= self.days < bound and -(1 << 63) <= self.us < 1 << 63):
            raise FieldOverflow

    def negate(self) -> None:
        self.months, self.days, self.us = -self.months, -self.days, -self.us


def _tokens(text: str) -> list[tuple[str, str]]:
    kinds = ("clock", "ym", "number", "signed", "word", "punct")
    found = []
    position = 0
    stripped = text.rstrip()
    while position < len(stripped):
        match = _TOKEN.match(stripped, position)
        if match is None or match.lastindex is None:
            raise BadFormat
        kind = kinds[match.lastindex - 1]
        if kind != "punct":
            found.append((kind, match[match.lastindex].replace(" ", "").lower()))
        position = match.end()
    return found


def _clock(text: str, range_mask: int) -> tuple[int, bool]:
    """Microseconds of [+-]h:m[:s[.f]], and whether it had a minus sign."""
    negative = text[0] == "-"
    body, dot, fraction = text.lstrip("+-").partition(".")
    parts = body.split(":")
    if any(not part for part in parts[:2]) or (dot and fraction and not fraction.isdigit()):
        raise BadFormat
    numbers = [int(part) for part in parts if part]
    if len(numbers) == 2 and (dot or range_mask == MINUTE | SECOND):
        numbers.insert(0, 0)
    hour, minute, second = (*numbers, 0)[:3]
    if minute > 59 or second > 60:
        raise FieldOverflow
    us = hour * USECS_PER_HOUR + minute * USECS_PER_MINUTE + second * USECS_PER_SEC
    if fraction:
        us += int((Decimal("0." + fraction) * USECS_PER_SEC).to_integral_value())
    return (-us if negative else us), negative


def _default_unit(range_mask: int) -> str:
    """What a number without a unit counts, by the fields that the typmod allows."""
    if range_mask in (YEAR,):
        return "year"
    if range_mask in (MONTH, YEAR | MONTH):
        return "month"
    if range_mask == DAY:
        return "day"
    if range_mask in (HOUR, DAY | HOUR):
        return "hour"
    if range_mask in (MINUTE, HOUR | MINUTE, DAY | HOUR | MINUTE):
        return "minute"
    return "second"


def _decode(text: str, range_mask: int) -> Interval:
    tokens = _tokens(text)
    if not tokens:
        raise BadFormat
    words = [token for token in tokens if token[0] in ("word", "signed")]
    if len(tokens) == 1 and words and tokens[0][1] in ("infinity", "+infinity", "-infinity"):
        return INTERVAL_NOBEGIN if tokens[0][1][0] == "-" else INTERVAL_NOEND
    total = _Sum()
    # In SQL standard style one leading minus negates every field, if no other field has a sign.
    force_negative = (
        setting("IntervalStyle", "postgres").lower() == "sql_standard"
        and tokens[0][1][0] == "-"
        and not any(value[0] in "+-" for _, value in tokens[1:])
    )
    seen: set[str] = set()
    unit = ""
    pending_word = False
    ago = False
    for index in range(len(tokens) - 1, -1, -1):
        kind, value = tokens[index]
        if kind == "word":
            if value == "ago":
                if index != len(tokens) - 1:
                    raise BadFormat
                ago = True
            elif pending_word or value not in _UNITS:
                raise BadFormat
            else:
                unit = _UNITS[value]
                pending_word = True
            continue
        if kind == "signed":
            raise BadFormat
        if kind == "clock":
            if pending_word or "time" in seen:
                raise BadFormat
            us, _ = _clock(value, range_mask)
            if force_negative and us > 0:
                us = -us
            total.us += us
            seen.add("time")
            # What stands before a clock counts days.
            unit = "day"
            total.check()
            continue
        if kind == "ym":
            _check_repeated(seen, "ym")
            negative = value[0] == "-"
            years, months = (int(part) for part in value.lstrip("+-").split("-"))
            if months >= 12:
                raise FieldOverflow
            count = years * 12 + months
            total.months += -count if negative or force_negative else count
            total.check()
            pending_word = False
            continue
        if not unit:
            unit = _default_unit(range_mask)
        number = Decimal(value)
        if abs(number) >= 1 << 63:
            raise FieldOverflow
        if force_negative and number > 0:
            number = -number
        _check_repeated(seen, unit)
        total.add(unit, number)
        pending_word = False
    if pending_word:
        raise BadFormat
    if ago:
        total.negate()
    return Interval(total.months, total.days, total.us)


def _check_repeated(seen: set[str], unit: str) -> None:
    groups = {"us": "us", "ms": "ms"}
    key = groups.get(unit, unit)
    if key in seen or (key == "ym" and ({"year", "month"} & seen)):
        raise BadFormat
    if "time" in seen and key in ("hour", "minute", "second"):
        raise BadFormat
    seen.add(key)


_ISO = re.compile(
    r"P(?:([+-]?\d*\.?\d*)Y)?(?:([+-]?\d*\.?\d*)M)?(?:([+-]?\d*\.?\d*)W)?(?:([+-]?\d*\.?\d*)D)?"
    r"(?:T(?:([+-]?\d*\.?\d*)H)?(?:([+-]?\d*\.?\d*)M)?(?:([+-]?\d*\.?\d*)S)?)?"
)
_ISO_UNITS = ("year", "month", "week", "day", "hour", "minute", "second")
_ISO_ALTERNATIVE = re.compile(
    r"P([+-]?\d+)-([+-]?\d+)-([+-]?\d+)(?:T([+-]?\d+):(\d+)(?::(\d+(?:\.\d*)?))?)?"
    r"|P(?:([+-]?\d{4})(\d\d)(\d\d))(?:T(\d\d)(\d\d)(\d\d(?:\.\d*)?))?"
)


def _decode_iso(text: str) -> Interval | None:
    match = _ISO.fullmatch(text)
    total = _Sum()
    if match is not None and any(match.groups()):
        for unit, number in zip(_ISO_UNITS, match.groups(), strict=True):
            if number is not None:
                if not any(c.isdigit() for c in number):
                    return None
                total.add(unit, Decimal(number))
        return Interval(total.months, total.days, total.us)
    match = _ISO_ALTERNATIVE.fullmatch(text)
    if match is None:
        return None
    groups = match.groups()[:6] if match[1] is not None else match.groups()[6:]
    for unit, number in zip(("year", "month", "day", "hour", "minute", "second"), groups, strict=True):
        if number is not None:
            total.add(unit, Decimal(number))
    return Interval(total.months, total.days, total.us)


def parse_interval(text: str, typmod: int = -1) -> Interval:
    """Value of the text form, restricted by the typmod."""
    range_mask = FULL_RANGE if typmod < 0 else typmod >> 16 & 0x7FFF
    try:
        body = text.strip(" \t\n\v\f\r")
        value = _decode_iso(body) if body.startswith("P") else None
        if value is None:
            value = _decode(body, range_mask)
    except (BadFormat, FieldOverflow) as error:
        raise raise_for(error, text, "interval") from error
    return apply_typmod(value, typmod)


def apply_typmod(value: Interval, typmod: int) -> Interval:
    """Drop the fields that the typmod excludes and round the seconds."""
    if typmod < 0 or value in (INTERVAL_NOBEGIN, INTERVAL_NOEND):
        return value
    range_mask, precision = typmod >> 16 & 0x7FFF, typmod & 0xFFFF
    months, days, us = value
    if range_mask != FULL_RANGE:
        if range_mask == YEAR:
            months = _truncate(months, 12)
        if range_mask in (YEAR, MONTH, YEAR | MONTH):
            days = us = 0
        elif range_mask == DAY:
            us = 0
        elif not range_mask & (MINUTE | SECOND):
            us = _truncate(us, USECS_PER_HOUR)
        elif not range_mask & SECOND:
            us = _truncate(us, USECS_PER_MINUTE)
    if precision < 6:
        us = round_us(us, precision)
        if not -(1 << 63) <= us < 1 << 63:
            raise SqlError(errcode.DATETIME_VALUE_OUT_OF_RANGE, "interval out of range")
    return Interval(months, days, us)


def _truncate(value: int, unit: int) -> int:
    return value - value % unit if value >= 0 else -(-value - -value % unit)


def round_us(us: int, precision: int) -> int:
    """Round microseconds half away from zero to a number of fractional digits of the second."""
    scale: int = 10 ** (6 - precision)
    if us >= 0:
        return (us + scale // 2) // scale * scale
    return -((-us + scale // 2) // scale * scale)
