"""Writing dates, times, timestamps and intervals in the styles of DateStyle and IntervalStyle."""

from tusk.types.calendar import (
    DATE_NOBEGIN,
    DATE_NOEND,
    DAY_NAMES,
    MONTHS,
    TIMESTAMP_NOBEGIN,
    TIMESTAMP_NOEND,
    USECS_PER_HOUR,
    USECS_PER_MINUTE,
    USECS_PER_SEC,
    Fields,
    break_down,
    day_of_week,
    from_days,
    to_days,
)
from tusk.types.datetime_parse import date_style
from tusk.types.registry import setting
from tusk.types.timezone import instant_offset, offset_text, session_zone
from tusk.types.values import Interval

INTERVAL_NOEND = Interval(0x7FFFFFFF, 0x7FFFFFFF, 0x7FFFFFFFFFFFFFFF)
INTERVAL_NOBEGIN = Interval(-0x80000000, -0x80000000, -0x8000000000000000)


def seconds_text(second: int, us: int) -> str:
    """ss[.ffffff] without trailing zeros."""
    return f"{second:02d}.{us:06d}".rstrip("0") if us else f"{second:02d}"


def time_text(us: int) -> str:
    """hh:mm:ss[.ffffff]."""
    hour, rest = divmod(us, USECS_PER_HOUR)
    minute, rest = divmod(rest, USECS_PER_MINUTE)
    second, fraction = divmod(rest, USECS_PER_SEC)
    return f"{hour:02d}:{minute:02d}:{seconds_text(second, fraction)}"


def _date_part(year: int, month: int, day: int, style: str, order: str) -> str:
    shown = year if year > 0 else 1 - year
    if style == "ISO":
        return f"{shown:04d}-{month:02d}-{day:02d}"
    if style == "GERMAN":
        return f"{day:02d}.{month:02d}.{shown:04d}"
    separator = "/" if style == "SQL" else "-"
    first, second = (day, month) if order == "DMY" else (month, day)
    return f"{first:02d}{separator}{second:02d}{separator}{shown:04d}"


def date_text(days: int) -> str:
    """Text form of a date."""
    if days == DATE_NOBEGIN:
        return "-infinity"
    if days == DATE_NOEND:
        return "infinity"
    style, order = date_style()
    year, month, day = from_days(days)
    text = _date_part(year, month, day, style, order)
    return text if year > 0 else text + " BC"


def _stamp(fields: Fields, offset: tuple[int, bool, str] | None, style: str, order: str) -> str:
    year, month, day, hour, minute, second, us = fields
    clock = f"{hour:02d}:{minute:02d}:{seconds_text(second, us)}"
    if style == "ISO":
        shown = year if year > 0 else 1 - year
        text = f"{shown:04d}-{month:02d}-{day:02d} {clock}"
        if offset is not None:
            text += offset_text(offset[0])
    elif style == "POSTGRES":
        weekday = DAY_NAMES[day_of_week(to_days(year, month, day))][:3]
        middle = f"{day:02d} {MONTHS[month - 1]}" if order == "DMY" else f"{MONTHS[month - 1]} {day:02d}"
        text = f"{weekday} {middle} {clock} {year if year > 0 else 1 - year:04d}"
        if offset is not None:
            text += " " + (offset[2] or offset_text(offset[0]))
    else:
        text = f"{_date_part(year, month, day, style, order)} {clock}"
        if offset is not None:
            text += " " + offset[2] if offset[2] else offset_text(offset[0])
    return text if year > 0 else text + " BC"


def timestamp_text(us: int) -> str:
    """Text form of a timestamp."""
    if us == TIMESTAMP_NOBEGIN:
        return "-infinity"
    if us == TIMESTAMP_NOEND:
        return "infinity"
    return _stamp(break_down(us), None, *date_style())


def timestamptz_text(us: int) -> str:
    """Text form of a timestamptz in the session's zone."""
    if us == TIMESTAMP_NOBEGIN:
        return "-infinity"
    if us == TIMESTAMP_NOEND:
        return "infinity"
    offset = instant_offset(session_zone(), us)
    return _stamp(break_down(us + offset[0] * USECS_PER_SEC), offset, *date_style())


def json_timestamp(us: int, east: int | None) -> str:
    """The form that JSON uses: ISO 8601 with a T, and the full zone offset."""
    if us == TIMESTAMP_NOBEGIN:
        return "-infinity"
    if us == TIMESTAMP_NOEND:
        return "infinity"
    fields = break_down(us + (east or 0) * USECS_PER_SEC)
    shown = fields.year if fields.year > 0 else 1 - fields.year
    text = f"{shown:04d}-{fields.month:02d}-{fields.day:02d}T{fields.hour:02d}:{fields.minute:02d}:"
    text += seconds_text(fields.second, fields.us)
    if east is not None:
        text += full_offset_text(east)
    return text if fields.year > 0 else text + " BC"


def full_offset_text(east: int) -> str:
    """+hh:mm[:ss]."""
    text = offset_text(east)
    return text if ":" in text else text + ":00"


def _split_time(us: int) -> tuple[int, int, int, int]:
    """Hours, minutes, seconds, microseconds, all with the sign of the whole."""
    sign = -1 if us < 0 else 1
    hour, rest = divmod(abs(us), USECS_PER_HOUR)
    minute, rest = divmod(rest, USECS_PER_MINUTE)
    second, fraction = divmod(rest, USECS_PER_SEC)
    return sign * hour, sign * minute, sign * second, sign * fraction


def _years_months(months: int) -> tuple[int, int]:
    sign = -1 if months < 0 else 1
    year, month = divmod(abs(months), 12)
    return sign * year, sign * month


def interval_text(value: Interval) -> str:
    """Text form of an interval."""
    if value == INTERVAL_NOEND:
        return "infinity"
    if value == INTERVAL_NOBEGIN:
        return "-infinity"
    style = setting("IntervalStyle", "postgres").lower()
    if style == "iso_8601":
        return _iso_text(value)
    if style == "sql_standard":
        return _sql_text(value)
    if style == "postgres_verbose":
        return _verbose_text(value)
    return _postgres_text(value)


def _postgres_text(value: Interval) -> str:
    year, month = _years_months(value.months)
    parts: list[str] = []
    before_negative = False
    for number, unit in ((year, "year"), (month, "mon"), (value.days, "day")):
        if number:
            plus = "+" if before_negative and number > 0 else ""
            parts.append(f"{plus}{number} {unit}{'' if number == 1 else 's'}")
            before_negative = number < 0
    if not parts or value.us:
        minus = value.us < 0
        sign = "-" if minus else "+" if before_negative else ""
        parts.append(sign + time_text(abs(value.us)))
    return " ".join(parts)


def _verbose_text(value: Interval) -> str:
    year, month = _years_months(value.months)
    hour, minute, second, us = _split_time(value.us)
    text = "@"
    is_zero, is_before = True, False
    for number, unit in ((year, "year"), (month, "mon"), (value.days, "day"), (hour, "hour"), (minute, "min")):
        if not number:
            continue
        if is_zero:
            is_before = number < 0
            number = abs(number)
        elif is_before:
            number = -number
        text += f" {number} {unit}{'' if number == 1 else 's'}"
        is_zero = False
    if second or us:
        negative = second < 0 or us < 0
        if is_zero:
            is_before = negative
        elif is_before:
            negative = not negative
        sign = "-" if negative and not is_zero else ""
        fraction = f".{abs(us):06d}".rstrip("0") if us else ""
        text += f" {sign}{abs(second)}{fraction} sec{'' if abs(second) == 1 and not us else 's'}"
        is_zero = False
    if is_zero:
        text += " 0"
    return text + (" ago" if is_before else "")


def _sql_text(value: Interval) -> str:
    year, month = _years_months(value.months)
    hour, minute, second, us = _split_time(value.us)
    day = value.days
    parts = (value.months, day, value.us)
    negative, positive = any(p < 0 for p in parts), any(p > 0 for p in parts)
    has_year_month, has_day_time = value.months != 0, day != 0 or value.us != 0
    sign = ""
    if negative and not positive:
        sign = "-"
    seconds = seconds_text(abs(second), abs(us))
    if not (negative or positive):
        return "0"
    if (negative and positive) or (has_year_month and has_day_time):
        year_sign, day_sign, time_sign = ("-" if part < 0 else "+" for part in parts)
        return (
            f"{year_sign}{abs(year)}-{abs(month)} {day_sign}{abs(day)} "
            f"{time_sign}{abs(hour)}:{abs(minute):02d}:{seconds}"
        )
    if has_year_month:
        return f"{sign}{abs(year)}-{abs(month)}"
    if day:
        return f"{sign}{abs(day)} {abs(hour)}:{abs(minute):02d}:{seconds}"
    return f"{sign}{abs(hour)}:{abs(minute):02d}:{seconds}"


def _iso_text(value: Interval) -> str:
    year, month = _years_months(value.months)
    hour, minute, second, us = _split_time(value.us)
    if value == (0, 0, 0):
        return "PT0S"
    text = "P" + "".join(f"{n}{unit}" for n, unit in ((year, "Y"), (month, "M"), (value.days, "D")) if n)
    if value.us:
        text += "T" + "".join(f"{n}{unit}" for n, unit in ((hour, "H"), (minute, "M")) if n)
        if second or us:
            sign = "-" if second < 0 or us < 0 else ""
            fraction = f".{abs(us):06d}".rstrip("0") if us else ""
            text += f"{sign}{abs(second)}{fraction}S"
    return text
