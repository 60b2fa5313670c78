"""Checking a whole cluster: its files, then each database in a process of its own."""

from __future__ import annotations

import os
import pickle
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tusk.catalog.cache import scan_rows
from tusk.commands.checking import files, offline
from tusk.commands.checking.findings import Finding
from tusk.commands.checking.relations import DatabaseCheck
from tusk.errors import Fatal, SqlError, errcode


@dataclass(slots=True)
class Summary:
    """What was looked at, and what was wrong."""

    findings: list[Finding] = field(default_factory=list)
    files: int = 0
    blocks: int = 0
    tables: int = 0
    indexes: int = 0
    rows: int = 0
    entries: int = 0


def check_cluster(
    directory: Path,
    databases: Sequence[str] = (),
    *,
    tables: Sequence[str] = (),
    progress: Callable[[Finding], None] | None = None,
) -> Summary:
    """Check the cluster, or only these databases, or only these tables and sequences of them without reading all files.

    The process moves into the directory and is of no other use after.

    Raises Fatal where it cannot be checked at all: no cluster, not shut down, no such database.
    """
    directory = directory.absolute()
    summary = Summary()
    control = offline.open_cluster(directory)
    checksums = control.data_checksum_version != 0

    def note(finding: Finding) -> None:
        summary.findings.append(finding)
        if progress is not None:
            progress(finding)

    try:
        offline.xact.start_transaction_command()
        known = {row.datname: (row.oid, row.dattablespace) for row in scan_rows("pg_database")}
        offline.xact.commit_transaction_command()
    except SqlError as error:
        known = {}
        note(Finding("", "pg_catalog.pg_database", "", None, None, error.message))
    unknown = [name for name in databases if name not in known]
    if unknown and known:
        raise Fatal(errcode.UNDEFINED_DATABASE, f'database "{unknown[0]}" does not exist')
    wanted = {name: where for name, where in known.items() if not databases or name in databases}
    only = [oid for oid, _ in wanted.values()] if databases else [None]
    paths = [path for oid in only for path in files.relation_files(directory, oid)] if not tables else []
    for file in paths:
        found, blocks = files.check_file(directory, file, checksums)
        summary.files += 1
        summary.blocks += blocks
        for finding in found:
            note(finding)
    limits = offline.id_limits(control)
    with_shared = not databases
    for name, (oid, tablespace) in wanted.items():
        check = DatabaseCheck(name, limits, checksums=checksums, with_shared=with_shared, only=tables)
        for item in _in_child(check, oid, tablespace):
            if isinstance(item, Finding):
                note(item)
            elif isinstance(item, dict):
                for what, count in item.items():
                    setattr(summary, what, getattr(summary, what) + count)
            else:
                note(Finding(name, "", "", None, None, f"the check ended early: {item}"))
        with_shared = False
    return summary


def _in_child(check: DatabaseCheck, oid: int, tablespace: int) -> Iterator[Any]:
    """Run a check in a forked process and yield its findings and counts; a text, if it fails."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        with os.fdopen(writer, "wb") as stream:
            try:
                offline.xact.start_transaction_command()
                offline.open_database(oid, tablespace)
                for item in check.run():
                    pickle.dump(item, stream)
                pickle.dump(check.counts, stream)
            except SqlError as error:
                pickle.dump(f"{error.message} (SQLSTATE {error.sqlstate})", stream)
            except BaseException:
                pickle.dump(traceback.format_exc(), stream)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as stream:
        while True:
            try:
                yield pickle.load(stream)
            except EOFError:
                break
    _, status = os.waitpid(pid, 0)
    if status:
        yield f"process ended with status {status}"
