"""Settings that only make sense together, and those the server computes for itself."""

from __future__ import annotations

import resource
from pathlib import Path

from tusk.config import Context, Source, on_show, option_source, parameter, set_option, settings
from tusk.config.effects import WITHOUT_EFFECT, warn_if_without_effect
from tusk.errors import Fatal, errcode
from tusk.wal.controlfile import read_control_file

# Left for what runs on top of the deepest recursion, and the most that is taken without being asked (bytes).
_STACK_SLOP, _LARGEST_DEFAULT_STACK = 512 << 10, 2048 << 10
# Launchers of autovacuum and logical replication, and the auxiliary processes (PostgreSQL's 2 + 38).
_SPECIAL_AND_AUXILIARY_PROCESSES = 40


def check_settings() -> None:
    """Refuse combinations that cannot work, as the postmaster does. FATAL 22023."""
    if settings.archive_mode != "off" and settings.wal_level == "minimal":
        raise Fatal(
            errcode.INVALID_PARAMETER_VALUE, 'WAL archival cannot be enabled when "wal_level" is "minimal"'
        )
    if settings.max_wal_senders > 0 and settings.wal_level == "minimal":
        raise Fatal(
            errcode.INVALID_PARAMETER_VALUE,
            'WAL streaming ("max_wal_senders" > 0) requires "wal_level" to be "replica" or "logical"',
        )


def warn_of_settings_without_effect() -> None:
    """At start and at reload: a WARNING for each setting of the files or the command line that does nothing."""
    for name in WITHOUT_EFFECT:
        item = parameter(name)
        if item is not None and option_source(name) in (Source.FILE, Source.ARGV):
            warn_if_without_effect(item, getattr(settings, item.name))


def settle_computed_settings(data_directory: Path) -> None:
    """Fill in what depends on the cluster or on other settings: sizes of caches, what initdb decided."""
    control = read_control_file(data_directory)
    internal = (
        ("data_checksums", "on" if control.data_checksum_version else "off"),
        ("wal_segment_size", str(control.xlog_seg_size)),
        ("in_hot_standby", "off"),
        ("data_directory_mode", f"0{data_directory.stat().st_mode & 0o777:o}"),
    )
    for name, value in internal:
        set_option(name, value, Context.INTERNAL, Source.DYNAMIC_DEFAULT)
    set_option("timezone_abbreviations", "Default", Context.POSTMASTER, Source.DYNAMIC_DEFAULT)
    stack = resource.getrlimit(resource.RLIMIT_STACK)[0]
    if stack != resource.RLIM_INFINITY and stack > _STACK_SLOP + (100 << 10):
        depth = min(_LARGEST_DEFAULT_STACK, stack - _STACK_SLOP) >> 10
        set_option("max_stack_depth", str(depth), Context.POSTMASTER, Source.DYNAMIC_DEFAULT)
    if settings.io_max_concurrency == -1:
        processes = (
            settings.max_connections + settings.autovacuum_worker_slots + settings.max_worker_processes
            + settings.max_wal_senders + _SPECIAL_AND_AUXILIARY_PROCESSES
        )  # fmt: skip
        share = max(1, min(settings.shared_buffers // processes, 64))
        set_option("io_max_concurrency", str(share), Context.POSTMASTER, Source.DYNAMIC_DEFAULT)
    if settings.wal_buffers == -1:
        blocks = max(8, min(settings.shared_buffers // 32, control.xlog_seg_size // 8192))
        set_option("wal_buffers", str(blocks), Context.POSTMASTER, Source.DYNAMIC_DEFAULT)
    slots = max(16, min(settings.shared_buffers // 512, 1024)) // 16 * 16
    for name in ("transaction_buffers", "commit_timestamp_buffers", "subtransaction_buffers"):
        if getattr(settings, name) == 0:
            set_option(name, str(slots), Context.POSTMASTER, Source.DYNAMIC_DEFAULT)


def settle_shared_memory_size(total: int) -> None:
    """Show how large the segment is, in MB and in huge pages, which are not used. ``total`` is in bytes."""
    set_option("huge_pages_status", "off", Context.INTERNAL, Source.DYNAMIC_DEFAULT)
    set_option("shared_memory_size", str(-(-total // (1 << 20))), Context.INTERNAL, Source.DYNAMIC_DEFAULT)
    huge = _huge_page_size()
    if huge:
        pages = str(-(-total // huge))
        set_option("shared_memory_size_in_huge_pages", pages, Context.INTERNAL, Source.DYNAMIC_DEFAULT)


def _huge_page_size() -> int:
    """In bytes; 0 if the system does not say."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) << 10 for line in lines if line.startswith("Hugepagesize:")), 0)


@on_show("archive_command")
def _show_archive_command() -> str:
    return settings.archive_command if settings.archive_mode != "off" else "(disabled)"
