"""Pieces that several descriptions share."""

import struct
import time
from collections.abc import Iterable

from tusk.wal.controlfile import format_lsn

POSTGRES_EPOCH = 946684800
FORK_NAMES = ("main", "fsm", "vm", "init")
_MESSAGE = struct.Struct("<b3xII4x")


def timestamp(microseconds: int) -> str:
    """A timestamp in the zone of the process, as pg_waldump prints it."""
    seconds, micros = divmod(microseconds, 1_000_000)
    moment = time.localtime(seconds + POSTGRES_EPOCH)
    return f"{time.strftime('%Y-%m-%d %H:%M:%S', moment)}.{micros:06d} {time.strftime('%Z', moment)}"


def relation_path(tablespace: int, database: int, relation: int, fork: int = 0) -> str:
    """Path of a permanent relation's file, relative to the data directory."""
    suffix = f"_{FORK_NAMES[fork]}" if fork else ""
    if tablespace == 1664:
        return f"global/{relation}{suffix}"
    if tablespace == 1663:
        return f"base/{database}/{relation}{suffix}"
    return f"pg_tblspc/{tablespace}/PG_18_202506291/{database}/{relation}{suffix}"


def offsets(values: Iterable[object]) -> str:
    """A bracketed list with its leading blank."""
    return f" [{', '.join(str(value) for value in values)}]"


def flag(value: bool) -> str:
    """T or F."""
    return "T" if value else "F"


def on_off(value: bool) -> str:
    """on or off."""
    return "on" if value else "off"


def invalidations(nmsgs: int, data: bytes, database: int, tablespace: int, init_file: bool) -> str:
    """Shared invalidation messages (standby_desc_invalidations); `data` starts with the first."""
    if nmsgs <= 0:
        return ""
    out = f"; relcache init file inval dbid {database} tsid {tablespace}" if init_file else ""
    out += "; inval msgs:"
    for i in range(nmsgs):
        kind, _first, second = _MESSAGE.unpack_from(data, 16 * i)
        match kind:
            case -1:
                out += f" catalog {second}"
            case -2:
                out += f" relcache {second}"
            case -3:
                out += " smgr"
            case -4:
                out += f" relmap db {_first}"
            case -5:
                out += f" snapshot {second}"
            case -6:
                out += f" relsync {second}"
            case _:
                out += f" catcache {kind}" if kind >= 0 else f" unrecognized id {kind}"
    return out


def origin(node: int, lsn: int, moment: int) -> str:
    """Where a replicated transaction came from."""
    return f"; origin: node {node}, lsn {format_lsn(lsn)}, at {timestamp(moment)}"
