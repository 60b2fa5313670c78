"""Which statements the log shows, and how long they took: ``log_statement``, ``log_duration`` and their kin.

Nothing here runs for statements that no setting asks for: the command loop looks at `state` (and the fast path at three
C variables that `_publish` keeps), and calls only what a setting has switched on. Source: manual, "What To Log", and
tcop/postgres.c (check_log_statement, check_log_duration).
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any

from tusk.backend import _fast_path
from tusk.config import settings
from tusk.config.parameters import parse_bool
from tusk.config.registry import on_assign
from tusk.errors import Severity, SqlError, report
from tusk.stats._process_identity import transaction_identity
from tusk.transaction import xact
from tusk.transaction._xact import now
from tusk.types.codec import codec_for

NONE, DDL, MOD, ALL = range(4)
_LEVELS = {"none": NONE, "ddl": DDL, "mod": MOD, "all": ALL}
_NOT_LOGGED, _DURATION_ONLY, _WITH_STATEMENT = range(3)

# Statements that change nothing that is kept. Those not named here or below define something.
_READS = frozenset({
    "PLAssignStmt", "TransactionStmt", "DeclareCursorStmt", "ClosePortalStmt", "FetchStmt", "DeallocateStmt",
    "NotifyStmt", "ListenStmt", "UnlistenStmt", "LoadStmt", "CallStmt", "DoStmt", "VacuumStmt", "VariableSetStmt",
    "VariableShowStmt", "DiscardStmt", "LockStmt", "ConstraintsSetStmt", "CheckPointStmt", "ReindexStmt",
})  # fmt: skip
_CHANGES = frozenset({"InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt", "TruncateStmt"})
_OUTER = frozenset({"PrepareStmt", "ExplainStmt"})


class State:
    """What the settings ask for."""

    level = NONE                # log_statement
    times = False               # some setting may want a statement's duration
    samples_transactions = False
    parameters_on_error = False


state = State()


@on_assign("log_statement")
@on_assign("log_duration")
@on_assign("log_min_duration_statement")
@on_assign("log_min_duration_sample")
@on_assign("log_transaction_sample_rate")
@on_assign("log_parameter_max_length_on_error")
def _publish(_value: object = None) -> None:
    """Work out the switches, also those of the fast path."""
    least, sample = settings.log_min_duration_statement, settings.log_min_duration_sample
    state.level = _LEVELS[settings.log_statement]
    state.samples_transactions = settings.log_transaction_sample_rate > 0
    state.parameters_on_error = settings.log_parameter_max_length_on_error != 0
    state.times = settings.log_duration or least >= 0 or sample >= 0 or state.samples_transactions
    each = (
        settings.log_duration or least == 0 or sample == 0 or state.samples_transactions or state.parameters_on_error
    )
    thresholds = [limit for limit in (least, sample) if limit > 0]
    _fast_path.set_statement_logging(state.level, each, min(thresholds) * 1000 if thresholds else -1)


# Which statements


def statement_level(statement: Any, prepared: Any) -> int:
    """The least ``log_statement`` that shows a statement (GetCommandLogLevel); EXECUTE is looked up in ``prepared``."""
    name = type(statement).__name__
    if name in ("RawStmt", "PlannedStmt"):
        inner = statement.stmt if name == "RawStmt" else statement.utilityStmt
        return _planned_level(statement) if inner is None else statement_level(inner, prepared)
    if name == "SelectStmt":
        return DDL if statement.intoClause is not None else ALL
    if name in _CHANGES:
        return MOD
    if name == "CopyStmt":
        return MOD if statement.is_from else ALL
    if name in _READS:
        return ALL
    if name == "PrepareStmt":
        return statement_level(statement.query, prepared)
    if name == "ExecuteStmt":
        found = prepared.find(statement.name)
        return statement_level(found.source.raw, prepared) if found is not None and found.source.raw else ALL
    if name == "ExplainStmt":
        runs = any(
            option.defname == "analyze" and parse_bool(str(getattr(option.arg, "sval", "true"))) is not False
            for option in statement.options or ()
        )
        return statement_level(statement.query, prepared) if runs else ALL
    return DDL


def _planned_level(plan: Any) -> int:
    return ALL if plan.commandType == 1 else MOD


def wants(statements: Iterable[Any], prepared: Any) -> bool:
    """Whether ``log_statement`` shows a query of these statements (check_log_statement)."""
    if state.level in (NONE, ALL):
        return state.level == ALL
    return any(statement_level(statement, prepared) <= state.level for statement in statements)


def _prepared_text(statements: Iterable[Any], prepared: Any) -> str | None:
    """For EXECUTE: what was prepared (errdetail_execute)."""
    for raw in statements:
        if type(raw.stmt).__name__ == "ExecuteStmt":
            found = prepared.find(raw.stmt.name)
            if found is not None:
                return f"prepare: {found.source.text}"
    return None


def log_query(text: str, statements: list[Any], prepared: Any) -> bool:
    """A simple query is about to run; whether it was logged."""
    if not wants(statements, prepared):
        return False
    report(Severity.LOG, f"statement: {text}", detail=_prepared_text(statements, prepared), hides_statement=True)
    return True


# Durations


class _Sample:
    lxid = 0
    is_taken = False


def begin_command() -> None:
    """A command begins: a new transaction draws its lot for ``log_transaction_sample_rate``."""
    lxid = transaction_identity()[1]
    if lxid != _Sample.lxid:
        rate = settings.log_transaction_sample_rate
        _Sample.lxid = lxid
        _Sample.is_taken = rate != 0 and (rate == 1 or random.random() <= rate)


def _verdict(was_logged: bool) -> tuple[int, str]:
    """Whether to log the duration, alone or with the statement, and the duration (check_log_duration)."""
    elapsed_us = now() - xact.statement_start_timestamp()
    least, sample = settings.log_min_duration_statement, settings.log_min_duration_sample
    is_long = least >= 0 and elapsed_us >= least * 1000
    in_sample = False
    if sample >= 0 and elapsed_us >= sample * 1000:
        rate = settings.log_statement_sample_rate
        in_sample = rate != 0 and (rate == 1 or random.random() <= rate)
    is_sampled = state.samples_transactions and _Sample.is_taken
    if not (is_long or in_sample or is_sampled or settings.log_duration):
        return _NOT_LOGGED, ""
    shown = f"{elapsed_us // 1000}.{elapsed_us % 1000:03d}"
    with_statement = (is_long or in_sample or is_sampled) and not was_logged
    return (_WITH_STATEMENT if with_statement else _DURATION_ONLY), shown


def _log_time(was_logged: bool, what: str, detail: Any = None) -> None:
    verdict, shown = _verdict(was_logged)
    if verdict == _DURATION_ONLY:
        report(Severity.LOG, f"duration: {shown} ms", hides_statement=True)
    elif verdict == _WITH_STATEMENT:
        report(
            Severity.LOG, f"duration: {shown} ms  {what}", detail=detail() if detail is not None else None,
            hides_statement=True,
        )  # fmt: skip


def log_query_time(text: str, statements: list[Any], prepared: Any, was_logged: bool) -> None:
    """A simple query is done."""
    _log_time(was_logged, f"statement: {text}", lambda: _prepared_text(statements, prepared))


def log_parse_time(name: str, text: str) -> None:
    """A Parse message is done."""
    _log_time(False, f"parse {name or '<unnamed>'}: {text}")


def _portal_title(statement_name: str, portal_name: str, text: str) -> str:
    return f"{statement_name or '<unnamed>'}{'/' if portal_name else ''}{portal_name}: {text}"


def log_bind_time(statement_name: str, portal: Any, types: list[int]) -> None:
    """A Bind message is done."""
    _log_time(
        False, f"bind {_portal_title(statement_name, portal.name, portal.text)}",
        lambda: parameters_detail(portal.parameters, types),
    )  # fmt: skip


def _execute_title(statement_name: str, portal_name: str, text: str, is_fetch: bool) -> str:
    verb = "execute fetch from" if is_fetch else "execute"
    return f"{verb} {_portal_title(statement_name, portal_name, text)}"


def log_execute(statement_name: str, portal: Any, types: list[int], prepared: Any) -> bool:
    """An Execute message is about to run; whether it was logged."""
    if not wants(portal.plans, prepared):
        return False
    report(
        Severity.LOG, _execute_title(statement_name, portal.name, portal.text, not portal.at_start),
        detail=parameters_detail(portal.parameters, types), hides_statement=True,
    )  # fmt: skip
    return True


def log_execute_time(statement_name: str, portal: Any, types: list[int], is_fetch: bool, was_logged: bool) -> None:
    """An Execute message is done."""
    _log_time(
        was_logged, _execute_title(statement_name, portal.name, portal.text, is_fetch),
        lambda: parameters_detail(portal.parameters, types),
    )  # fmt: skip


def log_slow_execute(statement_name: str, text: str, values: list[Any], types: list[int]) -> None:
    """The fast path took long for an Execute message."""
    _log_time(
        False, _execute_title(statement_name, "", text, False), lambda: parameters_detail(values, types)
    )


def log_slow_query(text: str) -> None:
    """The fast path took long for a simple query."""
    _log_time(False, f"statement: {text}")


# Parameters


def quote_value(text: str, max_bytes: int) -> str:
    """A value in quotes, cut after so many bytes at a character's border; -1 is no limit."""
    data = text.encode("utf-8", "surrogateescape")
    if max_bytes < 0 or len(data) <= max_bytes:
        return "'" + text.replace("'", "''") + "'"
    cut = max_bytes
    while cut > 0 and (data[cut] & 0xC0) == 0x80:
        cut -= 1
    return "'" + data[:cut].decode("utf-8", "surrogateescape").replace("'", "''") + "...'"


def parameter_list(values: Any, types: list[int], max_bytes: int) -> str:
    """``$1 = 'x', $2 = NULL`` (BuildParamLogString)."""
    shown: list[str] = []
    for index, (value, type_oid) in enumerate(zip(values or (), types, strict=False), 1):
        text = "NULL" if value is None else quote_value(codec_for(type_oid).output(value), max_bytes)
        shown.append(f"${index} = {text}")
    return ", ".join(shown)


def parameters_detail(values: Any, types: list[int]) -> str | None:
    """DETAIL of a logged statement (errdetail_params)."""
    limit = settings.log_parameter_max_length
    if not values or limit == 0:
        return None
    return f"Parameters: {parameter_list(values, types, limit)}"


def add_parameters(error: SqlError, portal_name: str, values: Any, types: list[int]) -> None:
    """CONTEXT of an error, where ``log_parameter_max_length_on_error`` asks for the parameters."""
    limit = settings.log_parameter_max_length_on_error
    if not values or limit == 0:
        return
    portal = f'portal "{portal_name}"' if portal_name else "unnamed portal"
    error.add_context(f"{portal} with parameters: {parameter_list(values, types, limit)}")


def bad_parameter_context(portal_name: str, number: int, text: str | None) -> str:
    """CONTEXT of an error in one parameter; ``text`` None where it came in binary."""
    limit = settings.log_parameter_max_length_on_error
    portal = f'portal "{portal_name}"' if portal_name else "unnamed portal"
    value = f" = {quote_value(text, limit)}" if text is not None and limit != 0 else ""
    return f"{portal} parameter ${number}{value}"


_fast_path.set_slow_statement_hooks(log_slow_execute, log_slow_query)
