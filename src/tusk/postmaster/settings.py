"""Settings that only make sense together, and those the server computes for itself."""

from __future__ import annotations

from pathlib import Path

from tusk.config import Context, Source, option_source, set_option, settings
from tusk.errors import Fatal, Severity, errcode, report
from tusk.wal.controlfile import read_control_file

# Parameters whose effect is not built yet: a value other than the default is said to have none.
_WITHOUT_EFFECT = (
    "archive_mode", "archive_command", "archive_library", "ssl", "summarize_wal", "io_method",
    "huge_pages", "track_commit_timestamp", "shared_preload_libraries", "session_preload_libraries", "jit",
    "max_prepared_transactions", "synchronous_standby_names", "bonjour", "event_source", "log_planner_stats",
    "log_parser_stats", "log_executor_stats", "log_statement_stats", "row_security",
)  # fmt: skip


def check_settings() -> None:
    """Refuse combinations that cannot work, as the postmaster does. FATAL 22023."""
    reserved = settings.superuser_reserved_connections + settings.reserved_connections
    if reserved >= settings.max_connections:
        raise Fatal(
            errcode.INVALID_PARAMETER_VALUE,
            f'"superuser_reserved_connections" ({settings.superuser_reserved_connections}) plus '
            f'"reserved_connections" ({settings.reserved_connections}) must be less than "max_connections" '
            f"({settings.max_connections})",
        )
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
    """A WARNING in the log for each setting that was changed and does nothing yet."""
    for name in _WITHOUT_EFFECT:
        if option_source(name) in (Source.FILE, Source.ARGV):
            report(Severity.WARNING, f'parameter "{name}" has no effect yet')


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
    if settings.wal_buffers == -1:
        blocks = max(8, min(settings.shared_buffers // 32, control.xlog_seg_size // 8192))
        set_option("wal_buffers", str(blocks), Context.POSTMASTER, Source.DYNAMIC_DEFAULT)
    slots = max(16, min(settings.shared_buffers // 512, 1024)) // 16 * 16
    for name in ("transaction_buffers", "commit_timestamp_buffers", "subtransaction_buffers"):
        if getattr(settings, name) == 0:
            set_option(name, str(slots), Context.POSTMASTER, Source.DYNAMIC_DEFAULT)
