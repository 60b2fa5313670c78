"""postgresql.conf and postgresql.auto.conf: reading with includes, applying, and ALTER SYSTEM's rewriting.

Source: manual, "Setting Parameters via the Configuration File".
"""

from __future__ import annotations

import os
import re
import time
from dataclasses import dataclass
from pathlib import Path

from tusk.config.parameters import parameter, parameters
from tusk.config.registry import Context, Source, is_custom_name, set_option, settings, state_of
from tusk.errors import Severity, SqlError, errcode, report

AUTO_CONF = "postgresql.auto.conf"
_UNIX_TO_PG_SECONDS = 946_684_800
_loaded_at = 0
_MAX_DEPTH = 10
_TOKEN = re.compile(
    r"""\s*(?:(?P<comment>\#.*)|(?P<string>'(?:[^'\\\n]|\\.|'')*')|(?P<equals>=)|(?P<word>[^\s#='][^\s#=']*))"""
)
_ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


@dataclass(slots=True)
class FileSetting:
    """One line of a configuration file: a row of pg_file_settings."""

    name: str
    value: str
    sourcefile: str
    sourceline: int
    error: str | None = None
    applied: bool = False
    ignore: bool = False


class ConfigFileError(Exception):
    """A file that cannot be read, or a line that is no setting."""

    def __init__(self, message: str, path: str, line: int) -> None:
        super().__init__(message)
        self.message, self.path, self.line = message, path, line


def parse_config_file(path: Path, *, depth: int = 0, strict: bool = True) -> list[FileSetting]:
    """Read a file and what it includes, in order. Lines that make no sense come back with ``error`` set."""
    if depth > _MAX_DEPTH:
        return [FileSetting("", "", str(path), 0, "nesting depth exceeded")]
    try:
        text = path.read_text(errors="surrogateescape")
    except OSError as error:
        if not strict:
            return []
        message = f'could not open file "{path}"'
        report(Severity.LOG, f'could not open configuration file "{path}": {error.strerror}')
        return [FileSetting("", "", str(path), 0, message)]
    found: list[FileSetting] = []
    for number, line in enumerate(text.splitlines(), 1):
        tokens = _tokens(line)
        if tokens is None:
            found.append(_syntax_error(path, number, line))
            continue
        if not tokens:
            continue
        name, value = tokens
        found.extend(_include(path, name.lower(), value, depth) or [FileSetting(name, value, str(path), number)])
    return found


def _syntax_error(path: Path, number: int, line: str) -> FileSetting:
    near = line.split()[-1] if line.split() else ""
    report(
        Severity.LOG,
        f'syntax error in file "{path}" line {number}, near token "{near}"',
        sqlstate=errcode.SYNTAX_ERROR,
    )
    return FileSetting("", "", str(path), number, "syntax error")


def _include(path: Path, name: str, value: str, depth: int) -> list[FileSetting] | None:
    if name not in ("include", "include_if_exists", "include_dir"):
        return None
    target = path.parent / value
    if name != "include_dir":
        return parse_config_file(target, depth=depth + 1, strict=name == "include") or [_nothing(target)]
    if not target.is_dir():
        report(Severity.LOG, f'could not open configuration directory "{target}": No such file or directory')
        return [FileSetting("", "", str(target), 0, f'could not open directory "{target}"')]
    found = [_nothing(target)]
    for entry in sorted(target.iterdir(), key=lambda entry: os.fsencode(entry.name)):
        if entry.name.endswith(".conf") and not entry.name.startswith(".") and not entry.is_dir():
            found.extend(parse_config_file(entry, depth=depth + 1))
    return found


def _nothing(path: Path) -> FileSetting:
    return FileSetting("", "", str(path), 0, ignore=True)


def _tokens(line: str) -> tuple[str, str] | tuple[()] | None:
    """(name, value) of a line, () for an empty one, None where it is malformed."""
    words: list[str] = []
    position = 0
    line = line.rstrip()
    while position < len(line):
        match = _TOKEN.match(line, position)
        if match is None:
            return None
        position = match.end()
        if match["comment"]:
            break
        if match["equals"]:
            if len(words) != 1:
                return None
            continue
        words.append(match["word"] or _unquote(match["string"]))
        if len(words) > 2:
            return None
    if not words:
        return ()
    if len(words) != 2 or not re.fullmatch(r"[A-Za-z_][\w$]*(\.[A-Za-z_][\w$]*)*", words[0]):
        return None
    return words[0], words[1]


def _unquote(text: str) -> str:
    def decode(match: re.Match[str]) -> str:
        code = match[0]
        if code == "''":
            return "'"
        if code[1] in "01234567":
            return chr(int(code[1:], 8) & 0xFF)
        return _ESCAPES.get(code[1], code[1])

    return re.sub(r"''|\\[0-7]{1,3}|\\.", decode, text[1:-1])


def read_settings(config_file: Path, data_directory: Path, *, quiet: bool = False) -> list[FileSetting]:
    """All lines of postgresql.conf and, after them, postgresql.auto.conf; checked against the known names.

    What is wrong is reported in the server log too, unless ``quiet``.
    """
    found = [item for item in parse_config_file(config_file) if not item.ignore]
    auto = data_directory / AUTO_CONF
    if auto.exists():
        found += [item for item in parse_config_file(auto) if not item.ignore]
    for item in found:
        if item.error is None and parameter(item.name) is None and not is_custom_name(item.name):
            item.error = "unrecognized configuration parameter"
            if quiet:
                continue
            report(
                Severity.LOG,
                f'unrecognized configuration parameter "{item.name}" in file "{item.sourcefile}" line '
                f"{item.sourceline}",
                sqlstate=errcode.UNDEFINED_OBJECT,
            )
    return found


def load_config_files(data_directory: Path, config_file: Path, *, is_reload: bool, log_changes: bool = False) -> bool:
    """Read and apply the files, at start or on SIGHUP. The last line for a name wins; names that vanished are reset.

    Returns whether all was well. At start an error raises 22023/58P01-like SqlError; on reload it is logged and, as
    in PostgreSQL, nothing is applied if a line is malformed or unknown.
    """
    global _loaded_at
    lines = read_settings(config_file, data_directory)
    _loaded_at = int((time.time() - _UNIX_TO_PG_SECONDS) * 1_000_000)
    if any(item.error for item in lines):
        message = f'configuration file "{config_file}" contains errors'
        if not is_reload:
            raise SqlError(errcode.CONFIG_FILE_ERROR, message)
        report(Severity.LOG, f"{message}; no changes were applied", sqlstate=errcode.CONFIG_FILE_ERROR)
        return False
    last = {item.name.lower(): item for item in lines}
    fine = _forget_removed(last, log_changes=log_changes)
    context = Context.SIGHUP if is_reload else Context.POSTMASTER
    for item in last.values():
        fine &= _apply_line(item, context, is_reload=is_reload, log_changes=log_changes)
    if not fine and is_reload and log_changes:
        report(
            Severity.LOG,
            f'configuration file "{config_file}" contains errors; unaffected changes were applied',
            sqlstate=errcode.CONFIG_FILE_ERROR,
        )
    elif not fine and not is_reload:
        raise SqlError(errcode.CONFIG_FILE_ERROR, f'configuration file "{config_file}" contains errors')
    return fine


def loaded_at() -> int:
    """When this process (or the postmaster before it) read the files last, µs since 2000-01-01."""
    return _loaded_at


def _apply_line(item: FileSetting, context: Context, *, is_reload: bool, log_changes: bool) -> bool:
    known = parameter(item.name)
    before = getattr(settings, known.name) if known else None
    try:
        item.applied = set_option(
            item.name,
            item.value,
            context,
            Source.FILE,
            sourcefile=item.sourcefile,
            sourceline=item.sourceline,
            is_reload=is_reload,
        )
    except SqlError as error:
        item.error = error.message
        report(Severity.LOG, error.message, sqlstate=error.sqlstate, detail=error.detail, hint=error.hint)
        return False
    if log_changes and known is not None and getattr(settings, known.name) != before:
        report(Severity.LOG, f'parameter "{known.name}" changed to "{item.value}"')
    return not (known is not None and state_of(known).pending_restart)


def _forget_removed(present: dict[str, FileSetting], *, log_changes: bool) -> bool:
    """Return parameters whose line has gone from the files to their defaults."""
    fine = True
    for known in parameters():
        state = state_of(known)
        if state.reset_source != Source.FILE or known.name.lower() in present:
            continue
        if known.context == "postmaster":
            state.pending_restart = True
            report(Severity.LOG, f'parameter "{known.name}" cannot be changed without restarting the server')
            fine = False
            continue
        state.reset_source, state.reset_value = Source.DEFAULT, known.boot_value
        if state.source == Source.FILE:
            state.source = Source.DEFAULT
            set_option(known.name, known.format(known.boot_value, use_units=False), Context.SIGHUP, Source.DEFAULT,
                       is_reload=True)
            if log_changes:
                report(Severity.LOG, f'parameter "{known.name}" removed from configuration file, reset to default')
    return fine


def quote_value(value: str) -> str:
    """The value as a string of the file format."""
    return "'" + value.replace("\\", "\\\\").replace("'", "''").replace("\n", "\\n") + "'"


def alter_system(data_directory: Path, name: str | None, value: str | None) -> None:
    """Write postgresql.auto.conf with ``name`` set (or removed, where ``value`` is None; all, where name is None).

    The file is replaced atomically and durably. The caller has checked privileges and the value.
    """
    path = data_directory / AUTO_CONF
    kept: list[FileSetting] = []
    if name is not None:
        old = parse_config_file(path) if path.exists() else []
        kept = [item for item in old if item.error is None and item.name.lower() != name.lower()]
        if value is not None:
            kept.append(FileSetting(name, value, str(path), 0))
    lines = ["# Do not edit this file manually!", "# It will be overwritten by the ALTER SYSTEM command."]
    lines += [f"{item.name} = {quote_value(item.value)}" for item in kept]
    temporary = path.with_name(AUTO_CONF + ".tmp")
    descriptor = os.open(temporary, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600)
    try:
        os.write(descriptor, ("\n".join(lines) + "\n").encode("utf-8", "surrogateescape"))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    os.replace(temporary, path)
    directory = os.open(data_directory, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
