"""pg_settings, pg_file_settings, current_setting(), set_config()."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tusk.catalog import acl
from tusk.catalog.session import session
from tusk.commands.functions.support import PG_READ_ALL_SETTINGS, denied
from tusk.config import Action, Context, Source, parameter, parameters, set_option, show
from tusk.config.files import loaded_at, read_settings
from tusk.config.parameters import HIDDEN, SUPERUSER_ONLY
from tusk.config.registry import is_custom_name, setting_text, settings, state_of
from tusk.errors import SqlError, errcode
from tusk.types.registry import function
from tusk.types.values import Array

_TEXT = 25


def _may_read(name: str) -> bool:
    return name not in SUPERUSER_ONLY or acl.has_privs_of_role(session.current_user_id, PG_READ_ALL_SETTINGS)


@function("show_all_settings", set_returning=True)
def show_all_settings() -> Iterator[tuple[Any, ...]]:
    """The rows of pg_settings."""
    sees_files = acl.has_privs_of_role(session.current_user_id, PG_READ_ALL_SETTINGS)
    for item in parameters():
        if item.name in HIDDEN or not _may_read(item.name):
            continue
        state = state_of(item)
        is_number = item.vartype in ("integer", "real")
        from_file = state.source == Source.FILE and sees_files and state.sourcefile is not None
        yield (
            item.name, setting_text(item.name), item.unit or None, item.category, item.description,
            item.long_description or None, item.context, item.vartype, state.source.label,
            f"{item.minimum:.15g}" if is_number else None, f"{item.maximum:.15g}" if is_number else None,
            Array.of(_TEXT, item.enum_values) if item.vartype == "enum" else None,
            None if item.boot_value is None else item.format(item.boot_value, use_units=False),
            None if state.reset_value is None else item.format(state.reset_value, use_units=False),
            state.sourcefile if from_file else None, state.sourceline if from_file else None, state.pending_restart,
        )  # fmt: skip


def _examine(name: str) -> str:
    known = parameter(name)
    if known is not None and not _may_read(known.name):
        raise denied(
            f'permission denied to examine "{known.name}"',
            'Only roles with privileges of the "pg_read_all_settings" role may examine this parameter.',
        )
    return show(name)


@function("show_config_by_name")
def current_setting(name: str) -> str:
    """The text of SHOW."""
    return _examine(name)


@function("show_config_by_name_missing_ok")
def current_setting_missing_ok(name: str, missing_ok: bool) -> str | None:
    """The same; with missing_ok NULL for an unknown name."""
    if missing_ok and parameter(name) is None and name.lower() not in settings.custom:
        return None
    return _examine(name)


@function("set_config_by_name")
def set_config(name: str | None, value: str | None, is_local: bool | None) -> str:
    """SET as a function; NULL is DEFAULT."""
    if name is None:
        raise SqlError(errcode.NULL_VALUE_NOT_ALLOWED, "SET requires parameter name")
    rank = Context.SUSET if acl.superuser_arg(session.current_user_id) else Context.USERSET
    set_option(name, value, rank, Source.SESSION, Action.LOCAL if is_local else Action.SET)
    return show(name)


@function("pg_settings_get_flags")
def pg_settings_get_flags(name: str) -> Array | None:
    """The flags of a setting that programs ask about, NULL for an unknown one."""
    known = parameter(name)
    if known is None:
        return None
    return Array.of(_TEXT, [flag for flag in known.flags if flag in _SHOWN_FLAGS])


_SHOWN_FLAGS = ("EXPLAIN", "NO_RESET", "NO_RESET_ALL", "NO_SHOW_ALL", "NOT_IN_SAMPLE", "RUNTIME_COMPUTED")


@function("show_all_file_settings", set_returning=True)
def show_all_file_settings() -> Iterator[tuple[Any, ...]]:
    """The lines of the configuration files, as they are now and not necessarily applied."""
    lines = read_settings(Path(str(settings.config_file)), Path(str(settings.data_directory)), quiet=True)
    failed = any(line.error for line in lines)
    last = {line.name.lower(): line for line in lines if line.error is None}
    for number, line in enumerate(lines, 1):
        error = line.error
        applied = False
        if error is None:
            applied = not failed and last[line.name.lower()] is line
            known = parameter(line.name)
            if applied and known is not None:
                try:
                    value = known.parse(line.value)
                except SqlError as problem:
                    error, applied = problem.message, False
                else:
                    if known.context in ("postmaster", "internal") and value != getattr(settings, known.name):
                        error, applied = "setting could not be applied", False
            elif applied and not is_custom_name(line.name):
                applied = False
        yield (
            line.sourcefile, line.sourceline, number, line.name or None, line.value if line.name else None, applied,
            error,
        )


@function("pg_conf_load_time")
def pg_conf_load_time() -> int:
    """When this session read the configuration files last."""
    return loaded_at()
