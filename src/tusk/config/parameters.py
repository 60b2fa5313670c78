"""The table of parameters, and how their text becomes a value and a value its text.

Facts come from ``data/settings.tsv`` (written by tools/extract_settings.py). Values are kept in the parameter's own
unit: ``work_mem`` in kB, ``shared_buffers`` in blocks, booleans as bool, enums and strings as str.
Source: manual, "Parameter Names and Values".
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from importlib.resources import files

from tusk.errors import SqlError, errcode

Value = bool | int | float | str | None

# Reported to the client by ParameterStatus when they change (manual, "Asynchronous Operations").
REPORTED = frozenset(
    {
        "application_name", "client_encoding", "DateStyle", "default_transaction_read_only", "in_hot_standby",
        "integer_datetimes", "IntervalStyle", "is_superuser", "scram_iterations", "search_path", "server_encoding",
        "server_version", "session_authorization", "standard_conforming_strings", "TimeZone",
    }
)  # fmt: skip
# Lists of identifiers or names: SET joins several values with commas and quotes them where needed.
LISTS = frozenset(
    {
        "DateStyle", "createrole_self_grant", "debug_io_direct", "listen_addresses", "local_preload_libraries",
        "log_connections", "log_destination", "oauth_validator_libraries", "restrict_nonsystem_relation_kind",
        "search_path", "session_preload_libraries", "shared_preload_libraries", "synchronous_standby_names",
        "synchronized_standby_slots", "temp_tablespaces", "unix_socket_directories", "wal_consistency_checking",
    }
)  # fmt: skip
# Their values are identifiers: stored with double quotes where an identifier needs them.
QUOTED_LISTS = frozenset(
    {
        "local_preload_libraries", "search_path", "session_preload_libraries", "shared_preload_libraries",
        "temp_tablespaces", "unix_socket_directories", "oauth_validator_libraries",
    }
)  # fmt: skip
HIDDEN = frozenset({"is_superuser", "role", "session_authorization", "seed"})
SUPERUSER_ONLY = frozenset(
    {
        "config_file", "data_directory", "dynamic_library_path", "external_pid_file", "hba_file", "ident_file",
        "krb_server_keyfile", "log_directory", "log_filename", "primary_conninfo", "session_preload_libraries",
        "shared_preload_libraries", "unix_socket_directories",
    }
)  # fmt: skip

_BYTES = {"B": 1, "kB": 1024, "MB": 1024**2, "GB": 1024**3, "TB": 1024**4}
_BASE_BYTES = {"B": 1, "kB": 1024, "8kB": 8192, "MB": 1024**2}
_MICROSECONDS = {"us": 1, "ms": 1000, "s": 10**6, "min": 60 * 10**6, "h": 3600 * 10**6, "d": 86400 * 10**6}
_HINT_MEMORY = 'Valid units for this parameter are "B", "kB", "MB", "GB", and "TB".'
_HINT_TIME = 'Valid units for this parameter are "us", "ms", "s", "min", "h", and "d".'
_TRUE = ("true", "yes", "on", "1")
_FALSE = ("false", "no", "off", "0")
# Spellings that are accepted and never shown.
_ENUM_ALIASES = {
    "log_min_messages": {"debug": "debug2"},
    "client_min_messages": {"debug": "debug2", "info": "info", "fatal": "error", "panic": "error"},
    "log_min_error_statement": {"debug": "debug2"},
}
_BOOL_LIKE = {
    "backslash_quote": ("on", "off"), "compute_query_id": ("on", "off"), "constraint_exclusion": ("on", "off"),
    "debug_parallel_query": ("on", "off"), "huge_pages": ("on", "off"), "recovery_prefetch": ("on", "off"),
    "synchronous_commit": ("on", "off"), "wal_compression": ("pglz", "off"), "archive_mode": ("on", "off"),
}  # fmt: skip


class Parameter:
    """The facts of one parameter; what it is set to lives in `registry`."""

    __slots__ = (
        "boot_value", "category", "context", "description", "enum_values", "flags", "long_description", "maximum",
        "minimum", "name", "unit", "vartype",
    )  # fmt: skip

    def __init__(self, row: list[str]) -> None:
        (
            self.name, self.vartype, self.unit, minimum, maximum, enum_values, boot, self.context, self.category, flags,
            self.description, self.long_description,
        ) = row  # fmt: skip
        number = int if self.vartype == "integer" else float
        self.minimum: int | float = number(minimum) if minimum else 0
        self.maximum: int | float = number(maximum) if maximum else 0
        self.enum_values = enum_values.split(",") if enum_values else []
        self.flags = flags.split(",") if flags else []
        self.boot_value = self._boot(boot)

    def _boot(self, text: str) -> Value:
        match self.vartype:
            case "bool":
                return text == "on"
            case "integer":
                return int(text)
            case "real":
                return float(text)
        return None if text == "\\N" else text

    def parse(self, text: str) -> Value:
        """The value that ``text`` stands for. Raises 22023 as SET does."""
        match self.vartype:
            case "bool":
                value = parse_bool(text)
                if value is None:
                    raise SqlError(
                        errcode.INVALID_PARAMETER_VALUE, f'parameter "{self.name}" requires a Boolean value'
                    )
                return value
            case "integer":
                return self._parse_number(text, integer=True)
            case "real":
                return self._parse_number(text, integer=False)
            case "enum":
                return self._parse_enum(text)
        return text

    def _invalid(self, text: str, hint: str | None = None) -> SqlError:
        return SqlError(
            errcode.INVALID_PARAMETER_VALUE, f'invalid value for parameter "{self.name}": "{text}"', hint=hint
        )

    def _parse_enum(self, text: str) -> str:
        wanted = text.lower()
        for value in self.enum_values:
            if value == wanted:
                return value
        alias = _ENUM_ALIASES.get(self.name, {}).get(wanted)
        if alias is not None:
            return alias
        if self.name in _BOOL_LIKE:
            truth = parse_bool(text)
            if truth is not None:
                return _BOOL_LIKE[self.name][0 if truth else 1]
        raise self._invalid(text, f"Available values: {', '.join(self.enum_values)}.")

    def _parse_number(self, text: str, *, integer: bool) -> int | float:
        match = re.fullmatch(
            r"\s*([+-]?(?:0[xX][0-9a-fA-F]+|0[0-7]+(?![\d.eE])|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?))\s*([A-Za-z]*)\s*",
            text,
        )
        if match is None:
            raise self._invalid(text)
        digits, unit = match.groups()
        bare = digits.lstrip("+-").lower()
        number: float
        if bare.startswith("0x"):
            number = int(digits, 16)
        elif re.fullmatch(r"0[0-7]+", bare):
            number = int(digits, 8)
        elif bare.isdigit():
            number = int(digits)
        else:
            number = float(digits)
        if unit:
            number = self._convert(number, unit, text)
        if not integer:
            if not self.minimum <= number <= self.maximum:
                raise self._out_of_range(number)
            return float(number)
        whole = round(number) if isinstance(number, float) and math.isfinite(number) else number
        if not -(2**31) <= whole < 2**31:
            raise self._invalid(text, "Value exceeds integer range.")
        if not self.minimum <= whole <= self.maximum:
            raise self._out_of_range(int(whole))
        return int(whole)

    def _convert(self, number: float, unit: str, text: str) -> float:
        if self.unit in _BASE_BYTES:
            if unit not in _BYTES:
                raise self._invalid(text, _HINT_MEMORY)
            return number * _BYTES[unit] / _BASE_BYTES[self.unit]
        if self.unit in _MICROSECONDS:
            if unit not in _MICROSECONDS:
                raise self._invalid(text, _HINT_TIME)
            return number * _MICROSECONDS[unit] / _MICROSECONDS[self.unit]
        raise self._invalid(text)

    def _out_of_range(self, number: float) -> SqlError:
        space = f" {self.unit}" if self.unit else ""
        shown, low, high = (
            (f"{n:g}{space}" if self.vartype == "real" else f"{int(n)}{space}")
            for n in (number, self.minimum, self.maximum)
        )
        return SqlError(
            errcode.INVALID_PARAMETER_VALUE,
            f'{shown} is outside the valid range for parameter "{self.name}" ({low} .. {high})',
        )

    def format(self, value: Value, *, use_units: bool = True) -> str:
        """The text SHOW prints (with the largest unit that divides the value), or pg_settings' bare number."""
        if value is None:
            return ""
        if isinstance(value, bool):
            return "on" if value else "off"
        if isinstance(value, float):
            return self._format_real(value, use_units)
        if isinstance(value, int):
            if self.name in ("log_file_mode", "unix_socket_permissions", "data_directory_mode"):
                return f"0{value:o}"
            return self._format_units(value) if use_units and value > 0 and self.unit else str(value)
        return value

    def _format_real(self, value: float, use_units: bool) -> str:
        if use_units and value > 0 and self.unit in _MICROSECONDS:
            for unit in ("d", "h", "min", "s", "ms", "us"):
                scaled = value * _MICROSECONDS[self.unit] / _MICROSECONDS[unit]
                if scaled == int(scaled):
                    return f"{int(scaled)}{unit}"
            return f"{value:g}{self.unit}"
        return f"{value:g}"

    def _format_units(self, value: int) -> str:
        if self.unit in _BASE_BYTES:
            total, table = value * _BASE_BYTES[self.unit], _BYTES
        elif self.unit in _MICROSECONDS:
            total, table = value * _MICROSECONDS[self.unit], _MICROSECONDS
        else:
            return str(value)
        for unit in reversed(table):
            if total % table[unit] == 0:
                return f"{total // table[unit]}{unit}"
        return str(value)


def parse_bool(text: str) -> bool | None:
    """PostgreSQL's boolean words and their unique prefixes; None where it is none."""
    word = text.strip().lower()
    if not word:
        return None
    for candidate in _TRUE:
        if candidate.startswith(word) and word != "o":
            return True
    for candidate in _FALSE:
        if candidate.startswith(word) and word != "o":
            return False
    return None


def _load() -> dict[str, Parameter]:
    table = files("tusk.config").joinpath("data/settings.tsv").read_text()
    return {row[0].lower(): Parameter(row) for row in (line.split("\t") for line in table.splitlines())}


_PARAMETERS = _load()
# Names of former times that are still understood.
_OLD_NAMES = {"sort_mem": "work_mem", "vacuum_mem": "maintenance_work_mem", "ssl_ecdh_curve": "ssl_groups"}


def parameter(name: str) -> Parameter | None:
    """The built-in parameter of that name (any case, former names too), or None."""
    wanted = name.lower()
    return _PARAMETERS.get(_OLD_NAMES.get(wanted, wanted))


def parameters() -> Iterator[Parameter]:
    """All built-in parameters in the order of their names, case ignored."""
    return iter(_PARAMETERS.values())
