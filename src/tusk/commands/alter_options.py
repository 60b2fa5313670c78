"""ALTER TABLE on storage, statistics, ownership and the like (tablecmds.c)."""

from __future__ import annotations

from typing import Any

from tusk.catalog import acl, inval
from tusk.catalog import cache as c
from tusk.catalog import dependency as dep
from tusk.catalog._relcache import relation_close, relation_open
from tusk.catalog._tuples import command_counter_increment, update_row
from tusk.catalog.cache import lookup, scan_rows
from tusk.commands.alter_table import Kind, Work, alter, column
from tusk.commands.options import storage_parameters, string_of
from tusk.commands.role_names import role_of
from tusk.commands.sequences import parameters_of, rewrite_sequence
from tusk.commands.tables import chosen_tablespace, compression_letter, storage_letter, tablespace_oid
from tusk.errors import Severity, SqlError, errcode, report

_MAX_STATISTICS_TARGET = 10000


@alter(Kind.AT_SetStatistics)
def set_statistics(work: Work, command: Any) -> None:
    """SET STATISTICS (ATExecSetStatistics)."""
    if command.name is not None:
        row = column(work, command.name)
    else:
        row = lookup(c.ATTNUM, work.relid, command.num)
        if row is None:
            raise SqlError(
                errcode.UNDEFINED_COLUMN, f'column number {command.num} of relation "{work.name}" does not exist'
            )
    target = command.def_.ival if command.def_ is not None else -1
    if target == -1:
        target = None
    elif target < 0:
        raise SqlError(errcode.INVALID_PARAMETER_VALUE, f"statistics target {target} is too low")
    elif target > _MAX_STATISTICS_TARGET:
        target = _MAX_STATISTICS_TARGET
        report(Severity.WARNING, f"lowering statistics target to {target}", sqlstate=errcode.INVALID_PARAMETER_VALUE)
    update_row(row.copy(attstattarget=target), row)


@alter(Kind.AT_SetOptions)
def set_options(work: Work, command: Any) -> None:
    """SET (n_distinct = ...)."""
    _column_options(work, command, reset=False)


@alter(Kind.AT_ResetOptions)
def reset_options(work: Work, command: Any) -> None:
    """RESET (n_distinct)."""
    _column_options(work, command, reset=True)


def _column_options(work: Work, command: Any, *, reset: bool) -> None:
    row = column(work, command.name)
    names = {item.defname for item in command.def_}
    kept = [text for text in row.attoptions or () if text.partition("=")[0] not in names]
    for item in command.def_:
        if item.defname not in ("n_distinct", "n_distinct_inherited"):
            raise SqlError(errcode.INVALID_PARAMETER_VALUE, f'unrecognized parameter "{item.defname}"')
        if not reset:
            text = string_of(item)
            try:
                number = float(text)
            except ValueError:
                raise SqlError(
                    errcode.INVALID_PARAMETER_VALUE,
                    f'invalid value for floating point option "{item.defname}": {text}',
                ) from None
            if number < -1:
                raise SqlError(
                    errcode.INVALID_PARAMETER_VALUE, f'value {text} out of bounds for option "{item.defname}"',
                    detail='Valid values are between "-1.000000" and "inf".',
                )
            kept.append(f"{item.defname}={text}")
    update_row(row.copy(attoptions=tuple(kept) or None), row)


@alter(Kind.AT_SetStorage)
def set_storage(work: Work, command: Any) -> None:
    """SET STORAGE (ATExecSetStorage)."""
    row = column(work, command.name)
    letter = storage_letter(command.def_.sval, row.atttypid)
    update_row(row.copy(attstorage=letter), row)
    _also_in_indexes(work.relid, row.attnum, attstorage=letter)


@alter(Kind.AT_SetCompression)
def set_compression(work: Work, command: Any) -> None:
    """SET COMPRESSION (ATExecSetCompression)."""
    row = column(work, command.name)
    letter = compression_letter(command.def_.sval, row.atttypid)
    update_row(row.copy(attcompression=letter), row)
    _also_in_indexes(work.relid, row.attnum, attcompression=letter)


def _also_in_indexes(relid: int, attnum: int, **changes: Any) -> None:
    """The same for the column in the table's indexes (SetIndexStorageProperties)."""
    for index in scan_rows("pg_index", indrelid=relid):
        for i, number in enumerate(index.indkey):
            if number == attnum:
                row = lookup(c.ATTNUM, index.indexrelid, i + 1)
                update_row(row.copy(**changes), row)


@alter(Kind.AT_SetRelOptions)
def set_relation_options(work: Work, command: Any) -> None:
    """SET (storage_parameter = ...)."""
    _relation_options(work, command, reset=False)


@alter(Kind.AT_ResetRelOptions)
def reset_relation_options(work: Work, command: Any) -> None:
    """RESET (storage_parameter)."""
    _relation_options(work, command, reset=True)


def _relation_options(work: Work, command: Any, *, reset: bool) -> None:
    row = work.row
    letter = {"r": "t", "m": "t", "p": "t", "v": "v", "i": "b", "I": "b"}[row.relkind]
    namespaces = ("toast",) if row.relkind in "rm" else ()
    options = storage_parameters(command.def_, letter, namespaces=namespaces, old=row.reloptions, reset=reset)
    if row.relkind == "v" and any(text.startswith("check_option=") for text in options or ()):
        from tusk.commands.expressions import tree_of
        from tusk.commands.views import _check_updatable

        rule = lookup(c.RULERELNAME, work.relid, "_RETURN")
        _check_updatable(tree_of(rule.ev_action)[0])
    update_row(row.copy(reloptions=options), row)
    if row.reltoastrelid and any(item.defnamespace == "toast" for item in command.def_):
        toast = lookup(c.RELOID, row.reltoastrelid)
        changed = storage_parameters(
            command.def_, "T", namespace="toast", namespaces=namespaces, old=toast.reloptions, reset=reset
        )
        update_row(toast.copy(reloptions=changed), toast)


@alter(Kind.AT_ChangeOwner)
def change_owner(work: Work, command: Any) -> None:
    """OWNER TO."""
    from tusk.commands.alter_objects import change_relation_owner

    change_relation_owner(work.relid, role_of(command.newowner))


def _index_of(work: Work, name: str) -> Any:
    index = lookup(c.RELNAMENSP, name, work.row.relnamespace)
    row = lookup(c.INDEXRELID, index.oid) if index is not None else None
    if row is None or row.indrelid != work.relid:
        if index is None:
            raise SqlError(
                errcode.UNDEFINED_OBJECT, f'index "{name}" for table "{work.name}" does not exist'
            )
        raise SqlError(errcode.WRONG_OBJECT_TYPE, f'"{name}" is not an index for table "{work.name}"')
    return row


@alter(Kind.AT_ClusterOn)
def cluster_on(work: Work, command: Any) -> None:
    """CLUSTER ON index (mark_index_clustered)."""
    chosen = _index_of(work, command.name)
    if chosen.indpred is not None:
        raise SqlError(
            errcode.FEATURE_NOT_SUPPORTED, f'cannot cluster on partial index "{command.name}"'
        )
    for row in scan_rows("pg_index", indrelid=work.relid):
        wanted = row.indexrelid == chosen.indexrelid
        if row.indisclustered != wanted:
            update_row(row.copy(indisclustered=wanted), row)
    inval.invalidate_relcache(work.relid)


@alter(Kind.AT_DropCluster)
def drop_cluster(work: Work, _command: Any) -> None:
    """SET WITHOUT CLUSTER."""
    for row in scan_rows("pg_index", indrelid=work.relid):
        if row.indisclustered:
            update_row(row.copy(indisclustered=False), row)
    inval.invalidate_relcache(work.relid)


@alter(Kind.AT_DropOids)
def drop_oids(_work: Work, _command: Any) -> None:
    """SET WITHOUT OIDS: no table has them, so this is done already."""


@alter(Kind.AT_ReplicaIdentity)
def replica_identity(work: Work, command: Any) -> None:
    """REPLICA IDENTITY (ATExecReplicaIdentity)."""
    node = command.def_
    kind = node.identity_type
    index = 0
    if kind == "i":
        row = _index_of(work, node.name)
        index = row.indexrelid
        for bad, text in (
            (not row.indisunique, f'cannot use non-unique index "{node.name}" as replica identity'),
            (not row.indimmediate, f'cannot use non-immediate index "{node.name}" as replica identity'),
            (row.indexprs is not None, f'cannot use expression index "{node.name}" as replica identity'),
            (row.indpred is not None, f'cannot use partial index "{node.name}" as replica identity'),
        ):
            if bad:
                raise SqlError(errcode.WRONG_OBJECT_TYPE, text)
        for attnum in row.indkey[: row.indnkeyatts]:
            attribute = lookup(c.ATTNUM, work.relid, attnum)
            if not attribute.attnotnull:
                raise SqlError(
                    errcode.WRONG_OBJECT_TYPE,
                    f'index "{node.name}" cannot be used as replica identity because column "{attribute.attname}" '
                    "is nullable",
                )
    table = work.row
    if table.relreplident != kind:
        update_row(table.copy(relreplident=kind), table)
    for row in scan_rows("pg_index", indrelid=work.relid):
        wanted = row.indexrelid == index
        if row.indisreplident != wanted:
            update_row(row.copy(indisreplident=wanted), row)
    inval.invalidate_relcache(work.relid)


# Persistence and place


@alter(Kind.AT_SetLogged)
def set_logged(work: Work, _command: Any) -> None:
    """SET LOGGED."""
    _set_persistence(work, "p")


@alter(Kind.AT_SetUnLogged)
def set_unlogged(work: Work, _command: Any) -> None:
    """SET UNLOGGED."""
    _set_persistence(work, "u")


def _set_persistence(work: Work, wanted: str) -> None:
    """Change persistence by rewriting (ATPrepChangePersistence)."""
    row = work.row
    if row.relpersistence == "t":
        raise SqlError(
            errcode.INVALID_TABLE_DEFINITION,
            f'cannot change logged status of table "{row.relname}" because it is temporary',
        )
    if row.relpersistence == wanted:
        return
    if row.relkind == "S":
        state = parameters_of(work.relid)
        rewrite_sequence(work.relid, state.last_value, state.is_called, wanted)
        return
    for constraint in scan_rows("pg_constraint", conrelid=work.relid) if wanted == "p" else scan_rows(
        "pg_constraint", confrelid=work.relid
    ):
        if constraint.contype != "f" or constraint.conrelid == constraint.confrelid:
            continue
        other = lookup(c.RELOID, constraint.confrelid if wanted == "p" else constraint.conrelid)
        if other.relpersistence != "p" and wanted == "p":
            raise SqlError(
                errcode.INVALID_TABLE_DEFINITION,
                f'could not change table "{row.relname}" to logged because it references unlogged table '
                f'"{other.relname}"',
            )
        if other.relpersistence == "p" and wanted == "u":
            raise SqlError(
                errcode.INVALID_TABLE_DEFINITION,
                f'could not change table "{row.relname}" to unlogged because it references logged table '
                f'"{other.relname}"',
            )
    work.new_persistence = wanted
    for sequence in dep.sequences_owned_by(work.relid):
        relation_close(relation_open(sequence, 8), 0)
        state = parameters_of(sequence)
        rewrite_sequence(sequence, state.last_value, state.is_called, wanted)


@alter(Kind.AT_SetTableSpace)
def set_tablespace(work: Work, command: Any) -> None:
    """SET TABLESPACE."""
    tablespace_oid(command.name)
    oid = chosen_tablespace(command.name, work.row.relpersistence)
    if oid == work.row.reltablespace:
        return
    if work.row.relkind in "iI":
        from tusk.catalog.index import build
        from tusk.commands.storage import new_file

        row = work.row
        update_row(row.copy(reltablespace=oid), row)
        command_counter_increment()
        new_file(work.relid)
        build(lookup(c.INDEXRELID, work.relid).indrelid, work.relid)
        return
    work.new_tablespace = oid


# Triggers


def _enable_triggers(work: Work, letter: str, *, name: str | None, user_only: bool) -> None:
    """Set tgenabled (EnableDisableTrigger)."""
    found = False
    for row in scan_rows("pg_trigger", tgrelid=work.relid):
        if name is not None and row.tgname != name:
            continue
        if row.tgisinternal:
            if user_only:
                continue
            if not acl.superuser():
                raise SqlError(
                    errcode.INSUFFICIENT_PRIVILEGE, f'permission denied: "{row.tgname}" is a system trigger'
                )
        found = True
        if row.tgenabled != letter:
            update_row(row.copy(tgenabled=letter), row)
    if name is not None and not found:
        raise SqlError(errcode.UNDEFINED_OBJECT, f'trigger "{name}" for table "{work.name}" does not exist')
    inval.invalidate_relcache(work.relid)


def _register_triggers() -> None:
    for kind, letter, one, user in (
        (Kind.AT_EnableTrig, "O", True, False), (Kind.AT_EnableAlwaysTrig, "A", True, False),
        (Kind.AT_EnableReplicaTrig, "R", True, False), (Kind.AT_DisableTrig, "D", True, False),
        (Kind.AT_EnableTrigAll, "O", False, False), (Kind.AT_DisableTrigAll, "D", False, False),
        (Kind.AT_EnableTrigUser, "O", False, True), (Kind.AT_DisableTrigUser, "D", False, True),
    ):

        def change(work: Work, command: Any, letter: str = letter, one: bool = one, user: bool = user) -> None:
            _enable_triggers(work, letter, name=command.name if one else None, user_only=user)

        alter(kind)(change)


_register_triggers()
