"""What ``tusk waldump`` prints: WAL records in pg_waldump's words, chosen by its options."""

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tusk.wal._reader import WalReader
from tusk.wal._redo import DecodedRecord
from tusk.wal.controlfile import format_lsn, is_segment_name, parse_segment_name, segment_name
from tusk.wal.descriptions import description, identity
from tusk.wal.descriptions.common import FORK_NAMES
from tusk.wal.rmgr import RMGR_NAMES, rmgr_name

_COMPRESSION = ((0x04, "pglz"), (0x08, "lz4"), (0x10, "zstd"))
_HAS_HOLE_COMPRESSED = 0x1C


class WaldumpError(Exception):
    """What the program says before it exits with status 1."""


@dataclass(slots=True)
class Filter:
    """Which records to show; None matches all."""

    rmgrs: frozenset[int] | None = None
    relation: tuple[int, int, int] | None = None
    block: int | None = None
    fork: int | None = None
    xid: int | None = None
    full_page_only: bool = False

    def matches(self, record: DecodedRecord) -> bool:
        """Whether a record passes."""
        if self.rmgrs is not None and record.rmid not in self.rmgrs:
            return False
        if self.xid is not None and record.xid != self.xid:
            return False
        if (self.relation is not None or self.block is not None or self.fork is not None) and not any(
            self._block_matches(block) for block in _blocks(record)
        ):
            return False
        return not self.full_page_only or any(block["has_image"] for block in _blocks(record))

    def _block_matches(self, block: dict[str, Any]) -> bool:
        return (
            (self.fork is None or block["fork"] == self.fork)
            and (self.relation is None or (block["spc"], block["db"], block["rel"]) == self.relation)
            and (self.block is None or block["block"] == self.block)
        )


@dataclass(slots=True)
class Count:
    """One line of the statistics."""

    records: int = 0
    record_bytes: int = 0
    fpi_bytes: int = 0


@dataclass(slots=True)
class Statistics:
    """Counts by resource manager, or by resource manager and record kind."""

    per_record: bool
    start: int = 0
    end: int = 0
    counts: dict[tuple[int, int], Count] = field(default_factory=dict)

    def add(self, record: DecodedRecord) -> None:
        """Count a record."""
        kind = record.xl_info >> 4 if self.per_record else 0
        # Commits with and without details are one kind.
        if self.per_record and record.rmid == 1:
            kind &= 0x07
        count = self.counts.setdefault((record.rmid, kind), Count())
        fpi = record.fpi_bytes()
        count.records += 1
        count.record_bytes += record.total_length - fpi
        count.fpi_bytes += fpi

    def lines(self) -> Iterator[str]:
        """The table."""
        total = Count(
            sum(c.records for c in self.counts.values()),
            sum(c.record_bytes for c in self.counts.values()),
            sum(c.fpi_bytes for c in self.counts.values()),
        )
        columns = ("Type", "N", "(%)", "Record size", "(%)", "FPI size", "(%)", "Combined size", "(%)")
        yield f"WAL statistics between {format_lsn(self.start)} and {format_lsn(self.end)}:"
        for words in (columns, ("----", "-", "---", "-----------", "---", "--------", "---", "-------------", "---")):
            pairs = zip(words[1::2], words[2::2], strict=True)
            yield f"{words[0]:<27} " + " ".join(f"{a:>20} {b:>8}" for a, b in pairs)
        for rmid, kinds in self._rows():
            for kind in kinds:
                count = self.counts.get((rmid, kind), Count())
                name = rmgr_name(rmid)
                if self.per_record:
                    name += "/" + identity(rmid, kind << 4)
                yield self._row(name, count, total)
        combined = total.record_bytes + total.fpi_bytes
        dashes = "--------"
        yield f"{'':<27} {dashes:>20} {'':>8} {dashes:>20} {'':>8} {dashes:>20} {'':>8} {dashes:>20}"

        def share(part: int) -> str:
            return f"[{part * 100 / combined if combined else 0:.2f}%]"

        yield (
            f"{'Total':<27} {total.records:>20} {'':<9}{total.record_bytes:>20} {share(total.record_bytes):<9}"
            f"{total.fpi_bytes:>20} {share(total.fpi_bytes):<9}{combined:>20} {'[100%]':<6}"
        )

    def _rows(self) -> Iterator[tuple[int, list[int]]]:
        for rmid in range(len(RMGR_NAMES)):
            if self.per_record:
                yield rmid, [kind for kind in range(16) if (rmid, kind) in self.counts]
            else:
                yield rmid, [0]
        for rmid in sorted({key[0] for key in self.counts if key[0] >= len(RMGR_NAMES)}):
            yield rmid, sorted(key[1] for key in self.counts if key[0] == rmid)

    @staticmethod
    def _row(name: str, count: Count, total: Count) -> str:
        def cell(value: int, whole: int) -> str:
            return f"{value:>20} ({value * 100 / whole if whole else 0:6.02f})"

        combined = count.record_bytes + count.fpi_bytes
        return (
            f"{name:<27} {cell(count.records, total.records)} {cell(count.record_bytes, total.record_bytes)} "
            f"{cell(count.fpi_bytes, total.fpi_bytes)} {cell(combined, total.record_bytes + total.fpi_bytes)}"
        )


def _blocks(record: DecodedRecord) -> list[dict[str, Any]]:
    found = (record.block(i) for i in range(record.nblocks))
    return [block for block in found if block is not None]


def block_references(record: DecodedRecord, detailed: bool) -> str:
    """The list of blocks at the end of a line, or with details on lines of their own."""
    out = "\n" if detailed else ""
    for i in range(record.nblocks):
        block = record.block(i)
        if block is None:
            continue
        rel = f"blkref #{i}: rel {block['spc']}/{block['db']}/{block['rel']}"
        fork = FORK_NAMES[block["fork"]]
        verification = "" if block["apply_image"] else " for WAL verification"
        if not detailed:
            out += f", {rel}" + (f" fork {fork}" if block["fork"] else "") + f" blk {block['block']}"
            if block["has_image"]:
                out += f" FPW{verification}"
            continue
        out += f"\t{rel} fork {fork} blk {block['block']}"
        if block["has_image"]:
            out += f" (FPW{verification}); hole: offset: {block['hole_offset']}, length: {block['hole_length']}"
            if block["bimg_info"] & _HAS_HOLE_COMPRESSED:
                method = next(name for bit, name in _COMPRESSION if block["bimg_info"] & bit)
                saved = 8192 - block["hole_length"] - block["bimg_len"]
                out += f", compression saved: {saved}, method: {method}"
        out += "\n"
    return out


def record_line(record: DecodedRecord, detailed: bool = False) -> str:
    """One record as pg_waldump prints it, with its line end."""
    length = record.total_length - record.fpi_bytes()
    line = (
        f"rmgr: {rmgr_name(record.rmid):<11} len (rec/tot): {length:6d}/{record.total_length:6d}, "
        f"tx: {record.xid:10d}, lsn: {record.start >> 32:X}/{record.start & 0xFFFFFFFF:08X}, "
        f"prev {record.prev >> 32:X}/{record.prev & 0xFFFFFFFF:08X}, "
        f"desc: {identity(record.rmid, record.xl_info)} {description(record)}"
    )
    return line + block_references(record, detailed) + ("" if detailed else "\n")


def find_wal_directory(path: str | None, first_segment: str | None) -> Path:
    """Where the segments are: the given path, or the usual places (identify_target_directory)."""
    candidates = [Path(path), Path(path) / "pg_wal"] if path else [Path("."), Path("pg_wal")]
    if not path and "PGDATA" in os.environ:
        candidates.append(Path(os.environ["PGDATA"]) / "pg_wal")
    for candidate in candidates:
        if candidate.is_dir() and (
            (candidate / first_segment).exists()
            if first_segment
            else any(is_segment_name(entry.name) for entry in candidate.iterdir())
        ):
            return candidate
    if first_segment:
        raise WaldumpError(f'could not locate WAL file "{first_segment}"')
    raise WaldumpError("could not find any WAL file")


def segment_size_of(directory: Path, segment: str | None) -> int:
    """The segment size, as the long header of a segment states it."""
    names = [segment] if segment else sorted(name for name in os.listdir(directory) if is_segment_name(name))
    with open(directory / names[0], "rb") as file:
        header = file.read(40)
    size = int.from_bytes(header[32:36], "little")
    if len(header) < 40 or size & (size - 1) or not 1 << 20 <= size <= 1 << 30:
        raise WaldumpError(
            f'invalid WAL segment size in WAL file "{names[0]}" ({size} byte{"" if size == 1 else "s"})'
        )
    return size


def save_images(record: DecodedRecord, directory: Path, timeline: int) -> None:
    """Write each full-page image of a record to a file of its own (--save-fullpage)."""
    for i in range(record.nblocks):
        block = record.block(i)
        if block is None or not block["has_image"]:
            continue
        lsn = f"{record.start >> 32:08X}-{record.start & 0xFFFFFFFF:08X}"
        fork = FORK_NAMES[block["fork"]]
        name = f"{timeline:08X}-{lsn}.{block['spc']}.{block['db']}.{block['rel']}.{block['block']}_{fork}"
        (directory / name).write_bytes(record.image(i))


def dump(
    directory: Path,
    timeline: int,
    start: int,
    end: int,
    *,
    segment_size: int,
    limit: int | None = None,
    chosen: Filter | None = None,
    detailed: bool = False,
    quiet: bool = False,
    follow: bool = False,
    statistics: Statistics | None = None,
    image_directory: Path | None = None,
    notice: Callable[[str], None] = lambda text: None,
) -> Iterator[str]:
    """Yield the text for the records from `start` to `end` (0: as far as there is WAL).

    Raises `WaldumpError` where pg_waldump stops with an error, after what can be shown has been yielded.
    """
    chosen = chosen or Filter()
    reader = WalReader(str(directory), segment_size, timeline)
    first = reader.find_next_record(start)
    if not first:
        raise WaldumpError(f"could not find a valid record after {format_lsn(start)}")
    if first != start and start % segment_size:
        skipped = first - start
        notice(
            f"first record is after {format_lsn(start)}, at {format_lsn(first)}, skipping over {skipped} "
            f"byte{'' if skipped == 1 else 's'}"
        )
    reader.begin(first, end)
    if statistics is not None:
        statistics.start = first
    shown = 0
    while True:
        record = reader.read_record()
        if record is None:
            if end and reader.end_lsn >= end:
                break
            if follow:
                # The window may hold a page as it was before more was written to it.
                reader.forget_window()
                time.sleep(1.0)
                continue
            break
        if not chosen.matches(record):
            continue
        if statistics is not None:
            statistics.add(record)
            statistics.end = record.end
        elif not quiet:
            yield record_line(record, detailed)
        if image_directory is not None:
            save_images(record, image_directory, timeline)
        shown += 1
        if limit and shown >= limit:
            break
    if statistics is not None and not quiet:
        yield from (line + "\n" for line in statistics.lines())
    if reader.error:
        raise WaldumpError(f"error in WAL record at {format_lsn(reader.read_lsn)}: {reader.error}")


__all__ = [
    "Filter", "Statistics", "WaldumpError", "dump", "find_wal_directory", "is_segment_name", "parse_segment_name",
    "record_line",
    "segment_name", "segment_size_of",
]  # fmt: skip
