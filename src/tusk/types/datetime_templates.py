"""to_char for dates, times and intervals; to_date and to_timestamp."""

import re
from typing import NamedTuple

from tusk.errors import SqlError, errcode
from tusk.types.calendar import (
    DAY_NAMES,
    END_DATE,
    MIN_DATE,
    MONTH_NAMES,
    MONTHS,
    POSTGRES_EPOCH_JDATE,
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
    is_leap,
    iso_week_start,
    iso_year_week,
    to_days,
)
from tusk.types.intervals import INFINITE
from tusk.types.number_templates import ordinal
from tusk.types.registry import function
from tusk.types.timestamps import check_timestamp, is_finite
from tusk.types.timezone import Zone, abbreviation_offset, instant_offset, local_offset, session_zone
from tusk.types.values import Interval

_UPPER_LOWER = [
    "A.D.",
    "AD",
    "A.M.",
    "AM",
    "B.C.",
    "BC",
    "CC",
    "DDD",
    "DD",
    "D",
    "FF1",
    "FF2",
    "FF3",
    "FF4",
    "FF5",
    "FF6",
    "FX",
    "HH24",
    "HH12",
    "HH",
    "IDDD",
    "ID",
    "IW",
    "IYYY",
    "IYY",
    "IY",
    "I",
    "J",
    "MI",
    "MM",
    "MS",
    "OF",
    "P.M.",
    "PM",
    "Q",
    "RM",
    "SSSSS",
    "SSSS",
    "SS",
    "TZH",
    "TZM",
    "TZ",
    "US",
    "WW",
    "W",
    "Y,YYY",
    "YYYY",
    "YYY",
    "YY",
    "Y",
]
_CASED = ["MONTH", "Month", "month", "MON", "Mon", "mon", "DAY", "Day", "day", "DY", "Dy", "dy"]
_KEYWORDS = sorted({*_UPPER_LOWER, *(k.lower() for k in _UPPER_LOWER), *_CASED}, key=lambda k: -len(k))
_ROMAN = ("I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII")
_DIGIT_KEYS = {
    "CC", "DDD", "DD", "D", "FF1", "FF2", "FF3", "FF4", "FF5", "FF6", "HH24", "HH12", "HH", "IDDD", "ID", "IW",
    "IYYY", "IYY", "IY", "I", "J", "MI", "MM", "MS", "OF", "Q", "SSSSS", "SSSS", "SS", "TZH", "TZM", "US", "WW", "W",
    "Y,YYY", "YYYY", "YYY", "YY", "Y",
}  # fmt: skip


class Token(NamedTuple):
    """A keyword with its modifiers, or (keyword "") one literal character."""

    keyword: str
    text: str
    fill: bool = False  # FM
    th: str = ""  # TH or th
    quoted: bool = False


def tokenize(template: str) -> tuple[list[Token], bool]:
    """The template's tokens, and whether it has FX."""
    tokens: list[Token] = []
    exact = False
    position = 0
    while position < len(template):
        fill = False
        start = position
        while template[position : position + 2].upper() in ("FM", "TM", "FX"):
            prefix = template[position : position + 2].upper()
            fill = fill or prefix == "FM"
            exact = exact or prefix == "FX"
            position += 2
        keyword = next((k for k in _KEYWORDS if template.startswith(k, position)), "")
        if keyword:
            position += len(keyword)
            th = ""
            if template[position : position + 2] in ("TH", "th"):
                th = template[position : position + 2]
                position += 2
            elif template[position : position + 2].upper() == "SP":
                position += 2
            tokens.append(Token(keyword.upper(), keyword, fill, th))
            continue
        if position > start and position >= len(template):
            break
        character = template[position]
        if character == '"':
            position += 1
            while position < len(template) and template[position] != '"':
                if template[position] == "\\" and position + 1 < len(template):
                    position += 1
                tokens.append(Token("", template[position], quoted=True))
                position += 1
            position += 1
            continue
        if character == "\\" and template[position + 1 : position + 2] == '"':
            position += 1
            character = '"'
        tokens.append(Token("", character))
        position += 1
    return tokens, exact


_cache: dict[str, tuple[list[Token], bool]] = {}


def _tokens(template: str) -> tuple[list[Token], bool]:
    found = _cache.get(template)
    if found is None:
        if len(_cache) > 50:
            _cache.clear()
        found = _cache[template] = tokenize(template)
    return found


class _Source(NamedTuple):
    """What is formatted: fields (of an interval: with whole hours), and the zone if there is one."""

    fields: Fields
    zone: tuple[int, bool, str] | None = None
    interval: bool = False


def _padded(number: int, width: int, token: Token) -> str:
    if token.fill:
        return str(number)
    return f"{number:0{width}d}" if number >= 0 else f"-{-number:0{width}d}"


def _case(text: str, token: Token) -> str:
    if token.text.isupper():
        return text.upper()
    return text.lower() if token.text.islower() else text


_NOT_FOR_INTERVALS = {"MONTH", "MON", "DAY", "DY", "TZ", "TZH", "TZM", "OF", "BC", "AD", "B.C.", "A.D."}


def _write(token: Token, s: _Source) -> str:
    """Text of one keyword; numbers without their TH suffix."""
    f = s.fields
    key = token.keyword
    if s.interval and key in _NOT_FOR_INTERVALS:
        raise SqlError(
            errcode.INVALID_DATETIME_FORMAT,
            "invalid format specification for an interval value",
            hint="Intervals are not tied to specific calendar dates.",
        )
    year = f.year if s.interval or f.year > 0 else 1 - f.year
    match key:
        case "AM" | "PM" | "A.M." | "P.M.":
            half = "PM" if f.hour % 24 >= 12 else "AM"
            text = f"{half[0]}.M." if "." in key else half
            return text.lower() if token.text.islower() else text
        case "HH" | "HH12":
            return _padded((abs(f.hour) % 12 or 12) * (-1 if f.hour < 0 else 1), 2, token)
        case "HH24":
            return _padded(f.hour, 2, token)
        case "MI":
            return _padded(f.minute, 2, token)
        case "SS":
            return _padded(f.second, 2, token)
        case "MS" | "FF3":
            return f"{f.us // 1000:03d}"
        case "US" | "FF6":
            return f"{f.us:06d}"
        case "FF1" | "FF2" | "FF4" | "FF5":
            digits = int(key[2])
            return f"{f.us // 10 ** (6 - digits):0{digits}d}"
        case "SSSS" | "SSSSS":
            return str((f.hour * 60 + f.minute) * 60 + f.second)
        case "MONTH" | "MON":
            if not f.month:
                return ""
            name = MONTH_NAMES[f.month - 1] if key == "MONTH" else MONTHS[f.month - 1]
            return _case(name if token.fill or key == "MON" else name.ljust(9), token)
        case "MM":
            return _padded(f.month, 2, token)
        case "RM":
            if not f.month:
                return ""
            roman = _ROMAN[abs(f.month) - 1 if f.month > 0 else 12 - abs(f.month)]
            text = roman if token.fill else roman.ljust(4)
            return text.lower() if token.text.islower() else text
        case "DD":
            return _padded(f.day, 2, token)
        case "YYYY":
            return _padded(year, 4, token)
        case "Y,YYY":
            return f"{year // 1000},{year % 1000:03d}"
        case "YYY" | "YY" | "Y":
            width = len(key)
            return _padded(year % 10**width, width, token)
        case "CC":
            if s.interval:
                century = f.year // 100
            else:
                century = (f.year - 1) // 100 + 1 if f.year > 0 else -((-f.year) // 100 + 1)
            return _padded(century, 2 if abs(century) <= 99 else 4, token)
        case "Q":
            return str((f.month - 1) // 3 + 1) if f.month else ""
        case "BC" | "AD" | "B.C." | "A.D.":
            text = "BC" if f.year <= 0 else "AD"
            text = f"{text[0]}.{text[1]}." if "." in key else text
            return text.lower() if token.text.islower() else text
        case "TZ":
            if s.zone is None:
                return ""
            return s.zone[2].lower() if token.text.islower() else s.zone[2].upper()
        case "TZH" | "TZM" | "OF":
            if s.zone is None:
                return ""
            return _offset(s.zone[0], key)
    return _write_day(token, s)


def _offset(east: int, key: str) -> str:
    sign = "-" if east < 0 else "+"
    hour, minute = abs(east) // 3600, abs(east) // 60 % 60
    if key == "TZH":
        return f"{sign}{hour:02d}"
    if key == "TZM":
        return f"{minute:02d}"
    return f"{sign}{hour:02d}" + (f":{minute:02d}" if minute else "")


def _write_day(token: Token, s: _Source) -> str:
    f = s.fields
    key = token.keyword
    if s.interval:
        # An interval has no date: days of the year count from its own fields.
        days = to_days(f.year if f.year else 0, 1, 1) if key == "J" else 0
        yday = f.month * 30 + f.day + f.year * 360
        weekday = 0
        iso_year, iso_week = f.year, 0
    else:
        days = to_days(f.year, f.month, f.day)
        yday = day_of_year(f.year, f.month, f.day)
        weekday = day_of_week(days)
        iso_year, iso_week = iso_year_week(days)
    iso_shown = iso_year if iso_year > 0 else 1 - iso_year
    match key:
        case "DAY":
            name = DAY_NAMES[weekday]
            return _case(name if token.fill else name.ljust(9), token)
        case "DY":
            return _case(DAY_NAMES[weekday][:3], token)
        case "DDD":
            return _padded(yday, 3, token)
        case "IDDD":
            return _padded(days - iso_week_start(iso_year) + 1, 3, token)
        case "D":
            return str(weekday + 1)
        case "ID":
            return str(weekday or 7)
        case "WW":
            return _padded((yday - 1) // 7 + 1, 2, token)
        case "IW":
            return _padded(iso_week, 2, token)
        case "W":
            return str((f.day - 1) // 7 + 1)
        case "J":
            return str(days + POSTGRES_EPOCH_JDATE)
        case "IYYY":
            return _padded(iso_shown, 4, token)
        case "IYY" | "IY" | "I":
            width = len(key)
            return _padded(iso_shown % 10**width, width, token)
    return ""


def _format(template: str, source: _Source) -> str:
    out: list[str] = []
    for token in _tokens(template)[0]:
        if not token.keyword:
            out.append(token.text)
        elif token.keyword != "FX":
            text = _write(token, source)
            out.append(text)
            if token.th and text[-1:].isdigit():
                out.append(ordinal(text.lstrip("-"), token.th == "TH"))
    return "".join(out)


@function("timestamp_to_char")
def _timestamp_to_char(us: int, template: str) -> str | None:
    return _format(template, _Source(break_down(us))) if template and is_finite(us) else None


@function("timestamptz_to_char")
def _timestamptz_to_char(us: int, template: str) -> str | None:
    if not template or not is_finite(us):
        return None
    zone = instant_offset(session_zone(), us)
    return _format(template, _Source(break_down(us + zone[0] * USECS_PER_SEC), zone))


@function("interval_to_char")
def _interval_to_char(value: Interval, template: str) -> str | None:
    if not template or value in INFINITE:
        return None
    sign = -1 if value.us < 0 else 1
    hour, rest = divmod(abs(value.us), USECS_PER_HOUR)
    minute, rest = divmod(rest, USECS_PER_MINUTE)
    second, us = divmod(rest, USECS_PER_SEC)
    months_sign = -1 if value.months < 0 else 1
    years, months = divmod(abs(value.months), 12)
    fields = Fields(
        months_sign * years, months_sign * months, value.days, sign * hour, sign * minute, sign * second, sign * us
    )
    return _format(template, _Source(fields, None, True))


# Reading.

_NUMBER = re.compile(r"[+-]?\d+")


class _Parsed:
    """Fields found in the text; None where there was none."""

    def __init__(self) -> None:
        self.values: dict[str, int] = {}
        self.bc = self.pm = False
        self.has_meridiem = self.twelve = False
        self.zone_east: int | None = None
        self.zone: Zone | None = None
        self.zone_sign = 1
        self.fraction_digits = 0
        self.year_digits = 4

    def set(self, name: str, value: int, keyword: str) -> None:
        known = self.values.get(name)
        if known is not None and known != value:
            raise SqlError(
                errcode.INVALID_DATETIME_FORMAT,
                f'conflicting values for "{keyword}" field in formatting string',
                detail="This value contradicts a previous setting for the same field type.",
            )
        self.values[name] = value


class _Reader:
    def __init__(self, text: str, template: str) -> None:
        self.text = text
        self.position = 0
        self.tokens, self.exact = _tokens(template)
        self.found = _Parsed()

    def run(self) -> _Parsed:
        # Spaces may stand around any field; skipped counts those that no separator of the template has used up.
        for index, token in enumerate(self.tokens):
            if self.position >= len(self.text):
                break
            if not token.keyword:
                self.literal(token)
            elif token.keyword != "FX":
                self.skip_space()
                self.keyword(token, index)
                self.skipped = 0
                self.skip_space()
        return self.found

    skipped = 0

    @staticmethod
    def is_separator(character: str) -> bool:
        return character.isascii() and not character.isalnum() and character.isprintable()

    def skip_space(self) -> None:
        if self.exact:
            return
        while self.position < len(self.text) and self.text[self.position].isspace():
            self.position += 1
            self.skipped += 1

    def literal(self, token: Token) -> None:
        """A separator matches one separator or space, or nothing; another character matches any one."""
        if self.exact:
            self.position += 1
        elif not token.quoted and (self.is_separator(token.text) or token.text.isspace()):
            self.skipped -= 1
            here = self.text[self.position]
            if here.isspace() or self.is_separator(here):
                self.position += 1
                self.skipped += 1
        elif self.skipped > 0:
            self.skipped -= 1
        else:
            self.position += 1

    def separator_follows(self, index: int) -> bool:
        """Does something other than a digit stand behind the field of this token?"""
        if self.tokens[index].th:
            return True
        for token in self.tokens[index + 1 :]:
            if token.keyword == "FX":
                continue
            if token.keyword:
                return token.keyword not in _DIGIT_KEYS
            return not token.text.isdigit()
        return True

    def number(self, token: Token, index: int, length: int) -> int:
        text = self.text
        if token.fill or self.separator_follows(index):
            match = _NUMBER.match(text, self.position)
            body = text[self.position : self.position + length]
            if match is None:
                raise self.not_integer(body, token)
            self.position = match.end()
            value = int(match[0])
        else:
            body = text[self.position : self.position + length]
            match = _NUMBER.match(body)
            if len(body) < length and self.exact:
                raise SqlError(
                    errcode.INVALID_DATETIME_FORMAT,
                    f'source string too short for "{token.text}" formatting field',
                    detail=f"Field requires {length} characters, but only {len(body)} remain.",
                    hint='If your source string is not fixed-width, try using the "FM" modifier.',
                )
            if match is None:
                raise self.not_integer(body, token)
            if match.end() < len(body) and self.exact:
                raise SqlError(
                    errcode.INVALID_DATETIME_FORMAT,
                    f'invalid value "{body}" for "{token.text}"',
                    detail=f"Field requires {length} characters, but only {match.end()} could be parsed.",
                    hint='If your source string is not fixed-width, try using the "FM" modifier.',
                )
            self.position += match.end()
            value = int(match[0])
        if not -(1 << 31) <= value < 1 << 31:
            raise SqlError(
                errcode.DATETIME_FIELD_OVERFLOW,
                f'value for "{token.text}" in source string is out of range',
                detail=f"Value must be in the range {-(1 << 31)} to {(1 << 31) - 1}.",
            )
        if token.th:
            self.position += 2
        self.last_length = len(match[0].lstrip("+-"))
        return value

    last_length = 0

    def not_integer(self, body: str, token: Token) -> SqlError:
        return SqlError(
            errcode.INVALID_DATETIME_FORMAT,
            f'invalid value "{body}" for "{token.text}"',
            detail="Value must be an integer.",
        )

    def choose(self, token: Token, names: tuple[str, ...]) -> int:
        """Which of the names stands here, whatever its case."""
        rest = self.text[self.position :].lower()
        best = -1
        for number, name in enumerate(names):
            if rest.startswith(name.lower()) and (best < 0 or len(name) > len(names[best])):
                best = number
        if best < 0:
            shown = self.text[self.position :].split(" ")[0]
            raise SqlError(
                errcode.INVALID_DATETIME_FORMAT,
                f'invalid value "{shown}" for "{token.text}"',
                detail="The given value did not match any of the allowed values for this field.",
            )
        self.position += len(names[best])
        return best

    def keyword(self, token: Token, index: int) -> None:
        f = self.found
        key = token.keyword
        names: tuple[str, ...]
        simple = {"HH": ("hour", 2), "HH12": ("hour", 2), "HH24": ("hour", 2), "MI": ("minute", 2), "SS": ("second", 2),
                  "SSSS": ("ssss", 5), "SSSSS": ("ssss", 5), "MM": ("month", 2), "DD": ("day", 2), "DDD": ("yday", 3),
                  "IDDD": ("iso_yday", 3), "D": ("dow", 1), "ID": ("iso_dow", 1), "WW": ("week", 2),
                  "IW": ("iso_week", 2), "W": ("month_week", 1), "J": ("julian", 7), "CC": ("century", 2)}  # fmt: skip
        if key in simple:
            name, length = simple[key]
            f.set(name, self.number(token, index, length), token.text)
            if key in ("HH", "HH12"):
                f.twelve = True
            return
        match key:
            case "AM" | "PM" | "A.M." | "P.M.":
                names = ("A.M.", "P.M.") if "." in key else ("AM", "PM")
                f.pm = self.choose(token, names) == 1
                f.has_meridiem = True
            case "BC" | "AD" | "B.C." | "A.D.":
                names = ("A.D.", "B.C.") if "." in key else ("AD", "BC")
                f.bc = self.choose(token, names) == 1
            case "MONTH" | "MON":
                names = MONTH_NAMES if key == "MONTH" else MONTHS
                f.set("month", self.choose(token, names) + 1, token.text)
            case "DAY" | "DY":
                names = DAY_NAMES if key == "DAY" else tuple(name[:3] for name in DAY_NAMES)
                f.set("dow", self.choose(token, names) + 1, token.text)
            case "RM":
                f.set("month", self.choose(token, _ROMAN) + 1, token.text)
            case "MS" | "US" | "FF1" | "FF2" | "FF3" | "FF4" | "FF5" | "FF6":
                length = {"MS": 3, "US": 6}.get(key) or int(key[2])
                value = self.number(token, index, length)
                digits = max(self.last_length, 0)
                us = value * 10 ** (6 - digits) if digits <= 6 else value // 10 ** (digits - 6)
                if digits > length and key == "MS":
                    us = value * 1000
                f.set("us_" + key, us, token.text)
            case "YYYY" | "YYY" | "YY" | "Y" | "IYYY" | "IYY" | "IY" | "I":
                self.year(token, index)
            case "Y,YYY":
                match = re.compile(r"(\d+),(\d{3})").match(self.text, self.position)
                if match is None:
                    raise SqlError(errcode.INVALID_DATETIME_FORMAT, 'invalid input string for "Y,YYY"')
                f.set("year", int(match[1]) * 1000 + int(match[2]), token.text)
                self.position = match.end()
            case "Q":
                match = _NUMBER.match(self.text, self.position)
                self.position = match.end() if match else self.position
            case "TZH" | "TZM" | "OF" | "TZ":
                self.time_zone(token, index)

    def year(self, token: Token, index: int) -> None:
        key = token.keyword
        length = len(key)
        value = self.number(token, index, length)
        name = "iso_year" if key.startswith("I") else "year"
        if length < 4 and self.last_length < 4:
            self.found.year_digits = length
            if value < 70:
                value += 2000
            elif value < 100:
                value += 1900
            elif value < 520:
                value += 2000
            elif value < 1000:
                value += 1000
        self.found.set(name, value, token.text)

    def time_zone(self, token: Token, index: int) -> None:
        f = self.found
        text = self.text
        if token.keyword == "TZ":
            match = re.compile(r"[A-Za-z]+").match(text, self.position)
            if match is not None:
                meaning = abbreviation_offset(match[0])
                if meaning is None:
                    raise SqlError(
                        errcode.INVALID_DATETIME_FORMAT,
                        f'invalid value "{match[0]}" for "{token.text}"',
                        detail="Time zone abbreviation is not recognized.",
                    )
                self.position = match.end()
                if isinstance(meaning, Zone):
                    f.zone = meaning
                else:
                    f.zone_east = meaning[0]
                return
        if token.keyword in ("TZH", "OF", "TZ"):
            if text[self.position : self.position + 1] in ("+", "-", " "):
                f.zone_sign = -1 if text[self.position] == "-" else 1
                self.position += 1
            else:
                # A separator of the template may have swallowed the minus sign.
                f.zone_sign = -1 if self.skipped > 0 and text[self.position - 1] == "-" else 1
            hours = self.number(token, index, 2)
            minutes = 0
            if token.keyword != "TZH" and text[self.position : self.position + 1] == ":":
                self.position += 1
                minutes = self.number(token, index, 2)
            f.zone_east = f.zone_sign * (hours * 3600 + minutes * 60)
        else:
            minutes = self.number(token, index, 2)
            f.zone_east = (f.zone_east or 0) + f.zone_sign * minutes * 60


def _out_of_range(text: str) -> SqlError:
    return SqlError(errcode.DATETIME_FIELD_OVERFLOW, f'date/time field value out of range: "{text}"')


def _assemble(text: str, template: str) -> tuple[Fields, _Parsed]:
    parsed = _Reader(text, template).run()
    v = parsed.values
    hour, minute, second, us = v.get("hour", 0), v.get("minute", 0), v.get("second", 0), 0
    for name, value in v.items():
        if name.startswith("us_"):
            us += value
    if "ssss" in v:
        hour, rest = divmod(v["ssss"], 3600)
        minute, second = divmod(rest, 60)
    if parsed.has_meridiem:
        if not 1 <= hour <= 12:
            raise SqlError(
                errcode.INVALID_DATETIME_FORMAT,
                f'hour "{hour}" is invalid for the 12-hour clock',
                hint="Use the 24-hour clock, or give an hour between 1 and 12.",
            )
        hour = hour % 12 + (12 if parsed.pm else 0)
    elif parsed.twelve and not 1 <= hour <= 12 and "hour" in v:
        raise SqlError(
            errcode.INVALID_DATETIME_FORMAT,
            f'hour "{hour}" is invalid for the 12-hour clock',
            hint="Use the 24-hour clock, or give an hour between 1 and 12.",
        )
    year, month, day = _date(text, parsed)
    if not (0 <= hour < 24 and 0 <= minute < 60 and 0 <= second < 60) or us < 0 or us >= USECS_PER_SEC:
        raise _out_of_range(text)
    if not 1 <= month <= 12 or not 1 <= day <= days_in_month(year, month):
        raise _out_of_range(text)
    return Fields(year, month, day, hour, minute, second, us), parsed


def _date(text: str, parsed: _Parsed) -> tuple[int, int, int]:
    v = parsed.values
    year = v.get("year", 0)
    if "century" in v:
        century = -v["century"] if parsed.bc and v["century"] > 0 else v["century"]
        if "year" in v and parsed.year_digits <= 2:
            year = year % 100
            year = (century - 1) * 100 + year if year else century * 100
        elif "year" not in v:
            year = (century - 1) * 100 + 1 if century > 0 else century * 100 + 1
    if parsed.bc and "century" not in v:
        year = 1 - year if year > 0 else year + 1 if "year" in v else 0
    elif "year" in v and v["year"] < 0 and not parsed.bc:
        year += 1
    if "julian" in v:
        return from_days(v["julian"] - POSTGRES_EPOCH_JDATE)
    if "iso_year" in v or "iso_week" in v or "iso_yday" in v:
        return _iso_date(v)
    month, day = v.get("month", 1), v.get("day", 1)
    if "week" in v and "yday" not in v:
        v["yday"] = (v["week"] - 1) * 7 + 1
    if "month_week" in v and "day" not in v:
        day = (v["month_week"] - 1) * 7 + 1
    if "yday" in v and "month" not in v and "day" not in v:
        if "year" not in v and "century" not in v:
            raise SqlError(
                errcode.INVALID_DATETIME_FORMAT,
                "cannot calculate day of year without year information",
            )
        if not 1 <= v["yday"] <= (366 if is_leap(year) else 365):
            raise _out_of_range(text)
        return from_days(to_days(year, 1, 1) + v["yday"] - 1)
    return year, month, day


def _iso_date(v: dict[str, int]) -> tuple[int, int, int]:
    if "year" in v or "month" in v or "day" in v:
        raise SqlError(
            errcode.INVALID_DATETIME_FORMAT,
            "invalid combination of date conventions",
            hint="Do not mix Gregorian and ISO week date conventions in a formatting template.",
        )
    start = iso_week_start(v.get("iso_year", 0))
    if "iso_yday" in v:
        return from_days(start + v["iso_yday"] - 1)
    weekday = v.get("iso_dow") or (((v["dow"] + 5) % 7) + 1 if "dow" in v else 1)
    return from_days(start + (v.get("iso_week", 1) - 1) * 7 + weekday - 1)


@function("to_timestamp")
def _to_timestamp(text: str, template: str) -> int:
    fields, parsed = _assemble(text, template)
    local = assemble(fields)
    if parsed.zone_east is not None:
        east = parsed.zone_east
    else:
        east = local_offset(parsed.zone or session_zone(), local)
    return check_timestamp(local - east * USECS_PER_SEC)


@function("to_date")
def _to_date(text: str, template: str) -> int:
    fields, _ = _assemble(text, template)
    days = to_days(fields.year, fields.month, fields.day)
    if not MIN_DATE <= days < END_DATE:
        raise SqlError(errcode.DATETIME_VALUE_OUT_OF_RANGE, f'date out of range: "{text}"')
    return days
