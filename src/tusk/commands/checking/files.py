"""Every relation file page by page: sizes, headers and checksums, as pg_checksums --check reads them, and the free
space map's trees."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from tusk.commands.checking.findings import Finding
from tusk.storage import _freespace, _page

_PAGE = 8192
_RELATION_FILE = re.compile(r"^(?:t\d+_)?\d+(?:_(fsm|vm|init))?(?:\.(\d+))?$")
_SEGMENT_BLOCKS = 131072
_READ_PAGES = 64


def relation_files(directory: Path, database: int | None = None) -> Iterator[Path]:
    """Files of relations, relative to the data directory: of one database, or of all and the shared ones."""
    below = directory / "base"
    folders = [below / str(database)] if database is not None else [directory / "global", *sorted(below.iterdir())]
    spaces = directory / "pg_tblspc"
    if spaces.is_dir():
        pattern = f"*/PG_18_*/{database if database is not None else '*'}"
        folders += sorted(spaces.glob(pattern))
    for folder in folders:
        if folder.is_dir():
            for path in sorted(folder.iterdir()):
                if _RELATION_FILE.match(path.name):
                    yield path.relative_to(directory)


def check_file(directory: Path, file: Path, checksums: bool) -> tuple[list[Finding], int]:
    """What is wrong with a file by itself, and how many pages it has."""
    match = _RELATION_FILE.match(file.name)
    assert match is not None
    fork, segment = match.group(1), int(match.group(2) or 0)
    findings: list[Finding] = []
    first = segment * _SEGMENT_BLOCKS
    block = first
    with (directory / file).open("rb", buffering=0) as stream:
        while chunk := stream.read(_PAGE * _READ_PAGES):
            whole = len(chunk) - len(chunk) % _PAGE
            for at in range(0, whole, _PAGE):
                page = chunk[at : at + _PAGE]
                message = _check_page(page, block, fork, checksums)
                if message:
                    findings.append(Finding("", "", str(file), block, None, message))
                block += 1
            if whole < len(chunk):
                findings.append(
                    Finding("", "", str(file), block, None, f"the last page has only {len(chunk) - whole} bytes")
                )
                break
    return findings, block - first


def _check_page(page: bytes, block: int, fork: str | None, checksums: bool) -> str | None:
    problem = _page.verify(page, block, checksums)
    if problem & 2:
        return "invalid page header"
    if problem & 1:
        stored = int.from_bytes(page[8:10], "little")
        return f"calculated checksum {_page.checksum(page, block):04X} but block contains {stored:04X}"
    if fork == "fsm":
        return _freespace.page_problem(page)
    return None
