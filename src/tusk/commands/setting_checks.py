"""Settings whose values name something: roles, tablespaces, access methods, locales, lists of words (check hooks).

What a value is looked up in is the catalogs, so these checks stand here, above them; outside a transaction (files read
at start) a name is taken as it is and found wanting where it is used.
"""

from __future__ import annotations

import locale
import re
import resource
from typing import Any

from tusk.catalog import acl
from tusk.catalog import cache as c
from tusk.catalog.cache import lookup
from tusk.catalog.namespace import fetch_search_path, lookup_explicit_namespace, split_identifier_string
from tusk.catalog.session import session
from tusk.commands.tables import tablespace_oid
from tusk.config import Context, Source, on_assign, on_check, on_show, set_option, settings
from tusk.errors import SqlError, errcode
from tusk.transaction import xact

_STACK_SLOP_KB = 512
_MIN_BUFFER_LIMIT_KB, _MAX_BUFFER_LIMIT_KB = 128, 16 << 20
# Roles that were set by name: (OID, is superuser). A rollback must find them without looking at catalogs.
_roles: dict[str, tuple[int, bool]] = {}


def _invalid(name: str, value: Any, detail: str | None = None, hint: str | None = None) -> SqlError:
    shown = f'"{value}"' if isinstance(value, str) else int(value)
    return SqlError(
        errcode.INVALID_PARAMETER_VALUE, f'invalid value for parameter "{name}": {shown}', detail=detail, hint=hint
    )


# Roles


def _find_role(name: str) -> tuple[int, bool]:
    row = lookup(c.AUTHNAME, name)
    if row is None:
        raise SqlError(errcode.INVALID_PARAMETER_VALUE, f'role "{name}" does not exist')
    _roles[name] = (row.oid, bool(row.rolsuper))
    return _roles[name]


@on_check("role")
def check_role(value: Any, _source: Any) -> Any:
    """SET ROLE: the session's user must be allowed to (check_role)."""
    if value is None or value == "none" or not xact.is_transaction_state():
        return value
    oid, _ = _find_role(value)
    if not acl.member_can_set_role(session.session_user_id, oid):
        raise SqlError(errcode.INSUFFICIENT_PRIVILEGE, f'permission denied to set role "{value}"')
    return value


@on_assign("role")
def assign_role(value: Any) -> None:
    """Become the role, or the session's user again."""
    oid, is_superuser = _roles.get(value, (0, False)) if value and value != "none" else (0, False)
    if oid == 0 and not session.set_role_is_active:
        return
    session.set_role(oid)
    _show_superuser(is_superuser if oid else session.session_user_is_superuser)


@on_show("role")
def show_role() -> str:
    """The role set, or none."""
    return str(settings.role or "none") if session.set_role_is_active else "none"


@on_check("session_authorization")
def check_session_authorization(value: Any, source: Any) -> Any:
    """SET SESSION AUTHORIZATION: a superuser may become anybody, others themselves (check_session_authorization)."""
    if value is None or source == Source.OVERRIDE or not xact.is_transaction_state():
        return value
    oid, _ = _find_role(value)
    if oid != session.authenticated_user_id and not acl.superuser_arg(session.authenticated_user_id):
        raise SqlError(errcode.INSUFFICIENT_PRIVILEGE, f'permission denied to set session authorization "{value}"')
    return value


@on_assign("session_authorization")
def assign_session_authorization(value: Any) -> None:
    """Become the session's user. A name that was never looked up is the one the client logged in with."""
    known = _roles.get(value) if value is not None else None
    if known is None and session.session_user_id == session.authenticated_user_id:
        return
    oid, is_superuser = known or (session.authenticated_user_id, acl.superuser_arg(session.authenticated_user_id))
    session.set_session_user(oid, is_superuser)
    _show_superuser(is_superuser)


def _show_superuser(is_superuser: bool) -> None:
    set_option("is_superuser", "on" if is_superuser else "off", Context.INTERNAL, Source.DYNAMIC_DEFAULT)


# Tablespaces and access methods


@on_check("default_tablespace")
def check_default_tablespace(value: Any, source: Any) -> Any:
    """It must exist, where that can be known (check_default_tablespace)."""
    if value and xact.is_transaction_state() and not tablespace_oid(value, missing_ok=True) and source != Source.TEST:
        raise _invalid("default_tablespace", value, f'Tablespace "{value}" does not exist.')
    return value


@on_check("temp_tablespaces")
def check_temp_tablespaces(value: Any, source: Any) -> Any:
    """A list of tablespaces that exist (check_temp_tablespaces)."""
    names = split_identifier_string(value)
    if names is None:
        raise _invalid("temp_tablespaces", value, "List syntax is invalid.")
    if xact.is_transaction_state() and source == Source.SESSION:
        for name in names:
            if name:
                tablespace_oid(name)
    return value


@on_check("default_table_access_method")
def check_table_access_method(value: Any, source: Any) -> Any:
    """An access method for tables (check_default_table_access_method)."""
    if not value:
        raise _invalid("default_table_access_method", value, '"default_table_access_method" cannot be empty.')
    if xact.is_transaction_state() and source != Source.TEST:
        row = lookup(c.AMNAME, value)
        if row is None:
            raise _invalid("default_table_access_method", value, f'Table access method "{value}" does not exist.')
        if row.amtype != "t":
            raise SqlError(
                errcode.OBJECT_NOT_IN_PREREQUISITE_STATE, f'access method "{value}" is not of type TABLE'
            )
    return value


@on_check("default_text_search_config")
def check_text_search_config(value: Any, source: Any) -> Any:
    """A text search configuration, stored with its schema (check_default_text_search_config)."""
    if not xact.is_transaction_state():
        return value
    parts = split_identifier_string(value, ".")
    if not parts or len(parts) > 2:
        raise _invalid("default_text_search_config", value)
    schemas = [lookup_explicit_namespace(parts[0])] if len(parts) == 2 else fetch_search_path(True)
    for schema in schemas:
        row = lookup(c.TSCONFIGNAMENSP, parts[-1], schema)
        if row is not None:
            return f"{lookup(c.NAMESPACEOID, schema).nspname}.{row.cfgname}"
    if source == Source.TEST:
        return value
    raise _invalid("default_text_search_config", value)


# Locales


def _check_locale(name: str, category: int, value: Any) -> Any:
    if value in ("", "C", "POSIX", None):
        return value
    before = locale.setlocale(category)
    try:
        locale.setlocale(category, value)
    except (locale.Error, ValueError) as error:
        raise _invalid(name, value) from error
    finally:
        locale.setlocale(category, before)
    return value


for _name, _category in (
    ("lc_messages", locale.LC_MESSAGES), ("lc_monetary", locale.LC_MONETARY),
    ("lc_numeric", locale.LC_NUMERIC), ("lc_time", locale.LC_TIME),
):  # fmt: skip
    on_check(_name)(
        lambda value, _source, name=_name, category=_category: _check_locale(name, category, value)  # type: ignore[misc]
    )


# Lists of words, and limits that depend on other things


def _check_words(name: str, value: Any, known: tuple[str, ...]) -> Any:
    words = split_identifier_string(value or "")
    if words is None:
        raise _invalid(name, value, "List syntax is invalid.")
    for word in words:
        if word.lower() not in known:
            raise _invalid(name, value, f'Unrecognized key word: "{word}".')
    return value


@on_check("createrole_self_grant")
def check_self_grant(value: Any, _source: Any) -> Any:
    """Options that CREATEROLE grants itself (check_createrole_self_grant)."""
    return _check_words("createrole_self_grant", value, ("set", "inherit"))


@on_check("restrict_nonsystem_relation_kind")
def check_restricted_kinds(value: Any, _source: Any) -> Any:
    """Kinds of relations (check_restrict_nonsystem_relation_kind)."""
    return _check_words("restrict_nonsystem_relation_kind", value, ("view", "foreign-table"))


@on_check("backtrace_functions")
def check_backtrace_functions(value: Any, _source: Any) -> Any:
    """Function names with commas between (check_backtrace_functions)."""
    if re.fullmatch(r"[A-Za-z0-9_, \n\t]*", value or "") is None:
        raise _invalid("backtrace_functions", value, "Invalid character.")
    return value


@on_check("max_stack_depth")
def check_stack_depth(value: Any, _source: Any) -> Any:
    """Not more than the system gives (check_max_stack_depth)."""
    limit = resource.getrlimit(resource.RLIMIT_STACK)[0]
    if limit != resource.RLIM_INFINITY and value > limit // 1024 - _STACK_SLOP_KB:
        raise _invalid(
            "max_stack_depth", value, f'"max_stack_depth" must not exceed {limit // 1024 - _STACK_SLOP_KB}kB.',
            "Increase the platform's stack depth limit via \"ulimit -s\" or local equivalent.",
        )
    return value


@on_check("vacuum_buffer_usage_limit")
def check_buffer_limit(value: Any, _source: Any) -> Any:
    """0, or a size (check_vacuum_buffer_usage_limit)."""
    if value == 0 or _MIN_BUFFER_LIMIT_KB <= value <= _MAX_BUFFER_LIMIT_KB:
        return value
    raise _invalid(
        "vacuum_buffer_usage_limit", value,
        f'"vacuum_buffer_usage_limit" must be 0 or between {_MIN_BUFFER_LIMIT_KB} kB and {_MAX_BUFFER_LIMIT_KB} kB.',
    )


_STAGES = ("log_parser_stats", "log_planner_stats", "log_executor_stats")


def _check_stage(name: str, value: Any) -> Any:
    if value and settings.log_statement_stats:
        raise _invalid(name, value, 'Cannot enable parameter when "log_statement_stats" is true.')
    return value


for _name in _STAGES:
    on_check(_name)(lambda value, _source, name=_name: _check_stage(name, value))  # type: ignore[misc]


@on_check("log_statement_stats")
def check_statement_stats(value: Any, _source: Any) -> Any:
    """Either the whole or the stages (check_log_stats)."""
    if value and any(getattr(settings, name) for name in _STAGES):
        raise _invalid(
            "log_statement_stats", value,
            'Cannot enable "log_statement_stats" when "log_parser_stats", "log_planner_stats", or '
            '"log_executor_stats" is true.',
        )
    return value
