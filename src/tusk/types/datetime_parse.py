"""Reading dates and times: one tokenizer and one decoder for date, time, timetz, timestamp and timestamptz.

PostgreSQL's input accepts fields in almost any order; what a number means depends on which fields came before it and
on the DateStyle. The decoder follows the rules of appendix B of its manual ("Date/Time Input Interpretation").
"""

from tusk.errors import SqlError, errcode
from tusk.types.calendar import (
    MONTH_NAMES,
    POSTGRES_EPOCH_JDATE,
    UNIX_EPOCH_SECS,
    Fields,
    days_in_month,
    from_days,
    time_of_day,
    to_days,
)
from tusk.types.registry import setting
from tusk.types.timezone import Zone, abbreviation_offset, dynamic_offset, load_zone

YEAR, MONTH, DAY, DOY, TIME, TZ, DTZMOD, AMPM, ERA, DOW = (1 << i for i in range(10))
DATE = YEAR | MONTH | DAY
_SPACE = " \t\n\v\f\r"

_MONTHS: dict[str, int] = {}
for _index, _name in enumerate(MONTH_NAMES, 1):
    _MONTHS[_name.lower()] = _MONTHS[_name.lower()[:3]] = _index
_MONTHS["sept"] = 9
_WEEKDAYS = {"sun", "sunday", "mon", "monday", "tue", "tues", "tuesday", "wed", "weds", "wednesday", "thu", "thur",
             "thurs", "thursday", "fri", "friday", "sat", "saturday"}  # fmt: skip
_SPECIALS = {"now", "today", "tomorrow", "yesterday", "epoch", "infinity", "-infinity", "+infinity", "allballs"}
_IGNORED = {"at", "on"}
_KEYWORDS = (
    set(_MONTHS) | _WEEKDAYS | _SPECIALS | _IGNORED | {"am", "pm", "ad", "bc", "dst", "t", "j", "jd", "z", "zulu", "d"}
)


class BadFormat(Exception):
    """The text is not a date or time."""


class FieldOverflow(Exception):
    """A field is out of its range."""


class MonthDayOverflow(FieldOverflow):
    """Month or day out of range: another DateStyle might read it."""


class ZoneOverflow(Exception):
    """A time zone displacement out of range."""


class UnknownZone(Exception):
    """A time zone name that does not exist."""


def raise_for(error: Exception, text: str, type_name: str) -> SqlError:
    """The SQL error for one of the exceptions above."""
    match error:
        case MonthDayOverflow():
            return SqlError(
                errcode.DATETIME_FIELD_OVERFLOW,
                f'date/time field value out of range: "{text}"',
                hint='Perhaps you need a different "DateStyle" setting.',
            )
        case FieldOverflow():
            if type_name == "interval":
                return SqlError(errcode.INTERVAL_FIELD_OVERFLOW, f'interval field value out of range: "{text}"')
            return SqlError(errcode.DATETIME_FIELD_OVERFLOW, f'date/time field value out of range: "{text}"')
        case ZoneOverflow():
            return SqlError(
                errcode.INVALID_TIME_ZONE_DISPLACEMENT_VALUE, f'time zone displacement out of range: "{text}"'
            )
        case UnknownZone():
            return SqlError(errcode.INVALID_PARAMETER_VALUE, f'time zone "{error.args[0]}" not recognized')
    return SqlError(errcode.INVALID_DATETIME_FORMAT, f'invalid input syntax for type {type_name}: "{text}"')


_styles: dict[str, tuple[str, str]] = {}


def date_style() -> tuple[str, str]:
    """Output style (ISO, SQL, POSTGRES, GERMAN) and field order (YMD, DMY, MDY) of the DateStyle setting."""
    text = setting("DateStyle", "ISO, MDY")
    known = _styles.get(text)
    if known is None:
        words = [word.strip().upper() for word in text.split(",")]
        style = next((w for w in words if w in ("ISO", "SQL", "POSTGRES", "GERMAN")), "ISO")
        order = next((w for w in words if w in ("YMD", "DMY", "MDY")), "MDY")
        known = _styles[text] = (style, order)
    return known


def tokenize(text: str) -> list[tuple[str, str]]:
    """Split into (kind, text) fields; kinds are number, date, time, zone, string, special. Text is lower case."""
    fields: list[tuple[str, str]] = []
    position, end = 0, len(text)

    def take(extra: str, letters: bool = False) -> str:
        nonlocal position
        start = position
        while position < end:
            c = text[position]
            if not ((c.isdigit() and c.isascii()) or c in extra or (letters and c.isalpha() and c.isascii())):
                break
            position += 1
        return text[start:position].lower()

    while position < end:
        c = text[position]
        if c in _SPACE:
            position += 1
            continue
        start = position
        if c.isdigit() and c.isascii():
            take("")
            after = text[position] if position < end else ""
            if after == ":":
                take(":.")
                fields.append(("time", text[start:position].lower()))
            elif after in ("-", "/", ".") and after:
                position += 1
                if position < end and text[position].isdigit():
                    kind = "number" if after == "." else "date"
                    take("")
                    if position < end and text[position] == after:
                        kind = "date"
                        take(after)
                    fields.append((kind, text[start:position].lower()))
                else:
                    take(after, letters=True)
                    fields.append(("date", text[start:position].lower()))
            else:
                fields.append(("number", text[start:position]))
        elif c == ".":
            position += 1
            take("")
            fields.append(("number", text[start:position]))
        elif c.isalpha() and c.isascii():
            while position < end and text[position].isalpha() and text[position].isascii():
                position += 1
            word = text[start:position].lower()
            after = text[position] if position < end else ""
            is_date = after in ("-", "/", ".") and after != ""
            if not is_date and after and (after == "+" or after.isdigit()):
                is_date = word not in _KEYWORDS
            if is_date:
                take("+-/_.:", letters=True)
                fields.append(("date", text[start:position].lower()))
            else:
                fields.append(("string", word))
        elif c in "+-":
            position += 1
            while position < end and text[position] in _SPACE:
                position += 1
            if position < end and text[position].isdigit():
                fields.append(("zone", c + take(":.-")))
            elif position < end and text[position].isalpha():
                word_start = position
                while position < end and text[position].isalpha():
                    position += 1
                fields.append(("special", c + text[word_start:position].lower()))
            else:
                raise BadFormat
        elif c.isascii() and not c.isalnum():
            position += 1
        else:
            raise BadFormat
        if len(fields) > 25:
            raise BadFormat
    return fields


def parse_zone_offset(text: str) -> int:
    """Seconds east of Greenwich of +hh, +hhmm, +hh:mm or +hh:mm:ss."""
    sign = {"+": 1, "-": -1}.get(text[:1])
    body = text[1:]
    if sign is None or not body:
        raise BadFormat
    parts = body.split(":")
    if not all(part.isdigit() for part in parts) or len(parts) > 3:
        raise BadFormat
    if len(parts) == 1 and len(body) > 2:
        digits = parts[0]
        if len(digits) > 4:
            parts = [digits[:-4], digits[-4:-2], digits[-2:]]
        else:
            parts = [digits[:-2], digits[-2:]]
    hour, minute, second = (int(part) for part in [*parts, "0", "0"][:3])
    if hour > 15 or minute > 59 or second > 59:
        raise ZoneOverflow
    return sign * (hour * 3600 + minute * 60 + second)


def parse_fraction(text: str) -> int:
    """Microseconds of ".ffff", rounded."""
    if text == ".":
        return 0
    digits = text[1:]
    if not digits.isdigit():
        raise BadFormat
    return round_half_even(int(digits), 10 ** len(digits))


def round_half_even(numerator: int, denominator: int) -> int:
    """Microseconds of a fraction of a second, as rint rounds."""
    quotient, remainder = divmod(numerator * 1_000_000, denominator)
    if remainder * 2 > denominator or (remainder * 2 == denominator and quotient & 1):
        quotient += 1
    return quotient


def parse_clock(text: str) -> tuple[int, int, int, int]:
    """hh:mm[:ss[.ffffff]] as hour, minute, second, microseconds."""
    parts = text.split(":")
    us = 0
    last, dot, fraction = parts[-1].partition(".")
    parts[-1] = last
    if not 2 <= len(parts) <= 3 or not all(part.isdigit() for part in parts[: len(parts)]):
        raise BadFormat
    numbers = [int(part) for part in parts]
    if dot:
        us = parse_fraction("." + fraction)
        if len(numbers) == 2:
            # mm:ss.ffffff
            numbers.insert(0, 0)
    hour, minute, second = (*numbers, 0)[:3]
    if hour > 0x7FFFFFFF or minute > 59 or second > 60:
        raise FieldOverflow
    return hour, minute, second, us


class Decoder:
    """Collects the meaning of the fields; then its attributes hold the result."""

    def __init__(self, order: str, time_only: bool = False) -> None:
        self.order = order
        self.time_only = time_only
        self.mask = 0
        self.year = self.month = self.day = 0
        self.yday = 0
        self.hour = self.minute = self.second = self.us = 0
        self.special = ""
        self.zone: Zone | None = None
        self.zone_name = ""
        self.zone_east: int | None = None
        self.bc = False
        self.two_digits = False
        self.meridiem = ""
        self.text_month = False
        self.julian: int | None = None
        self.daylight_modifier = False

    def decode(self, fields: list[tuple[str, str]]) -> None:
        """Interpret all fields, then check them together."""
        prefix = ""
        for index, (kind, text) in enumerate(fields):
            new = 0
            if kind == "date":
                new = self._date_field(text, prefix)
                prefix = ""
            elif kind == "time":
                if prefix not in ("", "t"):
                    raise BadFormat
                prefix = ""
                self._set_clock(parse_clock(text))
                new = TIME
            elif kind == "zone":
                self.zone_east = parse_zone_offset(text)
                if self.mask & TZ and self.zone_name and self.zone is None and "." not in text:
                    raise BadFormat
                new = TZ
            elif kind == "number":
                if prefix == "j":
                    new = self._julian_field(text)
                elif prefix == "t":
                    new = self._packed(text, self.mask | DATE)
                else:
                    new = self._number_field(text)
                prefix = ""
            else:
                new, prefix = self._word(text, prefix, index + 1 < len(fields), fields[index + 1 :])
            if new & self.mask:
                raise BadFormat
            self.mask |= new
        if prefix:
            raise BadFormat
        self._finish()

    def _set_clock(self, clock: tuple[int, int, int, int]) -> None:
        self.hour, self.minute, self.second, self.us = clock
        if self.hour > 24 or (self.hour == 24 and (self.minute or self.second or self.us)):
            raise FieldOverflow

    def _julian_field(self, text: str) -> int:
        whole, _, fraction = text.partition(".")
        self.julian = int(whole)
        if self.julian > 0x7FFFFFFF:
            raise FieldOverflow
        new = DATE
        if fraction:
            us = round(int(fraction) * 86400_000_000 / 10 ** len(fraction))
            self.hour, rest = divmod(us, 3600_000_000)
            self.minute, rest = divmod(rest, 60_000_000)
            self.second, self.us = divmod(rest, 1_000_000)
            new |= TIME
        self.year, self.month, self.day = from_days(self.julian - POSTGRES_EPOCH_JDATE)
        return new

    def _date_field(self, text: str, prefix: str) -> int:
        if self.mask & DATE == DATE or prefix or (self.time_only and not self._looks_like_date(text)):
            if text[0].isdigit() or prefix:
                # A packed time with a zone behind it, as in T040506-08.
                clock, _, zone = text.partition("-")
                if not zone:
                    raise BadFormat
                self.zone_east = parse_zone_offset("-" + zone)
                return self._packed(clock, self.mask | DATE) | TZ
            self._named_zone(text)
            return TZ
        if not text[0].isdigit() and not self._looks_like_date(text):
            self._named_zone(text)
            return TZ
        return self._delimited(text)

    @staticmethod
    def _looks_like_date(text: str) -> bool:
        word = ""
        for character in text:
            if not character.isalpha():
                break
            word += character
        return not word or word in _MONTHS

    def _named_zone(self, name: str) -> None:
        zone = load_zone(name)
        if zone is None:
            raise UnknownZone(name)
        self.zone = zone
        self.zone_name = ""

    def _delimited(self, text: str) -> int:
        parts: list[str] = []
        current = ""
        for character in text:
            if not character.isalnum():
                if current:
                    parts.append(current)
                current = ""
            elif current and current[-1].isdigit() != character.isdigit():
                parts.append(current)
                current = character
            else:
                current += character
        if current:
            parts.append(current)
        if len(parts) > 3:
            raise BadFormat
        mask = 0
        numbers = []
        for part in parts:
            if part.isdigit():
                numbers.append(part)
                continue
            month = _MONTHS.get(part)
            if month is None:
                raise BadFormat
            if mask & MONTH:
                raise BadFormat
            self.month, self.text_month = month, True
            mask |= MONTH
        for number in numbers:
            new = self._number(number, self.mask | mask)
            if new & mask:
                raise BadFormat
            mask |= new
        if mask & ~(DOY | TZ) != DATE and mask != YEAR | DOY | MONTH | DAY:
            raise BadFormat
        return mask

    def _number_field(self, text: str) -> int:
        dot = text.find(".")
        has_date = self.mask & DATE == DATE
        if dot >= 0 and not has_date and not self.time_only and dot < 6:
            if len(text) - dot - 1 and text.count(".") == 1 and dot <= 4:
                return self._year_dot_day(text)
            return self._delimited(text)
        if dot > 2 or (dot >= 0 and self.time_only):
            return self._packed(text, self.mask | (DATE if self.time_only else 0))
        if self.time_only and len(text) in (4, 6) and not self.mask & TIME:
            return self._packed(text, self.mask | DATE)
        if dot < 0 and len(text) >= 6 and (not self.mask & DATE or not self.mask & TIME):
            return self._packed(text, self.mask)
        if self.time_only and not self.mask & TIME and len(text) <= 2:
            # A bare hour, as in "4 pm".
            self.hour = int(text)
            return TIME
        if dot >= 0:
            raise BadFormat
        return self._number(text, self.mask)

    def _year_dot_day(self, text: str) -> int:
        year, _, day = text.partition(".")
        if len(day) == 3 and len(year) >= 3:
            self.year, self.yday = int(year), int(day)
            if not 1 <= self.yday <= 366:
                raise FieldOverflow
            return YEAR | DOY | MONTH | DAY
        return self._delimited(text)

    def _number(self, text: str, mask: int) -> int:
        """Decide what a plain number means from what is known already."""
        value = int(text)
        length = len(text)
        seen = mask & DATE
        if length == 3 and seen == YEAR and 1 <= value <= 366:
            self.yday = value
            return DOY | MONTH | DAY
        if seen == 0:
            if length >= 3 or self.order == "YMD":
                return self._set_year(value, length)
            return self._set_day(value) if self.order == "DMY" else self._set_month(value)
        if seen == YEAR:
            return self._set_month(value)
        if seen == MONTH:
            if self.text_month and (length >= 3 or self.order == "YMD"):
                return self._set_year(value, length)
            return self._set_day(value)
        if seen == YEAR | MONTH:
            if self.text_month and length >= 3 and self.two_digits:
                self.day, self.year, self.two_digits = self.year, value, False
                return DAY
            return self._set_day(value)
        if seen == DAY:
            return self._set_month(value)
        if seen == MONTH | DAY:
            return self._set_year(value, length)
        if seen == DATE:
            return self._packed(text, mask)
        raise BadFormat

    def _set_year(self, value: int, length: int) -> int:
        if value > 0x7FFFFFFF:
            raise FieldOverflow
        self.year = value
        self.two_digits = length <= 2
        return YEAR

    def _set_month(self, value: int) -> int:
        self.month = value
        return MONTH

    def _set_day(self, value: int) -> int:
        self.day = value
        return DAY

    def _packed(self, text: str, mask: int) -> int:
        """Digits run together: yyyymmdd, yymmdd, hhmmss or hhmm."""
        digits, dot, fraction = text.partition(".")
        length = len(digits)
        if dot:
            self.us = parse_fraction("." + fraction)
        elif mask & DATE != DATE:
            if length < 6:
                raise BadFormat
            self.year, self.month, self.day = int(digits[:-4]), int(digits[-4:-2]), int(digits[-2:])
            self.two_digits = length - 4 == 2
            return DATE
        if mask & TIME:
            raise BadFormat
        if length == 6:
            clock = int(digits[:2]), int(digits[2:4]), int(digits[4:]), self.us
        elif length == 4:
            clock = int(digits[:2]), int(digits[2:]), 0, self.us
        else:
            raise BadFormat
        if clock[1] > 59 or clock[2] > 60:
            raise FieldOverflow
        self._set_clock(clock)
        return TIME

    def _word(self, text: str, prefix: str, has_next: bool, rest: list[tuple[str, str]]) -> tuple[int, str]:
        if prefix:
            raise BadFormat
        month = _MONTHS.get(text)
        if month is not None:
            new = MONTH
            if self.mask & MONTH and not self.text_month and not self.mask & DAY and 1 <= self.month <= 31:
                self.day = self.month
                new = DAY
            self.text_month = True
            self.month = month
            return new, ""
        if text in _SPECIALS:
            if text == "allballs":
                self.zone_east = 0
                return TIME | TZ, ""
            if self.special:
                raise BadFormat
            self.special = text
            if text in ("today", "tomorrow", "yesterday"):
                return DATE, ""
            return DATE | TIME | TZ, ""
        if text in _WEEKDAYS:
            return DOW, ""
        if text in _IGNORED:
            return 0, ""
        if text in ("am", "pm"):
            self.meridiem = text
            return AMPM, ""
        if text in ("ad", "bc"):
            self.bc = text == "bc"
            return ERA, ""
        if text == "dst":
            self.daylight_modifier = True
            if self.mask & TZ and self.zone_east is not None:
                self.zone_east += 3600
            return DTZMOD, ""
        if text == "t" and has_next and rest[0][0] in ("number", "time", "date"):
            return 0, "t"
        if text in ("j", "jd", "julian") and has_next and rest[0][0] in ("number", "date"):
            return 0, "j"
        if text in ("z", "zulu"):
            self.zone_east = 0
            return TZ, ""
        meaning = abbreviation_offset(text)
        if isinstance(meaning, Zone):
            self.zone, self.zone_name = meaning, text
            return TZ, ""
        if meaning is not None:
            self.zone_east = meaning[0]
            return TZ, ""
        zone = load_zone(text)
        if zone is None:
            raise BadFormat
        self.zone = zone
        return TZ, ""

    def _finish(self) -> None:
        if self.special in ("today", "tomorrow", "yesterday", "now", "epoch") or self.special.endswith("infinity"):
            if self.meridiem:
                self._apply_meridiem()
            return
        if self.mask & YEAR and self.julian is None:
            self._validate_year()
        if self.yday:
            self.year, self.month, self.day = from_days(to_days(self.year, 1, 1) + self.yday - 1)
        elif (self.mask & MONTH and not 1 <= self.month <= 12) or (self.mask & DAY and not 1 <= self.day <= 31):
            raise MonthDayOverflow
        if self.mask & DATE == DATE and not self.yday and self.day > days_in_month(self.year, self.month):
            raise FieldOverflow
        self._apply_meridiem()

    def _apply_meridiem(self) -> None:
        if self.meridiem:
            if self.hour > 12:
                raise FieldOverflow
            if self.meridiem == "am" and self.hour == 12:
                self.hour = 0
            elif self.meridiem == "pm" and self.hour != 12:
                self.hour += 12

    def _validate_year(self) -> None:
        if self.bc:
            if self.year <= 0:
                raise FieldOverflow
            self.year = 1 - self.year
        elif self.two_digits:
            self.year += 2000 if self.year < 70 else 1900
        elif self.year <= 0:
            raise FieldOverflow

    @property
    def fields(self) -> Fields:
        """The broken-down result."""
        return Fields(self.year, self.month, self.day, self.hour, self.minute, self.second, self.us)

    def time_us(self) -> int:
        """Time of day in microseconds."""
        return time_of_day(self.hour, self.minute, self.second, self.us)

    def east(self, local_us: int, default: Zone) -> int:
        """Seconds east of Greenwich for the decoded local time."""
        if self.zone_east is not None:
            return self.zone_east
        local = local_us // 1_000_000 + UNIX_EPOCH_SECS
        if self.zone is not None:
            if self.zone_name:
                return dynamic_offset(self.zone, self.zone_name, local)
            return self.zone.at_local(local)[0]
        return default.at_local(local)[0]


def decode_datetime(text: str, time_only: bool = False) -> Decoder:
    """Decode a text; raises the exceptions of this module."""
    if not text.strip(_SPACE):
        raise BadFormat
    decoder = Decoder(date_style()[1], time_only)
    decoder.decode(tokenize(text))
    return decoder


def parse_iso(text: str) -> tuple[int, int, int] | None:
    """Days, microseconds of the day and length read of ``YYYY-MM-DD[( |T)hh:mm:ss[.f]]``; None for any other form.

    What dumps and programs write comes in this form: the general decoder takes several times as long.
    """
    if len(text) < 10 or text[4] != "-" or text[7] != "-" or not text.isascii():
        return None
    year, month, day = text[:4], text[5:7], text[8:10]
    if not (year.isdigit() and month.isdigit() and day.isdigit()):
        return None
    y, m, d = int(year), int(month), int(day)
    if not (y and 1 <= m <= 12 and 1 <= d <= days_in_month(y, m)):
        return None
    days = to_days(y, m, d)
    if len(text) == 10:
        return days, 0, 10
    if len(text) < 19 or text[10] not in " T" or text[13] != ":" or text[16] != ":":
        return None
    hour, minute, second = text[11:13], text[14:16], text[17:19]
    if not (hour.isdigit() and minute.isdigit() and second.isdigit()):
        return None
    h, i, sec = int(hour), int(minute), int(second)
    if h > 23 or i > 59 or sec > 59:
        return None
    us = ((h * 60 + i) * 60 + sec) * 1_000_000
    if len(text) == 19 or text[19] in "+-":
        return days, us, 19
    end = 20
    while end < len(text) and text[end].isdigit():
        end += 1
    if text[19] != "." or not 1 <= end - 20 <= 6:
        return None
    return days, us + int(text[20:end].ljust(6, "0")), end


def parse_short_zone(text: str) -> int | None:
    """Seconds east of Greenwich of +hh or +hh:mm; None for any other form."""
    if len(text) not in (3, 6) or text[0] not in "+-" or not text[1:3].isdigit():
        return None
    minutes = 0
    if len(text) == 6:
        if text[3] != ":" or not text[4:].isdigit():
            return None
        minutes = int(text[4:])
    hours = int(text[1:3])
    if hours > 15 or minutes > 59:
        return None
    seconds = hours * 3600 + minutes * 60
    return -seconds if text[0] == "-" else seconds
