"""ALTER TABLE: commands sorted into passes, then one scan or rewrite for all of them (tablecmds.c's ATController).

Phase 1 sorts, phase 2 changes catalogs pass by pass, phase 3 reads the table once: to rewrite it where values change,
else to check what new constraints say of the rows that are there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tusk.catalog import acl
from tusk.catalog import cache as c
from tusk.catalog import objectaddress as oa
from tusk.catalog._relcache import relation_close, relation_open
from tusk.catalog._tuples import command_counter_increment
from tusk.catalog.cache import lookup
from tusk.catalog.namespace import is_other_temp_namespace, range_var_get_relid
from tusk.commands import constraints
from tusk.commands.indexes import refuse_system_catalog
from tusk.commands.sequences import not_supported_detail
from tusk.commands.truncate import check_not_in_use
from tusk.commands.utility import UtilityContext, utility
from tusk.errors import Severity, SqlError, errcode, feature_not_supported, report
from tusk.sql.execute import triggers
from tusk.sql.nodes import AlterTableType, enums

AccessExclusiveLock, ShareUpdateExclusiveLock = 8, 4
(PASS_DROP, PASS_ALTER_TYPE, PASS_ADD_COLUMN, PASS_SET_EXPRESSION, PASS_OLD_INDEX, PASS_OLD_CONSTRAINT,
 PASS_ADD_CONSTRAINT, PASS_COLUMN_ATTRIBUTES, PASS_ADD_INDEX_CONSTRAINT, PASS_ADD_INDEX, PASS_OTHER_CONSTRAINT,
 PASS_MISC) = range(12)  # fmt: skip
NPASSES = 12

Kind = AlterTableType
# What each command is called where it does not apply (alter_table_type_to_string), and the relkinds it applies to.
_TABLES = "rpf"
_COMMANDS: dict[Any, tuple[str, str, int]] = {
    Kind.AT_AddColumn: ("ADD COLUMN", "rpfc", PASS_ADD_COLUMN),
    Kind.AT_ColumnDefault: ("ALTER COLUMN ... SET DEFAULT", "rpfv", PASS_MISC),
    Kind.AT_DropNotNull: ("ALTER COLUMN ... DROP NOT NULL", _TABLES, PASS_DROP),
    Kind.AT_SetNotNull: ("ALTER COLUMN ... SET NOT NULL", _TABLES, PASS_COLUMN_ATTRIBUTES),
    Kind.AT_SetExpression: ("ALTER COLUMN ... SET EXPRESSION", _TABLES, PASS_SET_EXPRESSION),
    Kind.AT_DropExpression: ("ALTER COLUMN ... DROP EXPRESSION", _TABLES, PASS_DROP),
    Kind.AT_SetStatistics: ("ALTER COLUMN ... SET STATISTICS", "rpmfiI", PASS_MISC),
    Kind.AT_SetOptions: ("ALTER COLUMN ... SET", "rpmf", PASS_MISC),
    Kind.AT_ResetOptions: ("ALTER COLUMN ... RESET", "rpmf", PASS_MISC),
    Kind.AT_SetStorage: ("ALTER COLUMN ... SET STORAGE", "rpmf", PASS_MISC),
    Kind.AT_SetCompression: ("ALTER COLUMN ... SET COMPRESSION", "rpm", PASS_MISC),
    Kind.AT_DropColumn: ("DROP COLUMN", "rpfc", PASS_DROP),
    Kind.AT_AddConstraint: ("ADD CONSTRAINT", _TABLES, PASS_ADD_CONSTRAINT),
    Kind.AT_AlterConstraint: ("ALTER CONSTRAINT", "rp", PASS_MISC),
    Kind.AT_ValidateConstraint: ("VALIDATE CONSTRAINT", _TABLES, PASS_MISC),
    Kind.AT_DropConstraint: ("DROP CONSTRAINT", _TABLES, PASS_DROP),
    Kind.AT_AlterColumnType: ("ALTER COLUMN ... SET DATA TYPE", "rpfc", PASS_ALTER_TYPE),
    Kind.AT_ChangeOwner: ("OWNER TO", "rpfvmSiIc", PASS_MISC),
    Kind.AT_ClusterOn: ("CLUSTER ON", "rpm", PASS_MISC),
    Kind.AT_DropCluster: ("SET WITHOUT CLUSTER", "rpm", PASS_MISC),
    Kind.AT_SetLogged: ("SET LOGGED", "rpS", PASS_MISC),
    Kind.AT_SetUnLogged: ("SET UNLOGGED", "rpS", PASS_MISC),
    Kind.AT_DropOids: ("SET WITHOUT OIDS", _TABLES, PASS_DROP),
    Kind.AT_SetRelOptions: ("SET", "rpvmiI", PASS_MISC),
    Kind.AT_ResetRelOptions: ("RESET", "rpvmiI", PASS_MISC),
    Kind.AT_ReplicaIdentity: ("REPLICA IDENTITY", "rpm", PASS_MISC),
    Kind.AT_AddIdentity: ("ALTER COLUMN ... ADD IDENTITY", "rpfv", PASS_OTHER_CONSTRAINT),
    Kind.AT_SetIdentity: ("ALTER COLUMN ... SET", "rpfv", PASS_COLUMN_ATTRIBUTES),
    Kind.AT_DropIdentity: ("ALTER COLUMN ... DROP IDENTITY", "rpfv", PASS_DROP),
    Kind.AT_EnableRowSecurity: ("ENABLE ROW SECURITY", "rp", PASS_MISC),
    Kind.AT_DisableRowSecurity: ("DISABLE ROW SECURITY", "rp", PASS_MISC),
    Kind.AT_EnableTrig: ("ENABLE TRIGGER", _TABLES, PASS_MISC),
    Kind.AT_EnableTrigAll: ("ENABLE TRIGGER ALL", _TABLES, PASS_MISC),
    Kind.AT_EnableTrigUser: ("ENABLE TRIGGER USER", _TABLES, PASS_MISC),
    Kind.AT_EnableAlwaysTrig: ("ENABLE ALWAYS TRIGGER", _TABLES, PASS_MISC),
    Kind.AT_EnableReplicaTrig: ("ENABLE REPLICA TRIGGER", _TABLES, PASS_MISC),
    Kind.AT_DisableTrig: ("DISABLE TRIGGER", _TABLES, PASS_MISC),
    Kind.AT_DisableTrigAll: ("DISABLE TRIGGER ALL", _TABLES, PASS_MISC),
    Kind.AT_DisableTrigUser: ("DISABLE TRIGGER USER", _TABLES, PASS_MISC),
    Kind.AT_SetTableSpace: ("SET TABLESPACE", "rpmiI", PASS_MISC),
}
# Commands that a weaker lock is enough for (AlterTableGetLockLevel).
_WEAK = {
    Kind.AT_SetStatistics, Kind.AT_ClusterOn, Kind.AT_DropCluster, Kind.AT_SetOptions, Kind.AT_ResetOptions,
    Kind.AT_ValidateConstraint,
}  # fmt: skip


@dataclass
class Work:
    """What is to be done with one table."""

    relid: int
    context: Any
    old_desc: Any
    old_relation: Any
    passes: list[list[Any]] = field(default_factory=lambda: [[] for _ in range(NPASSES)])
    # New values of columns, as expressions over the old row.
    new_values: list[tuple[int, Any]] = field(default_factory=list)
    rewrite: bool = False
    # Check constraints that existing rows must pass: (name, expression).
    checks: list[tuple[str, Any]] = field(default_factory=list)
    # Columns that must hold no NULL.
    not_nulls: list[int] = field(default_factory=list)
    # Foreign keys to be checked once the rows are in place.
    foreign_keys: list[int] = field(default_factory=list)
    # Indexes and constraints to be made again after a type change: (command text, comment).
    rebuild: list[Any] = field(default_factory=list)
    new_persistence: str | None = None
    new_tablespace: int | None = None

    @property
    def row(self) -> Any:
        """The pg_class row as it is now."""
        return lookup(c.RELOID, self.relid)

    @property
    def name(self) -> str:
        """The table's name."""
        return str(self.row.relname)


Executor = Callable[[Work, Any], None]
_executors: dict[Any, Executor] = {}
_preparers: dict[Any, Executor] = {}


def alter(kind: Any) -> Callable[[Executor], Executor]:
    """Register what a command does in phase 2."""

    def register(function: Executor) -> Executor:
        _executors[kind] = function
        return function

    return register


def prepare(kind: Any) -> Callable[[Executor], Executor]:
    """Register what a command does in phase 1, before any catalog changes."""

    def register(function: Executor) -> Executor:
        _preparers[kind] = function
        return function

    return register


_WANTED = {
    enums.OBJECT_INDEX: ("iI", "an index"), enums.OBJECT_SEQUENCE: ("S", "a sequence"),
    enums.OBJECT_VIEW: ("v", "a view"), enums.OBJECT_MATVIEW: ("m", "a materialized view"),
    enums.OBJECT_TYPE: ("c", "a composite type"), enums.OBJECT_FOREIGN_TABLE: ("f", "a foreign table"),
}  # fmt: skip


@utility("AlterTableStmt")
def alter_table(statement: Any, context: UtilityContext) -> None:
    """ALTER TABLE, INDEX, VIEW, SEQUENCE, MATERIALIZED VIEW, TYPE with table commands (AlterTable)."""
    weak = all(command.subtype in _WEAK for command in statement.cmds)
    lockmode = ShareUpdateExclusiveLock if weak else AccessExclusiveLock

    def check(relation: Any, oid: int, _old: int) -> None:
        if oid:
            check_alterable(relation, oid, statement.objtype)

    relid = range_var_get_relid(statement.relation, lockmode, missing_ok=statement.missing_ok, callback=check)
    if not relid:
        report(Severity.NOTICE, f'relation "{statement.relation.relname}" does not exist, skipping')
        return
    run(relid, statement.cmds, context)


def check_alterable(relation: Any, oid: int, objtype: Any) -> None:
    """Ownership, no system catalog, and the kind the statement names (RangeVarCallbackForAlterRelation)."""
    row = lookup(c.RELOID, oid)
    acl.require_owner(oa.CLASS, oid)
    refuse_system_catalog(oid)
    kinds, article = _WANTED.get(objtype, ("", ""))
    if kinds and row.relkind not in kinds:
        raise SqlError(errcode.WRONG_OBJECT_TYPE, f'"{relation.relname}" is not {article}')
    if objtype == enums.OBJECT_TABLE and row.relkind == "c":
        raise SqlError(
            errcode.WRONG_OBJECT_TYPE, f'"{relation.relname}" is a composite type', hint="Use ALTER TYPE instead."
        )


def run(relid: int, commands: list[Any], context: UtilityContext) -> None:
    """All commands on one table (ATController)."""
    row = lookup(c.RELOID, relid)
    if is_other_temp_namespace(row.relnamespace):
        raise SqlError(errcode.FEATURE_NOT_SUPPORTED, "cannot alter temporary tables of other sessions")
    check_not_in_use(relid, "ALTER TABLE")
    if triggers.has_pending(relid):
        raise SqlError(
            errcode.OBJECT_IN_USE,
            f'cannot ALTER TABLE "{row.relname}" because it has pending trigger events',
        )
    rel = relation_open(relid, 0)
    try:
        from tusk.commands._table_rewrite import old_relation

        old = old_relation(rel, rel.desc) if row.relkind in "rm" else None
        work = Work(relid, context, rel.desc, old)
    finally:
        relation_close(rel, 0)
    for command in commands:
        _sort(work, command)
    for number in range(NPASSES):
        i = 0
        # Commands may add others to this pass and to later ones.
        while i < len(work.passes[number]):
            command = work.passes[number][i]
            i += 1
            if callable(command):
                command()
            else:
                _executors[command.subtype](work, command)
            command_counter_increment()
        if number == PASS_ALTER_TYPE and work.passes[number]:
            from tusk.commands.alter_type import rebuild_dependents

            rebuild_dependents(work)
    from tusk.commands.alter_rewrite import finish

    if lookup(c.RELOID, relid) is not None:
        if row.relkind in "rm":
            from tusk.catalog.toasting import create_toast_table

            create_toast_table(relid)
        finish(work)


def _sort(work: Work, command: Any) -> None:
    """Phase 1 for one command (ATPrepCmd)."""
    known = _COMMANDS.get(command.subtype)
    if known is None or command.subtype not in _executors:
        raise feature_not_supported(f"ALTER TABLE {known[0] if known else command.subtype.name[3:]}")
    words, kinds, number = known
    row = work.row
    if row.relkind not in kinds:
        raise SqlError(
            errcode.WRONG_OBJECT_TYPE, f'ALTER action {words} cannot be performed on relation "{row.relname}"',
            detail=not_supported_detail(row.relkind),
        )
    if command.subtype == Kind.AT_AddConstraint and command.def_.contype in (
        enums.CONSTR_PRIMARY, enums.CONSTR_UNIQUE, enums.CONSTR_EXCLUSION
    ):
        number = PASS_ADD_INDEX_CONSTRAINT
    elif command.subtype == Kind.AT_AddConstraint and command.def_.contype == enums.CONSTR_FOREIGN:
        number = PASS_OTHER_CONSTRAINT
    elif command.subtype == Kind.AT_ColumnDefault:
        number = PASS_OTHER_CONSTRAINT if command.def_ is not None else PASS_DROP
    preparer = _preparers.get(command.subtype)
    if preparer is not None:
        preparer(work, command)
    work.passes[number].append(command)


def column(work: Work, name: str, *, system_word: str | None = "alter") -> Any:
    """The pg_attribute row of a column; 42703, or 0A000 for a system column."""
    row = constraints.column_row(work.relid, name)
    if system_word is not None and row.attnum <= 0:
        raise SqlError(errcode.FEATURE_NOT_SUPPORTED, f'cannot {system_word} system column "{name}"')
    return row


def load() -> None:
    """Import the modules that carry out the commands."""
    from tusk.commands import alter_columns, alter_constraints, alter_options, alter_type

    del alter_columns, alter_constraints, alter_options, alter_type


load()
