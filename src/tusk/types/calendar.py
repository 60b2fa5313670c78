"""Calendar arithmetic on the proleptic Gregorian calendar, for years far beyond what the standard library covers.

Days count from 2000-01-01, microseconds from that day's midnight; Julian day numbers as PostgreSQL's 'J' dates.
"""

from typing import NamedTuple

USECS_PER_SEC = 1_000_000
USECS_PER_MINUTE = 60 * USECS_PER_SEC
USECS_PER_HOUR = 3600 * USECS_PER_SEC
USECS_PER_DAY = 86400 * USECS_PER_SEC
SECS_PER_DAY = 86400
POSTGRES_EPOCH_JDATE = 2451545
UNIX_EPOCH_JDATE = 2440588
UNIX_EPOCH_SECS = (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * SECS_PER_DAY

DATE_NOBEGIN, DATE_NOEND = -0x80000000, 0x7FFFFFFF
TIMESTAMP_NOBEGIN, TIMESTAMP_NOEND = -0x8000000000000000, 0x7FFFFFFFFFFFFFFF
MIN_TIMESTAMP, END_TIMESTAMP = -211813488000000000, 9223371331200000000
MIN_DATE, END_DATE = -POSTGRES_EPOCH_JDATE, 2147483494 - POSTGRES_EPOCH_JDATE

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
MONTH_NAMES = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
               "November", "December")  # fmt: skip
DAY_NAMES = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
_MONTH_DAYS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


class Fields(NamedTuple):
    """A broken-down local time; year 0 is 1 BC."""

    year: int
    month: int
    day: int
    hour: int = 0
    minute: int = 0
    second: int = 0
    us: int = 0


def is_leap(year: int) -> bool:
    """Has the year a 29th of February?"""
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


def days_in_month(year: int, month: int) -> int:
    """Length of a month."""
    return 29 if month == 2 and is_leap(year) else _MONTH_DAYS[month - 1]


def to_days(year: int, month: int, day: int) -> int:
    """Days from 2000-01-01; month and day are in range."""
    year -= month <= 2
    era, year_of_era = divmod(year, 400)
    day_of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    day_of_era = year_of_era * 365 + year_of_era // 4 - year_of_era // 100 + day_of_year
    return era * 146097 + day_of_era - 730425


def from_days(days: int) -> tuple[int, int, int]:
    """Year, month and day of a day number."""
    era, day_of_era = divmod(days + 730425, 146097)
    year_of_era = (day_of_era - day_of_era // 1460 + day_of_era // 36524 - day_of_era // 146096) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    shifted = (5 * day_of_year + 2) // 153
    day = day_of_year - (153 * shifted + 2) // 5 + 1
    month = shifted + 3 if shifted < 10 else shifted - 9
    return era * 400 + year_of_era + (month <= 2), month, day


def break_down(us: int) -> Fields:
    """Fields of a finite timestamp."""
    days, rest = divmod(us, USECS_PER_DAY)
    year, month, day = from_days(days)
    seconds, fraction = divmod(rest, USECS_PER_SEC)
    minutes, second = divmod(seconds, 60)
    hour, minute = divmod(minutes, 60)
    return Fields(year, month, day, hour, minute, second, fraction)


def time_of_day(hour: int, minute: int, second: int, us: int) -> int:
    """Microseconds from midnight."""
    return ((hour * 60 + minute) * 60 + second) * USECS_PER_SEC + us


def assemble(fields: Fields) -> int:
    """The timestamp of the fields; may be out of range."""
    days = to_days(fields.year, fields.month, fields.day)
    return days * USECS_PER_DAY + time_of_day(fields.hour, fields.minute, fields.second, fields.us)


def day_of_week(days: int) -> int:
    """0 is Sunday."""
    return (days + 6) % 7


def day_of_year(year: int, month: int, day: int) -> int:
    """From 1."""
    return to_days(year, month, day) - to_days(year, 1, 1) + 1


def iso_week_start(year: int) -> int:
    """Day number of the Monday of ISO week 1."""
    fourth = to_days(year, 1, 4)
    return fourth - (day_of_week(fourth) + 6) % 7


def iso_year_week(days: int) -> tuple[int, int]:
    """ISO year and week of a day number."""
    year = from_days(days)[0]
    if days >= iso_week_start(year + 1):
        year += 1
    elif days < iso_week_start(year):
        year -= 1
    return year, (days - iso_week_start(year)) // 7 + 1


def add_months(year: int, month: int, day: int, months: int) -> tuple[int, int, int]:
    """Shift by months, the day clipped to the month's length."""
    year, index = divmod(year * 12 + month - 1 + months, 12)
    return year, index + 1, min(day, days_in_month(year, index + 1))
