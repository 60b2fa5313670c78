"""SET, RESET, SHOW, and ALTER SYSTEM: settings from SQL (commands/variable.h, utils/guc.h)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from tusk.catalog.oids import TEXTOID
from tusk.commands.destination import ResultColumn, send_rows
from tusk.commands.utility import UtilityContext, describes_rows, utility
from tusk.config import Action, Context, Source, parameter, parameters, reset_all, set_option, show
from tusk.config import settings as current
from tusk.config.files import alter_system
from tusk.config.parameters import HIDDEN, LISTS, QUOTED_LISTS
from tusk.config.registry import check_text
from tusk.errors import SqlError, errcode, feature_not_supported
from tusk.sql.nodes import A_Const, Float, Integer, String, TypeCast, enums
from tusk.transaction import xact

_PLAIN_IDENTIFIER = re.compile(r"[a-z_][a-z0-9_$]*")


def setter_context(session: Any) -> Context:
    """The rank with which this session may change settings."""
    return Context.SUSET if session.is_superuser() else Context.USERSET


def flatten_arguments(name: str, arguments: list[Any]) -> str | None:
    """The text of a SET statement's value list (flatten_set_variable_args); None for DEFAULT."""
    if not arguments:
        return None
    is_list = (known := parameter(name)) is not None and known.name in LISTS
    if len(arguments) > 1 and not is_list:
        raise SqlError(errcode.INVALID_PARAMETER_VALUE, f"SET {name} takes only one argument")
    quoted = known is not None and known.name in QUOTED_LISTS
    return ", ".join(_argument_text(name, argument, quoted) for argument in arguments)


def _argument_text(name: str, argument: Any, quoted: bool) -> str:
    if isinstance(argument, TypeCast):
        # SET TIME ZONE INTERVAL '...': hours and minutes from UTC.
        return f"INTERVAL '{argument.arg.val.sval}'"
    assert isinstance(argument, A_Const), argument
    value = argument.val
    if isinstance(value, Integer):
        return str(value.ival)
    if isinstance(value, Float):
        return str(value.fval)
    assert isinstance(value, String), value
    text = value.sval or ""
    if quoted and _PLAIN_IDENTIFIER.fullmatch(text) is None:
        return '"' + text.replace('"', '""') + '"'
    return text


@utility("VariableSetStmt")
def set_variable(statement: Any, context: UtilityContext) -> str:
    """SET, SET LOCAL, SET TRANSACTION, RESET, RESET ALL (ExecSetVariableStmt)."""
    action = Action.LOCAL if statement.is_local else Action.SET
    rank = setter_context(context.session)
    match statement.kind:
        case enums.VAR_SET_VALUE | enums.VAR_SET_CURRENT:
            if statement.is_local:
                _warn_outside_block(context, "SET LOCAL")
            if statement.kind == enums.VAR_SET_CURRENT:
                text: str | None = show(statement.name)
            else:
                text = flatten_arguments(statement.name, statement.args)
            set_option(statement.name, text, rank, Source.SESSION, action)
            _end_role(statement.name, rank, action)
        case enums.VAR_SET_MULTI:
            _set_multi(statement, context)
        case enums.VAR_SET_DEFAULT | enums.VAR_RESET:
            if statement.is_local:
                _warn_outside_block(context, "SET LOCAL")
            if statement.name == "transaction_isolation" and statement.kind == enums.VAR_SET_DEFAULT:
                _warn_outside_block(context, "RESET TRANSACTION")
            set_option(statement.name, None, rank, Source.SESSION, action)
            _end_role(statement.name, rank, action)
        case enums.VAR_RESET_ALL:
            reset_all(rank)
            return "RESET"
    return "RESET" if statement.kind == enums.VAR_RESET else "SET"


def _end_role(name: str, rank: Context, action: Action) -> None:
    """SET SESSION AUTHORIZATION implies SET ROLE NONE."""
    if name == "session_authorization":
        set_option("role", "none", rank, Source.SESSION, action)


def _warn_outside_block(context: UtilityContext, what: str) -> None:
    xact.warn_no_transaction_block(context.is_top_level, what)


def _set_multi(statement: Any, context: UtilityContext) -> None:
    """SET TRANSACTION and SET SESSION CHARACTERISTICS: several settings at once."""
    if statement.name == "TRANSACTION":
        _warn_outside_block(context, "SET TRANSACTION")
        prefix, action = "", Action.LOCAL
    elif statement.name == "SESSION CHARACTERISTICS":
        prefix, action = "default_", Action.SET
    elif statement.name == "TRANSACTION SNAPSHOT":
        raise feature_not_supported("SET TRANSACTION SNAPSHOT")
    else:
        raise AssertionError(statement.name)
    rank = setter_context(context.session)
    for item in statement.args:
        set_option(
            prefix + item.defname, flatten_arguments(item.defname, [item.arg]), rank, Source.SESSION, action
        )


def _show_allowed(name: str, context: UtilityContext) -> None:
    known = parameter(name)
    if known is not None and not context.session.may_read_setting(known.name):
        raise SqlError(
            errcode.INSUFFICIENT_PRIVILEGE,
            f'permission denied to examine "{known.name}"',
            detail='Only roles with privileges of the "pg_read_all_settings" role may examine this parameter.',
        )


@describes_rows("VariableShowStmt")
def show_columns(statement: Any, _session: Any) -> list[ResultColumn]:
    """SHOW returns a text column named as the setting; SHOW ALL three."""
    if statement.name == "all":
        return [ResultColumn(name, TEXTOID) for name in ("name", "setting", "description")]
    known = parameter(statement.name)
    return [ResultColumn(known.name if known else statement.name, TEXTOID)]


@utility("VariableShowStmt")
def show_variable(statement: Any, context: UtilityContext) -> str:
    """SHOW name, SHOW ALL (GetPGVariable)."""
    columns = show_columns(statement, context.session)
    if statement.name == "all":
        rows: list[tuple[Any, ...]] = [
            (item.name, show(item.name), item.description)
            for item in parameters()
            if item.name not in HIDDEN and context.session.may_read_setting(item.name)
        ]
    else:
        _show_allowed(statement.name, context)
        rows = [(show(statement.name),)]
    send_rows(context.destination, columns, rows)
    return "SHOW"


@utility("AlterSystemStmt")
def alter_system_set(statement: Any, context: UtilityContext) -> str:
    """ALTER SYSTEM SET/RESET: postgresql.auto.conf (AlterSystemSetConfigFile)."""
    xact.prevent_in_transaction_block(context.is_top_level, "ALTER SYSTEM")
    command = statement.setstmt
    if not current.allow_alter_system:
        raise SqlError(
            errcode.FEATURE_NOT_SUPPORTED, "ALTER SYSTEM is not allowed in this environment"
        )
    directory = Path(str(current.data_directory))
    if command.kind == enums.VAR_RESET_ALL:
        _require_superuser(context, None)
        alter_system(directory, None, None)
        return "ALTER SYSTEM"
    known = parameter(command.name)
    if known is None:
        raise SqlError(errcode.UNDEFINED_OBJECT, f'unrecognized configuration parameter "{command.name}"')
    _require_superuser(context, known.name)
    if known.context == "internal" or known.name in ("config_file", "data_directory", "hba_file", "ident_file"):
        raise SqlError(errcode.CANT_CHANGE_RUNTIME_PARAM, f'parameter "{known.name}" cannot be changed')
    text = None
    if command.kind in (enums.VAR_SET_VALUE, enums.VAR_SET_CURRENT):
        text = flatten_arguments(known.name, command.args) if command.args else show(known.name)
    if text is not None:
        check_text(known, text)
        if "\n" in text:
            raise SqlError(
                errcode.INVALID_PARAMETER_VALUE, "parameter value for ALTER SYSTEM must not contain a newline"
            )
    alter_system(directory, known.name, text)
    return "ALTER SYSTEM"


def _require_superuser(context: UtilityContext, name: str | None) -> None:
    if context.session.is_superuser():
        return
    what = f'parameter "{name}"' if name else "all parameters"
    if name is None:
        raise SqlError(errcode.INSUFFICIENT_PRIVILEGE, "permission denied to perform ALTER SYSTEM RESET ALL")
    raise SqlError(errcode.INSUFFICIENT_PRIVILEGE, f"permission denied to set {what}")
