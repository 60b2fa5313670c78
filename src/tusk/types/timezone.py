"""Time zones: offsets by instant and by local time, from the compiled time zone database and POSIX rules.

Reads TZif files itself (RFC 9636): the standard library's zones end at year 9999 and cost more to import. The database
is the system's, or the tzdata package's where the system has none.
"""

import math
import os
import re
import struct
from bisect import bisect_right
from importlib.util import find_spec
from typing import Any

from tusk.config import on_check
from tusk.errors import SqlError, errcode
from tusk.types.calendar import SECS_PER_DAY, UNIX_EPOCH_SECS, day_of_week, from_days, is_leap, to_days
from tusk.types.registry import setting
from tusk.types.timezone_abbreviations import ABBREVIATIONS

_SYSTEM_DIRECTORIES = ("/usr/share/zoneinfo", "/usr/lib/zoneinfo", "/usr/share/lib/zoneinfo")
_UNIX_EPOCH_DAY = -10957  # 1970-01-01

Offset = tuple[int, bool, str]  # seconds east of Greenwich, is daylight time, abbreviation


class Zone:
    """One time zone. Instants are Unix seconds."""

    __slots__ = ("_instants", "_offsets", "_rule", "first", "name")

    def __init__(
        self, name: str, instants: list[int], offsets: list[Offset], first: Offset, rule: "PosixRule | None"
    ) -> None:
        self.name = name
        self._instants = instants
        self._offsets = offsets
        self._rule = rule
        self.first = first

    def at(self, instant: int) -> Offset:
        """The offset in force at an instant."""
        index = bisect_right(self._instants, instant)
        if index == len(self._instants) and self._rule is not None:
            return self._rule.at(instant)
        return self._offsets[index - 1] if index else self.first

    def at_local(self, local: int) -> Offset:
        """The offset that a local time (seconds as if UTC) means: in a gap the earlier one, in an overlap the later."""
        early, late = self.at(local - SECS_PER_DAY), self.at(local + SECS_PER_DAY)
        if early[0] == late[0] and self.at(local - early[0])[0] == early[0]:
            return self.at(local - early[0])
        # Candidates are the offsets around; an offset is valid if it is in force at the instant it leads to.
        valid = [o for o in (early, late) if self.at(local - o[0])[0] == o[0]]
        if not valid:
            middle = self.at(local - early[0])
            if middle[0] not in (early[0], late[0]) and self.at(local - middle[0])[0] == middle[0]:
                return middle
            return early
        best = min(valid, key=lambda o: o[0]) if len(valid) > 1 else valid[0]
        return self.at(local - best[0])

    @property
    def is_fixed(self) -> bool:
        """Has it had one offset only, ever?"""
        return not self._instants and (self._rule is None or self._rule.daylight is None)

    def abbreviations(self) -> list[str]:
        """All its abbreviations that consist of letters."""
        offsets = [self.first, *self._offsets, *(self._rule.both() if self._rule else ())]
        return sorted({offset[2].upper() for offset in offsets if offset[2].isalpha()})

    def abbreviation(self, name: str) -> tuple[int, bool] | None:
        """Latest meaning of an abbreviation in this zone, if it has one."""
        wanted = name.upper()
        for east, daylight, abbreviation in reversed([*self._offsets, *(self._rule.both() if self._rule else ())]):
            if abbreviation.upper() == wanted:
                return east, daylight
        return (self.first[0], self.first[1]) if self.first[2].upper() == wanted else None

    def abbreviation_at(self, name: str, instant: int) -> tuple[int, bool] | None:
        """Meaning of an abbreviation around an instant: the last before it, else the first after."""
        wanted = name.upper()
        if self._rule is not None and (not self._instants or instant >= self._instants[-1]):
            for east, daylight, abbreviation in self._rule.both():
                if abbreviation.upper() == wanted:
                    return east, daylight
        index = bisect_right(self._instants, instant)
        for offset in [*reversed(self._offsets[:index]), *self._offsets[index:]]:
            if offset[2].upper() == wanted:
                return offset[0], offset[1]
        return None


class PosixRule:
    """The rule of a POSIX TZ string: standard time, and perhaps daylight time between two days of each year."""

    __slots__ = ("_cache", "daylight", "end", "standard", "start")

    def __init__(self, standard: Offset, daylight: Offset | None, start: str, end: str) -> None:
        self.standard = standard
        self.daylight = daylight
        self.start = start
        self.end = end
        self._cache: dict[int, tuple[int, int]] = {}

    def both(self) -> tuple[Offset, ...]:
        """Its one or two offsets."""
        return (self.standard,) if self.daylight is None else (self.daylight, self.standard)

    def at(self, instant: int) -> Offset:
        """The offset in force at an instant."""
        if self.daylight is None:
            return self.standard
        year = from_days((instant + self.standard[0]) // SECS_PER_DAY + _UNIX_EPOCH_DAY)[0]
        begin, end = self._cache.get(year) or self._transitions(year)
        inside = begin <= instant < end if begin < end else not end <= instant < begin
        return self.daylight if inside else self.standard

    def _transitions(self, year: int) -> tuple[int, int]:
        assert self.daylight is not None
        pair = (
            _rule_instant(self.start, year) - self.standard[0],
            _rule_instant(self.end, year) - self.daylight[0],
        )
        self._cache[year] = pair
        return pair


def _rule_instant(rule: str, year: int) -> int:
    day_text, _, time_text = rule.partition("/")
    seconds = _posix_seconds(time_text) if time_text else 7200
    first = to_days(year, 1, 1) - _UNIX_EPOCH_DAY
    if day_text.startswith("M"):
        month, week, weekday = map(int, day_text[1:].split("."))
        start = to_days(year, month, 1)
        day = start + (weekday - day_of_week(start)) % 7 + (week - 1) * 7
        next_month = to_days(year + month // 12, month % 12 + 1, 1)
        while day >= next_month:
            day -= 7
        day -= _UNIX_EPOCH_DAY
    elif day_text.startswith("J"):
        number = int(day_text[1:])
        day = first + number - 1 + (1 if number > 59 and is_leap(year) else 0)
    else:
        day = first + int(day_text)
    return day * SECS_PER_DAY + seconds


def _posix_seconds(text: str) -> int:
    sign = -1 if text.startswith("-") else 1
    parts = [int(part) for part in text.lstrip("+-").split(":")]
    return sign * sum(part * unit for part, unit in zip(parts, (3600, 60, 1), strict=False))


_POSIX = re.compile(
    r"(<[^>]+>|[A-Za-z]{3,})([+-]?\d{1,3}(?::\d{1,2}){0,2})"
    r"(?:(<[^>]+>|[A-Za-z]{3,})([+-]?\d{1,3}(?::\d{1,2}){0,2})?(?:,([^,]+),([^,]+))?)?"
)


def parse_posix(text: str) -> PosixRule | None:
    """The rule of a POSIX TZ string, or None."""
    match = _POSIX.fullmatch(text)
    if match is None:
        return None
    name, offset, daylight_name, daylight_offset, start, end = match.groups()
    east = -_posix_seconds(offset)
    if abs(east) > 167 * 3600:
        return None
    standard = (east, False, name.strip("<>"))
    if daylight_name is None:
        return PosixRule(standard, None, "", "")
    daylight_east = -_posix_seconds(daylight_offset) if daylight_offset else east + 3600
    daylight = (daylight_east, True, daylight_name.strip("<>"))
    try:
        rule = PosixRule(standard, daylight, start or "M3.2.0", end or "M11.1.0")
        rule.at(0)
    except ValueError:
        return None
    return rule


def _read_tzif(name: str, data: bytes) -> Zone | None:
    if data[:4] != b"TZif":
        return None
    counts = struct.unpack_from(">6I", data, 20)
    position = 44
    if data[4:5] >= b"2":
        isut, isstd, leap, times, types, chars = counts
        position += times * 5 + types * 6 + chars + leap * 8 + isstd + isut
        counts = struct.unpack_from(">6I", data, position + 20)
        position += 44
    isut, isstd, leap, times, types, chars = counts
    instants = list(struct.unpack_from(f">{times}q", data, position))
    position += times * 8
    indexes = data[position : position + times]
    position += times
    names = data[position + types * 6 : position + types * 6 + chars]
    kinds: list[Offset] = []
    for i in range(types):
        east, daylight, start = struct.unpack_from(">iBB", data, position + i * 6)
        kinds.append((east, bool(daylight), names[start : names.index(0, start)].decode()))
    position += types * 6 + chars + leap * 12 + isstd + isut
    footer = data[position:].strip(b"\n").decode()
    first = next((kind for kind in kinds if not kind[1]), kinds[0]) if not times else kinds[0]
    return Zone(name, instants, [kinds[i] for i in indexes], first, parse_posix(footer) if footer else None)


_directory: str | None = None
_zones: dict[str, Zone | None] = {}
_names: dict[str, str] | None = None


def zone_directory() -> str:
    """Where the compiled time zone database is."""
    global _directory
    if _directory is None:
        for candidate in _SYSTEM_DIRECTORIES:
            if os.path.exists(os.path.join(candidate, "Europe/London")):
                _directory = candidate
                break
        else:
            spec = find_spec("tzdata")
            if spec is None or not spec.submodule_search_locations:
                raise SqlError(errcode.CONFIG_FILE_ERROR, "could not find a time zone database")
            _directory = os.path.join(spec.submodule_search_locations[0], "zoneinfo")
    return _directory


def zone_names() -> dict[str, str]:
    """All zone names by their lower-case form."""
    global _names
    if _names is None:
        root = zone_directory()
        _names = {}
        for path, folders, files in os.walk(root):
            folders[:] = [f for f in folders if f not in ("posix", "right", "__pycache__")]
            prefix = os.path.relpath(path, root)
            for file in files:
                name = file if prefix == "." else f"{prefix}/{file}"
                if "." not in file and file not in ("localtime", "posixrules", "leapseconds", "zones"):
                    _names[name.lower()] = name
    return _names


def load_zone(name: str) -> Zone | None:
    """The zone of a name in any case, or of a POSIX string; None when there is no such zone."""
    key = name.lower()
    if key in _zones:
        return _zones[key]
    zone = _load(name, key)
    if len(_zones) < 5000:
        _zones[key] = zone
    return zone


def _load(name: str, key: str) -> Zone | None:
    if key in ("gmt", "utc"):
        return Zone(key.upper(), [], [], (0, False, key.upper()), None)
    if name and not name.startswith(("/", ".")) and ".." not in name and len(name) < 256:
        real = zone_names().get(key)
        if real is not None:
            with open(os.path.join(zone_directory(), real), "rb") as file:
                zone = _read_tzif(real, file.read())
            if zone is not None:
                return zone
    rule = parse_posix(name.upper() if not name.startswith("<") else name)
    return Zone(name.upper(), [], [], rule.standard, rule) if rule is not None else None


def fixed_zone(seconds_east: int) -> Zone:
    """A zone of one constant offset, named as PostgreSQL names it."""
    text = offset_text(seconds_east)
    return Zone(f"<{text}>{offset_text(-seconds_east)}", [], [], (seconds_east, False, text), None)


def offset_text(seconds_east: int) -> str:
    """+hh[:mm[:ss]]."""
    sign = "-" if seconds_east < 0 else "+"
    minutes, second = divmod(abs(seconds_east), 60)
    hour, minute = divmod(minutes, 60)
    text = f"{sign}{hour:02d}"
    if minute or second:
        text += f":{minute:02d}"
    return f"{text}:{second:02d}" if second else text


_MAX_OFFSET = 168 * 3600


def _invalid_zone(name: str, value: Any, detail: str | None = None) -> SqlError:
    return SqlError(
        errcode.INVALID_PARAMETER_VALUE, f'invalid value for parameter "{name}": "{value}"', detail=detail
    )


@on_check("TimeZone")
def check_timezone(value: Any, _source: Any) -> str:
    """The canonical name of a zone; hours east of UTC and INTERVAL '...' make zones of a fixed offset. 22023."""
    text = str(value)
    if text.lower().startswith("interval"):
        return _interval_zone(text).name
    try:
        hours = float(text)
    except ValueError:
        pass
    else:
        seconds = int(hours * 3600) if math.isfinite(hours) else _MAX_OFFSET
        if abs(seconds) >= _MAX_OFFSET:
            raise _invalid_zone("TimeZone", value, "UTC timezone offset is out of range.")
        return fixed_zone(seconds).name
    return _known_zone("TimeZone", text)


@on_check("log_timezone")
def check_log_timezone(value: Any, _source: Any) -> str:
    """The same for the log, by name only. 22023."""
    return _known_zone("log_timezone", str(value))


def _known_zone(setting_name: str, text: str) -> str:
    zone = load_zone(text) if text else None
    if zone is None:
        raise _invalid_zone(setting_name, text)
    return zone.name


def _interval_zone(text: str) -> Zone:
    from tusk.types.interval_parse import parse_interval

    quoted = text[8:].strip()
    if len(quoted) < 2 or quoted[0] != "'" or quoted[-1] != "'":
        raise _invalid_zone("TimeZone", text)
    interval = parse_interval(quoted[1:-1])
    if interval.months:
        raise _invalid_zone("TimeZone", text, "Cannot specify months in time zone interval.")
    if interval.days:
        raise _invalid_zone("TimeZone", text, "Cannot specify days in time zone interval.")
    return fixed_zone(interval.us // 1_000_000)


_session: tuple[str, Zone] = ("", fixed_zone(0))
_FIXED = re.compile(r"<[+-]\d+(?::\d+)*>([+-]\d+(?::\d+)*)")


def session_zone() -> Zone:
    """The zone of the TimeZone setting."""
    global _session
    name = setting("TimeZone", "UTC")
    if name != _session[0]:
        zone = load_zone(name)
        if zone is None:
            raise SqlError(errcode.INVALID_PARAMETER_VALUE, f'time zone "{name}" not recognized')
        _session = (name, zone)
    return _session[1]


def abbreviation_offset(name: str, zone: Zone | None = None) -> tuple[int, bool] | Zone | None:
    """What an abbreviation means: an offset east of Greenwich, a zone that tells by date, or None."""
    local = (zone or session_zone()).abbreviation(name)
    if local is not None:
        return local
    entry = ABBREVIATIONS.get(name.lower())
    if isinstance(entry, str):
        return load_zone(entry)
    return entry


def dynamic_offset(zone: Zone, name: str, local: int) -> int:
    """Seconds east of Greenwich that an abbreviation means in a zone at a local time (Unix seconds as if UTC)."""
    east = zone.at_local(local)[0]
    found = zone.abbreviation_at(name, local - east)
    return found[0] if found is not None else east


def local_offset(zone: Zone, local_us: int) -> int:
    """Seconds east of Greenwich for a local timestamp (microseconds since 2000)."""
    return zone.at_local(local_us // 1_000_000 + UNIX_EPOCH_SECS)[0]


def instant_offset(zone: Zone, us: int) -> Offset:
    """The offset at a timestamptz."""
    return zone.at(us // 1_000_000 + UNIX_EPOCH_SECS)
