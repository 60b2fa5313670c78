"""Unlogged relations after a crash: emptied, as their changes were never logged (ResetUnloggedRelations).

Before replay everything but the init fork goes; after it each init fork is copied to the main fork. The copies are
made durable before WAL is written again.
"""

import os
import re
import shutil
from collections.abc import Iterator

from tusk.wal.segments import fsync_path

_FILE = re.compile(r"(\d+)(?:_(fsm|vm|init))?(?:\.(\d+))?")


def _database_directories() -> Iterator[str]:
    """Every directory that holds the relations of a database."""
    roots = ["base"]
    if os.path.isdir("pg_tblspc"):
        for link in os.listdir("pg_tblspc"):
            tablespace = f"pg_tblspc/{link}"
            if os.path.isdir(tablespace):
                roots += [f"{tablespace}/{name}" for name in os.listdir(tablespace) if name.startswith("PG_")]
    for root in roots:
        if os.path.isdir(root):
            yield from (f"{root}/{name}" for name in os.listdir(root) if name.isdigit())


def _parsed_files(directory: str) -> list[tuple[str, str, str | None, str | None]]:
    """(file name, relation number, fork, segment) of the relation files in a directory."""
    found = []
    for name in os.listdir(directory):
        match = _FILE.fullmatch(name)
        if match:
            found.append((name, match[1], match[2], match[3]))
    return found


def remove_contents() -> int:
    """Before replay: remove all forks but the init fork of every unlogged relation; returns how many files went."""
    removed = 0
    for directory in _database_directories():
        files = _parsed_files(directory)
        unlogged = {number for _, number, fork, _ in files if fork == "init"}
        for name, number, fork, _ in files:
            if number in unlogged and fork != "init":
                os.unlink(f"{directory}/{name}")
                removed += 1
    return removed


def restore_empty() -> int:
    """After replay: make each unlogged relation's main fork from its init fork; returns how many were made."""
    made = 0
    for directory in _database_directories():
        copied = []
        for name, number, fork, segment in _parsed_files(directory):
            if fork == "init":
                target = f"{directory}/{number}" + (f".{segment}" if segment else "")
                shutil.copyfile(f"{directory}/{name}", target)
                copied.append(target)
        for target in copied:
            fsync_path(target)
        if copied:
            fsync_path(directory)
        made += len(copied)
    return made
