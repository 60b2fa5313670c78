"""CREATE and ALTER SEQUENCE, and nextval, currval, setval, lastval (commands/sequence.c).

A session remembers for each sequence the values it has drawn in advance (CACHE) and the last one it gave out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tusk.access import _sequence
from tusk.catalog import acl, heap, inval
from tusk.catalog import cache as c
from tusk.catalog import dependency as dep
from tusk.catalog import objectaddress as oa
from tusk.catalog._relcache import note_new_file, relation_close, relation_open
from tusk.catalog._tuples import (
    command_counter_increment,
    current_sub_transaction_id,
    insert_row,
    new_relfilenumber,
    update_row,
)
from tusk.catalog.cache import lookup
from tusk.catalog.namespace import (
    deconstruct_qualified_name,
    get_relname_relid,
    range_var_adjust_persistence,
    range_var_get_creation_namespace,
    range_var_get_relid,
)
from tusk.catalog.objectaddress import ObjectAddress
from tusk.catalog.rows import PgSequence
from tusk.catalog.session import session
from tusk.commands.options import boolean_of, conflicting, integer_of, names_of
from tusk.commands.utility import UtilityContext, utility
from tusk.errors import Severity, SqlError, errcode, report
from tusk.sql.analyze.typenames import type_name_oid
from tusk.sql.nodes import make
from tusk.transaction import _pending, _xact, xact

AccessShareLock, RowExclusiveLock, ShareRowExclusiveLock, AccessExclusiveLock = 1, 3, 6, 8
_TYPE_RANGES = {21: (-(2**15), 2**15 - 1), 23: (-(2**31), 2**31 - 1), 20: (-(2**63), 2**63 - 1)}
_TYPE_NAMES = {21: "smallint", 23: "integer", 20: "bigint"}


@dataclass
class Parameters:
    """What is kept of a sequence in pg_sequence, and where it shall go on."""

    type_oid: int
    start: int
    increment: int
    maximum: int
    minimum: int
    cache: int
    cycle: bool
    last_value: int
    is_called: bool
    owned_by: list[str] | None = None
    must_rewrite: bool = False


def _invalid(message: str) -> SqlError:
    return SqlError(errcode.INVALID_PARAMETER_VALUE, message)


def read_parameters(
    options: Sequence[Any], *, for_identity: bool, is_init: bool, old: Parameters | None = None
) -> Parameters:
    """Parameters from options, and from what was for ALTER SEQUENCE (init_params)."""
    given: dict[str, Any] = {}
    for item in options:
        if item.defname in given:
            raise conflicting(item)
        given[item.defname] = item
    known = {"as", "increment", "start", "restart", "maxvalue", "minvalue", "cache", "cycle", "owned_by"}
    for name in given:
        if name == "sequence_name":
            raise SqlError(errcode.SYNTAX_ERROR, "invalid sequence option SEQUENCE NAME")
        if name not in known:
            raise SqlError(errcode.INTERNAL_ERROR, f'option "{name}" not recognized')
    reset_max = reset_min = False
    type_oid = 20 if old is None else old.type_oid
    if "as" in given:
        new_type = type_name_oid(None, given["as"].arg)
        if new_type not in _TYPE_RANGES:
            what = "identity column type" if for_identity else "sequence type"
            raise _invalid(f"{what} must be smallint, integer, or bigint")
        if old is not None:
            # A bound that was the old type's own moves to the new type's.
            reset_max = old.maximum == _TYPE_RANGES[type_oid][1]
            reset_min = old.minimum == _TYPE_RANGES[type_oid][0]
        type_oid = new_type
    type_low, type_high = _TYPE_RANGES[type_oid]
    increment = 1 if old is None else old.increment
    if "increment" in given:
        increment = integer_of(given["increment"])
        if increment == 0:
            raise _invalid("INCREMENT must not be zero")
    cycle = False if old is None else old.cycle
    if "cycle" in given:
        cycle = boolean_of(given["cycle"])
    maximum = _bound(given.get("maxvalue"), old.maximum if old and not reset_max else None,
                     type_high if increment > 0 or reset_max else -1)
    if not type_low <= maximum <= type_high:
        raise _invalid(f"MAXVALUE ({maximum}) is out of range for sequence data type {_TYPE_NAMES[type_oid]}")
    minimum = _bound(given.get("minvalue"), old.minimum if old and not reset_min else None,
                     type_low if increment < 0 or reset_min else 1)
    if not type_low <= minimum <= type_high:
        raise _invalid(f"MINVALUE ({minimum}) is out of range for sequence data type {_TYPE_NAMES[type_oid]}")
    if minimum >= maximum:
        raise _invalid(f"MINVALUE ({minimum}) must be less than MAXVALUE ({maximum})")
    if "start" in given:
        start = integer_of(given["start"])
    else:
        start = old.start if old is not None else (minimum if increment > 0 else maximum)
    if start < minimum:
        raise _invalid(f"START value ({start}) cannot be less than MINVALUE ({minimum})")
    if start > maximum:
        raise _invalid(f"START value ({start}) cannot be greater than MAXVALUE ({maximum})")
    last_value, is_called = (start, False) if is_init or old is None else (old.last_value, old.is_called)
    if "restart" in given:
        last_value = integer_of(given["restart"]) if given["restart"].arg is not None else start
        is_called = False
    if last_value < minimum:
        raise _invalid(f"RESTART value ({last_value}) cannot be less than MINVALUE ({minimum})")
    if last_value > maximum:
        raise _invalid(f"RESTART value ({last_value}) cannot be greater than MAXVALUE ({maximum})")
    cache = 1 if old is None else old.cache
    if "cache" in given:
        cache = integer_of(given["cache"])
        if cache <= 0:
            raise _invalid(f"CACHE ({cache}) must be greater than zero")
    owned_by = names_of(given["owned_by"]) if "owned_by" in given else None
    return Parameters(type_oid, start, increment, maximum, minimum, cache, cycle, last_value, is_called, owned_by)


def _bound(item: Any, old: int | None, default: int) -> int:
    if item is not None and item.arg is not None:
        return integer_of(item)
    if item is not None or old is None:
        return default
    return old


def define_sequence(
    name: str, namespace: int, options: Sequence[Any], *, persistence: str = "p", owner: int | None = None,
    for_identity: bool = False,
) -> int:
    """Create a sequence; returns its OID (DefineSequence)."""
    parameters = read_parameters(options, for_identity=for_identity, is_init=True)
    columns = [
        heap.Column("last_value", 20, not_null=True), heap.Column("log_cnt", 20, not_null=True),
        heap.Column("is_called", 16, not_null=True),
    ]  # fmt: skip
    relid = heap.create_relation(name, namespace, columns, relkind="S", persistence=persistence, owner=owner)
    rel = relation_open(relid, AccessExclusiveLock)
    try:
        _sequence.create(rel, parameters.last_value, parameters.is_called)
    finally:
        relation_close(rel, 0)
    insert_row(PgSequence(
        seqrelid=relid, seqtypid=parameters.type_oid, seqstart=parameters.start, seqincrement=parameters.increment,
        seqmax=parameters.maximum, seqmin=parameters.minimum, seqcache=parameters.cache, seqcycle=parameters.cycle,
    ))  # fmt: skip
    command_counter_increment()
    if parameters.owned_by is not None:
        set_owned_by(relid, parameters.owned_by, for_identity=for_identity)
    return relid


def set_owned_by(sequence: int, names: list[str], *, for_identity: bool = False) -> None:
    """OWNED BY table.column, or NONE (process_owned_by)."""
    kind = dep.INTERNAL if for_identity else dep.AUTO
    table = 0
    attnum = 0
    if len(names) == 1:
        if names[0] != "none":
            raise SqlError(
                errcode.SYNTAX_ERROR, "invalid OWNED BY option",
                hint="Specify OWNED BY table.column or OWNED BY NONE.",
            )
    else:
        schema, relname = deconstruct_qualified_name(names[:-1])
        table = range_var_get_relid(make.make_range_var(schema, relname), AccessShareLock)
        row = lookup(c.RELOID, table)
        if row.relkind not in "rfvp":
            raise SqlError(
                errcode.WRONG_OBJECT_TYPE, f'sequence cannot be owned by relation "{row.relname}"',
                detail=not_supported_detail(row.relkind),
            )
        own = lookup(c.RELOID, sequence)
        if row.relowner != own.relowner:
            raise SqlError(
                errcode.OBJECT_NOT_IN_PREREQUISITE_STATE, "sequence must have same owner as table it is linked to"
            )
        if row.relnamespace != own.relnamespace:
            raise SqlError(
                errcode.OBJECT_NOT_IN_PREREQUISITE_STATE, "sequence must be in same schema as table it is linked to"
            )
        attribute = lookup(c.ATTNAME, table, names[-1])
        if attribute is None or attribute.attisdropped or attribute.attnum <= 0:
            raise SqlError(
                errcode.UNDEFINED_COLUMN, f'column "{names[-1]}" of relation "{row.relname}" does not exist'
            )
        attnum = attribute.attnum
    if kind == dep.AUTO and (owner := dep.sequence_owner(sequence, dep.INTERNAL)) is not None:
        sequence_row, owner_row = lookup(c.RELOID, sequence), lookup(c.RELOID, owner[0])
        raise SqlError(
            errcode.FEATURE_NOT_SUPPORTED, "cannot change ownership of identity sequence",
            detail=f'Sequence "{sequence_row.relname}" is linked to table "{owner_row.relname}".',
        )
    dep.delete_dependencies_of_kind(oa.CLASS, sequence, oa.CLASS, kind)
    if table:
        dep.record_dependency(ObjectAddress(oa.CLASS, sequence), ObjectAddress(oa.CLASS, table, attnum), kind)
    command_counter_increment()


def not_supported_detail(relkind: str) -> str:
    """``This operation is not supported for views.`` (errdetail_relkind_not_supported)."""
    words = {
        "r": "tables", "i": "indexes", "S": "sequences", "t": "TOAST tables", "v": "views",
        "m": "materialized views", "c": "composite types", "f": "foreign tables", "p": "partitioned tables",
        "I": "partitioned indexes",
    }  # fmt: skip
    return f"This operation is not supported for {words[relkind]}."


@utility("CreateSeqStmt")
def create_sequence(statement: Any, _context: UtilityContext) -> None:
    """CREATE SEQUENCE."""
    relation = statement.sequence
    namespace = range_var_get_creation_namespace(relation)
    acl.require_privilege(oa.NAMESPACE, namespace, acl.ACL_CREATE)
    persistence = range_var_adjust_persistence(relation, namespace)
    if statement.if_not_exists and get_relname_relid(relation.relname, namespace):
        report(Severity.NOTICE, f'relation "{relation.relname}" already exists, skipping',
               sqlstate=errcode.DUPLICATE_TABLE)
        return
    define_sequence(relation.relname, namespace, statement.options, persistence=persistence)


def parameters_of(sequence: int) -> Parameters:
    """The parameters and the state of a sequence."""
    row = lookup(c.SEQRELID, sequence)
    rel = relation_open(sequence, 0)
    try:
        last_value, _, is_called = _sequence.read(rel)
    finally:
        relation_close(rel, 0)
    return Parameters(
        row.seqtypid, row.seqstart, row.seqincrement, row.seqmax, row.seqmin, row.seqcache, row.seqcycle, last_value,
        is_called,
    )  # fmt: skip


@utility("AlterSeqStmt")
def alter_sequence_statement(statement: Any, _context: UtilityContext) -> None:
    """ALTER SEQUENCE."""
    sequence = range_var_get_relid(
        statement.sequence, ShareRowExclusiveLock, missing_ok=statement.missing_ok, callback=_require_owned_sequence
    )
    if not sequence:
        report(Severity.NOTICE, f'relation "{statement.sequence.relname}" does not exist, skipping')
        return
    alter_sequence(sequence, statement.options, for_identity=statement.for_identity)


def _require_owned_sequence(relation: Any, oid: int, _old: int) -> None:
    if oid:
        if lookup(c.RELOID, oid).relkind != "S":
            raise SqlError(errcode.WRONG_OBJECT_TYPE, f'"{relation.relname}" is not a sequence')
        acl.require_owner(oa.CLASS, oid)


def alter_sequence(sequence: int, options: Sequence[Any], *, for_identity: bool = False) -> None:
    """Change a sequence's parameters (AlterSequence)."""
    old = parameters_of(sequence)
    new = read_parameters(options, for_identity=for_identity, is_init=False, old=old)
    if any(item.defname != "owned_by" for item in options):
        state_changes = (old.last_value, old.is_called) != (new.last_value, new.is_called)
        if state_changes or any(item.defname in ("as", "increment", "maxvalue", "minvalue", "restart", "cycle", "cache")
                                for item in options):
            # A new file, so that the change can be rolled back.
            rewrite_sequence(sequence, new.last_value, new.is_called)
    row = lookup(c.SEQRELID, sequence)
    update_row(
        row.copy(seqtypid=new.type_oid, seqstart=new.start, seqincrement=new.increment, seqmax=new.maximum,
                 seqmin=new.minimum, seqcache=new.cache, seqcycle=new.cycle),
        row,
    )  # fmt: skip
    command_counter_increment()
    if new.owned_by is not None:
        set_owned_by(sequence, new.owned_by, for_identity=for_identity)
    _forget(sequence)


def rewrite_sequence(sequence: int, last_value: int, is_called: bool, persistence: str | None = None) -> None:
    """Give a sequence a new file with this state."""
    row = lookup(c.RELOID, sequence)
    rel = relation_open(sequence, 0)
    old_locator, backend = rel.locator, rel.rd_backend
    relation_close(rel, 0)
    wanted = persistence or row.relpersistence
    number = new_relfilenumber(row.reltablespace, wanted)
    changed = row.copy(relfilenode=number, relpersistence=wanted)
    update_row(changed, row)
    _pending.create_storage(heap.locator_of(changed), wanted)
    if wanted == "u":
        _pending.create_fork(heap.locator_of(changed), 3, True)
    _pending.drop_storage(old_locator, backend)
    inval.invalidate_relcache(sequence)
    note_new_file(sequence, current_sub_transaction_id())
    command_counter_increment()
    rel = relation_open(sequence, 0)
    try:
        _sequence.create(rel, last_value, is_called)
    finally:
        relation_close(rel, 0)
    _forget(sequence)


def reset_sequence(sequence: int) -> None:
    """Back to the start value: TRUNCATE ... RESTART IDENTITY (ResetSequence)."""
    rewrite_sequence(sequence, lookup(c.SEQRELID, sequence).seqstart, False)


# Values

@dataclass
class _Drawn:
    """What this session knows of a sequence."""

    relfilenode: int
    increment: int
    last: int = 0
    cached: int = 0
    last_valid: bool = False
    lock_transaction: int = 0


_drawn: dict[int, _Drawn] = {}
_last_used = 0


def _forget(sequence: int) -> None:
    known = _drawn.get(sequence)
    if known is not None:
        known.cached = known.last


def discard_sequences() -> None:
    """DISCARD SEQUENCES: forget what was drawn (ResetSequenceCaches)."""
    global _last_used
    _drawn.clear()
    _last_used = 0


def _open(sequence: int, lockmode: int = RowExclusiveLock) -> tuple[Any, _Drawn]:
    """The open sequence, locked until the end of the transaction once per transaction, and what is known of it."""
    known = _drawn.get(sequence)
    lxid = _xact.local_transaction_number()
    if known is None or known.lock_transaction != lxid:
        rel = relation_open(sequence, lockmode)
        if rel.form.relkind != "S":
            relation_close(rel, lockmode)
            raise SqlError(errcode.WRONG_OBJECT_TYPE, f'"{rel.name}" is not a sequence')
    else:
        rel = relation_open(sequence, 0)
    number = rel.form.relfilenode
    if known is None:
        known = _drawn[sequence] = _Drawn(number, 1)
    elif known.relfilenode != number:
        # The file is another one than before: drawn values belong to the old one.
        known.relfilenode = number
        known.cached = known.last
    known.lock_transaction = lxid
    return rel, known


def _require(sequence: int, privileges: int) -> None:
    if not acl.object_aclcheck(oa.CLASS, sequence, session.current_user_id, privileges):
        raise SqlError(
            errcode.INSUFFICIENT_PRIVILEGE, f"permission denied for sequence {lookup(c.RELOID, sequence).relname}"
        )


def nextval(sequence: int, check_permissions: bool = True) -> int:
    """Draw the next value (nextval_internal)."""
    global _last_used
    rel, known = _open(sequence)
    try:
        if check_permissions:
            _require(sequence, acl.ACL_USAGE | acl.ACL_UPDATE)
        if rel.persistence != "t":
            xact.prevent_command_if_read_only("nextval()")
        xact.prevent_command_during_recovery("nextval()")
        if known.last != known.cached:
            known.last += known.increment
            _last_used = sequence
            return known.last
        row = lookup(c.SEQRELID, sequence)
        value, until = _sequence.nextval(
            rel, row.seqincrement, row.seqmin, row.seqmax, row.seqcache, row.seqcycle
        )
        known.increment = row.seqincrement
        known.last, known.cached, known.last_valid = value, until, True
        _last_used = sequence
        return int(value)
    finally:
        relation_close(rel, 0)


def currval(sequence: int) -> int:
    """The value this session drew last from a sequence (currval_oid)."""
    rel, known = _open(sequence, AccessShareLock)
    try:
        _require(sequence, acl.ACL_SELECT | acl.ACL_USAGE)
        if not known.last_valid:
            raise SqlError(
                errcode.OBJECT_NOT_IN_PREREQUISITE_STATE,
                f'currval of sequence "{rel.name}" is not yet defined in this session',
            )
        return known.last
    finally:
        relation_close(rel, 0)


def lastval() -> int:
    """The value this session drew last from any sequence."""
    if not _last_used or lookup(c.RELOID, _last_used) is None:
        raise SqlError(errcode.OBJECT_NOT_IN_PREREQUISITE_STATE, "lastval is not yet defined in this session")
    _require(_last_used, acl.ACL_SELECT | acl.ACL_USAGE)
    return _drawn[_last_used].last


def setval(sequence: int, value: int, is_called: bool = True) -> int:
    """Set a sequence (do_setval)."""
    rel, known = _open(sequence)
    try:
        _require(sequence, acl.ACL_UPDATE)
        if rel.persistence != "t":
            xact.prevent_command_if_read_only("setval()")
        xact.prevent_command_during_recovery("setval()")
        row = lookup(c.SEQRELID, sequence)
        if not row.seqmin <= value <= row.seqmax:
            raise SqlError(
                errcode.NUMERIC_VALUE_OUT_OF_RANGE,
                f'setval: value {value} is out of bounds for sequence "{rel.name}" ({row.seqmin}..{row.seqmax})',
            )
        if is_called:
            known.last = value
            known.last_valid = True
        known.cached = known.last
        _sequence.setval(rel, value, is_called)
        return value
    finally:
        relation_close(rel, 0)


def owned_sequence(relation: int, attnum: int) -> int:
    """The one sequence of an identity or serial column, 0 if there is none; identity first."""
    found = dep.sequences_owned_by(relation, attnum, dep.INTERNAL) or dep.sequences_owned_by(relation, attnum)
    return found[0] if found else 0


def identity_sequence(relation: int, attnum: int) -> int:
    """The sequence of an identity column (getIdentitySequence)."""
    found = dep.sequences_owned_by(relation, attnum, dep.INTERNAL)
    if not found:
        raise SqlError(errcode.INTERNAL_ERROR, "no owned sequence found")
    return found[0]


def sequence_options(sequence: int) -> list[Any]:
    """The parameters of a sequence as options that make one like it (sequence_options)."""
    from tusk.sql.nodes import Boolean, DefElem, Float

    row = lookup(c.SEQRELID, sequence)

    def number(name: str, value: int) -> Any:
        return DefElem(defname=name, arg=Float(fval=str(value)), location=-1)

    return [
        DefElem(defname="as", arg=make.make_type_name(None, row.seqtypid), location=-1),
        number("cache", row.seqcache), DefElem(defname="cycle", arg=Boolean(boolval=row.seqcycle), location=-1),
        number("increment", row.seqincrement), number("maxvalue", row.seqmax), number("minvalue", row.seqmin),
        number("start", row.seqstart),
    ]  # fmt: skip

