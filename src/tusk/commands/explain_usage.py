"""EXPLAIN's lines about blocks, I/O times and WAL (show_buffer_usage, show_wal_usage)."""

from __future__ import annotations

from typing import Any

from tusk.config import settings
from tusk.stats._usage import Usage

_KINDS = (
    ("shared", ("hit", "read", "dirtied", "written")), ("local", ("hit", "read", "dirtied", "written")),
    ("temp", ("read", "written")),
)  # fmt: skip


def usage_lines(usage: Usage, *, buffers: bool, wal: bool) -> list[str]:
    """The lines of the text form, without indentation; counts of 0 are left out."""
    lines = []
    if buffers:
        counts = usage.buffer_usage()
        groups = []
        for kind, words in _KINDS:
            shown = [f"{word}={counts[f'{kind}_blks_{word}']}" for word in words if counts[f"{kind}_blks_{word}"] > 0]
            if shown:
                groups.append(f"{kind} {' '.join(shown)}")
        if groups:
            lines.append(f"Buffers: {', '.join(groups)}")
        timings = []
        for kind, _words in _KINDS:
            shown = [
                f"{word}={counts[f'{kind}_blk_{word}_ns'] / 1_000_000:.3f}"
                for word in ("read", "write") if counts[f"{kind}_blk_{word}_ns"] > 0
            ]  # fmt: skip
            if shown:
                timings.append(f"{kind} {' '.join(shown)}")
        if timings:
            lines.append(f"I/O Timings: {', '.join(timings)}")
    if wal:
        records = usage.wal_usage()
        shown = [
            f"{word}={records[name]}"
            for word, name in (
                ("records", "wal_records"), ("fpi", "wal_fpi"), ("bytes", "wal_bytes"),
                ("buffers full", "wal_buffers_full"),
            ) if records[name] > 0
        ]  # fmt: skip
        if shown:
            lines.append(f"WAL: {' '.join(shown)}")
    return lines


def usage_properties(usage: Usage, *, buffers: bool, wal: bool) -> dict[str, Any]:
    """The properties of the other forms; all of them, also those that are 0."""
    result: dict[str, Any] = {}
    if buffers:
        counts = usage.buffer_usage()
        for kind, words in _KINDS:
            for word in words:
                result[f"{kind.title()} {word.title()} Blocks"] = counts[f"{kind}_blks_{word}"]
        if settings.track_io_timing:
            for kind, _words in _KINDS:
                for word in ("read", "write"):
                    milliseconds = counts[f"{kind}_blk_{word}_ns"] / 1_000_000
                    result[f"{kind.title()} I/O {word.title()} Time"] = round(milliseconds, 3)
    if wal:
        records = usage.wal_usage()
        result["WAL Records"] = records["wal_records"]
        result["WAL FPI"] = records["wal_fpi"]
        result["WAL Bytes"] = records["wal_bytes"]
        result["WAL Buffers Full"] = records["wal_buffers_full"]
    return result
