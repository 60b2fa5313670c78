"""Reading the server's files and directories: pg_ls_dir(), pg_read_file(), pg_stat_file()."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from typing import Any

from tusk.catalog import acl
from tusk.catalog import cache as c
from tusk.catalog.cache import lookup
from tusk.catalog.session import session
from tusk.commands.functions.support import PG_READ_SERVER_FILES, denied, invalid, out_row
from tusk.config import settings
from tusk.errors import SqlError, errcode
from tusk.types.registry import function

_UNIX_TO_PG = 946_684_800
_LIMIT = 0x3FFFFFFF - 4


def _checked(name: str) -> str:
    """The path, which must be below the data or log directory unless the role may read everything."""
    path = os.path.normpath(name)
    if acl.has_privs_of_role(session.current_user_id, PG_READ_SERVER_FILES):
        return path
    if os.path.isabs(path):
        roots = [str(settings.data_directory), os.path.abspath(str(settings.log_directory))]
        if not any(path == root or path.startswith(root.rstrip("/") + "/") for root in roots):
            raise denied("absolute path not allowed")
    elif path == ".." or path.startswith("../"):
        raise denied("path must be in or below the data directory")
    return path


def _failed(action: str, path: str, error: OSError) -> SqlError:
    code = errcode.UNDEFINED_FILE if isinstance(error, FileNotFoundError) else errcode.IO_ERROR
    return SqlError(code, f'could not {action} "{path}": {error.strerror}')


def _read(name: str, offset: int, length: int | None, missing_ok: bool) -> bytes | None:
    if length is not None and length < 0:
        raise invalid("requested length cannot be negative")
    if length is not None and length > _LIMIT:
        raise invalid("requested length too large")
    path = _checked(name)
    try:
        with open(path, "rb") as file:
            file.seek(offset, os.SEEK_END if offset < 0 else os.SEEK_SET)
            return file.read(-1 if length is None else length)
    except FileNotFoundError as error:
        if missing_ok:
            return None
        raise _failed("open file", path, error) from error
    except OSError as error:
        raise _failed("read file", path, error) from error


def _text(data: bytes | None) -> str | None:
    if data is None:
        return None
    try:
        return data.decode("utf-8") if session.encoding == 6 else data.decode("utf-8", "surrogateescape")
    except UnicodeDecodeError as error:
        shown = " ".join(f"0x{byte:02x}" for byte in data[error.start : error.start + 1])
        raise SqlError(
            errcode.CHARACTER_NOT_IN_REPERTOIRE, f'invalid byte sequence for encoding "UTF8": {shown}'
        ) from error


function("pg_read_file_off_len")(lambda name, offset, length: _text(_read(name, offset, length, False)))
function("pg_read_file_off_len_missing")(lambda name, offset, length, ok: _text(_read(name, offset, length, ok)))
function("pg_read_file_all")(lambda name: _text(_read(name, 0, None, False)))
function("pg_read_file_all_missing")(lambda name, ok: _text(_read(name, 0, None, ok)))
function("pg_read_binary_file_off_len")(lambda name, offset, length: _read(name, offset, length, False))
function("pg_read_binary_file_off_len_missing")(_read)
function("pg_read_binary_file_all")(lambda name: _read(name, 0, None, False))
function("pg_read_binary_file_all_missing")(lambda name, ok: _read(name, 0, None, ok))


def _time(seconds: float) -> int:
    return int((int(seconds) - _UNIX_TO_PG) * 1_000_000)


def _stat(prosrc: str, name: str, missing_ok: bool) -> Any:
    path = _checked(name)
    try:
        found = os.stat(path)
    except FileNotFoundError as error:
        if missing_ok:
            return None
        raise _failed("stat file", path, error) from error
    except OSError as error:
        raise _failed("stat file", path, error) from error
    return out_row(
        prosrc, found.st_size, _time(found.st_atime), _time(found.st_mtime), _time(found.st_ctime), None,
        stat.S_ISDIR(found.st_mode),
    )  # fmt: skip


@function("pg_stat_file")
def pg_stat_file(name: str, missing_ok: bool) -> Any:
    """(size, access, modification, change, creation, isdir)."""
    return _stat("pg_stat_file", name, missing_ok)


@function("pg_stat_file_1arg")
def pg_stat_file_1arg(name: str) -> Any:
    """The same; the file must exist."""
    return _stat("pg_stat_file_1arg", name, False)


def _entries(name: str, missing_ok: bool, dots: bool) -> list[str]:
    path = _checked(name)
    try:
        found = os.listdir(path)
    except FileNotFoundError as error:
        if missing_ok:
            return []
        raise _failed("open directory", path, error) from error
    except OSError as error:
        raise _failed("open directory", path, error) from error
    return [".", "..", *found] if dots else found


@function("pg_ls_dir", set_returning=True)
def pg_ls_dir(name: str, missing_ok: bool | None, dots: bool | None) -> Iterator[str]:
    """The names in a directory."""
    yield from _entries(name, bool(missing_ok), bool(dots))


@function("pg_ls_dir_1arg", set_returning=True)
def pg_ls_dir_1arg(name: str) -> Iterator[str]:
    """The same; it must exist."""
    yield from _entries(name, False, False)


def _list_files(path: str, missing_ok: bool) -> Iterator[tuple[str, int, int]]:
    """(name, size, modification) of the plain files in a directory, hidden ones left out."""
    try:
        names = os.listdir(path)
    except FileNotFoundError as error:
        if missing_ok:
            return
        raise _failed("open directory", path, error) from error
    for name in names:
        try:
            found = os.stat(os.path.join(path, name))
        except FileNotFoundError:
            continue
        if not name.startswith(".") and stat.S_ISREG(found.st_mode):
            yield name, found.st_size, _time(found.st_mtime)


def _listing(prosrc: str, path: str, missing_ok: bool) -> None:
    function(prosrc, set_returning=True)(lambda: _list_files(path, missing_ok))


_listing("pg_ls_waldir", "pg_wal", False)
_listing("pg_ls_archive_statusdir", "pg_wal/archive_status", True)
_listing("pg_ls_summariesdir", "pg_wal/summaries", True)
_listing("pg_ls_logicalsnapdir", "pg_logical/snapshots", False)
_listing("pg_ls_logicalmapdir", "pg_logical/mappings", False)
function("pg_ls_logdir", set_returning=True)(lambda: _list_files(str(settings.log_directory), False))


def _temporary(tablespace: int) -> Iterator[tuple[str, int, int]]:
    if lookup(c.TABLESPACEOID, tablespace) is None:
        raise SqlError(errcode.UNDEFINED_OBJECT, f"tablespace with OID {tablespace} does not exist")
    path = "base" if tablespace in (1663, 1664) else f"pg_tblspc/{tablespace}/PG_18_202506291"
    yield from _list_files(f"{path}/pgsql_tmp", True)


function("pg_ls_tmpdir_noargs", set_returning=True)(lambda: _temporary(1663))
function("pg_ls_tmpdir_1arg", set_returning=True)(_temporary)
