"""Foreign keys: the built-in triggers RI_FKey_* (utils/adt/ri_triggers.c).

Checks and actions are ordinary queries, planned once per constraint and run with the owner's rights in mind: the
table's owner must be allowed to look at the other table, not the user who changes a row.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tusk.catalog._relcache import relation_by_oid
from tusk.catalog.cache import CONSTROID, NAMESPACEOID, OPEROID, TYPEOID, lookup
from tusk.errors import SqlError, errcode
from tusk.sql.execute import _tuples as tuples
from tusk.sql.execute import key_description
from tusk.sql.execute.triggers import TRIGGER_DELETE, TRIGGER_UPDATE, Event, trigger_function
from tusk.types._kernel_datum import type_of

Values = list[Any]
Runner = Callable[[str, list[int], Values, bool], int]
_run_query: Runner | None = None


def set_query_runner(runner: Runner) -> None:
    """runner(text, parameter types, values, latest_snapshot) runs one statement and returns rows processed; the text is
    the same for the same constraint, so that it can keep the plan."""
    global _run_query
    _run_query = runner


def quote(name: str) -> str:
    """An identifier in double quotes."""
    return '"' + name.replace('"', '""') + '"'


class ForeignKey:
    """One pg_constraint row of a foreign key, with the texts of its queries."""

    def __init__(self, row: Any) -> None:
        self.row = row
        self.name = row.conname
        self.fk, self.pk = relation_by_oid(row.conrelid), relation_by_oid(row.confrelid)
        self.fk_columns, self.pk_columns = list(row.conkey), list(row.confkey)
        self.fk_types = [self.fk.desc.attribute(n)["atttypid"] for n in self.fk_columns]
        self.pk_types = [self.pk.desc.attribute(n)["atttypid"] for n in self.pk_columns]

    def table(self, relation: Any) -> str:
        """A qualified table name."""
        return f"{quote(lookup(NAMESPACEOID, relation.namespace).nspname)}.{quote(relation.name)}"

    def column(self, relation: Any, attnum: int) -> str:
        """A column name."""
        return quote(relation.desc.names[attnum - 1])

    def operator(self, oid: int, left: str, left_type: int, right: str, right_type: int) -> str:
        """``left op right`` with casts to the operator's own types."""
        op = lookup(OPEROID, oid)
        schema = quote(lookup(NAMESPACEOID, op.oprnamespace).nspname)
        left = cast(left, left_type, op.oprleft)
        right = cast(right, right_type, op.oprright)
        return f"{left} OPERATOR({schema}.{op.oprname}) {right}"

    def pk_match(self) -> str:
        """Condition on the referenced table, the referencing values being parameters."""
        return " AND ".join(
            self.operator(op, "x." + self.column(self.pk, pk), pk_type, f"${i + 1}", fk_type)
            for i, (op, pk, pk_type, fk_type) in enumerate(
                zip(self.row.conpfeqop, self.pk_columns, self.pk_types, self.fk_types, strict=True)
            )
        )

    def fk_match(self) -> str:
        """Condition on the referencing table, the referenced values being parameters."""
        return " AND ".join(
            self.operator(op, f"${i + 1}", pk_type, "x." + self.column(self.fk, fk), fk_type)
            for i, (op, fk, pk_type, fk_type) in enumerate(
                zip(self.row.conpfeqop, self.fk_columns, self.pk_types, self.fk_types, strict=True)
            )
        )

    def equal(self, left: Values, right: Values, types: list[int]) -> bool:
        """Whether key values are the same."""
        return all(
            (a is None and b is None) or (a is not None and b is not None and same(a, b, oid))
            for a, b, oid in zip(left, right, types, strict=True)
        )


def same(a: Any, b: Any, type_oid: int) -> bool:
    """Equality of two values of a key."""
    if type_of(type_oid).base == 1042:
        return bool(a.rstrip(" ") == b.rstrip(" "))
    return bool(a == b)


def cast(text: str, from_type: int, to_type: int) -> str:
    """An operand as the type the operator wants."""
    if from_type == to_type:
        return text
    row = lookup(TYPEOID, to_type)
    if row.typtype == "p":
        return text
    schema = quote(lookup(NAMESPACEOID, row.typnamespace).nspname)
    return f"({text})::{schema}.{quote(row.typname)}"


def foreign_key(event: Event) -> ForeignKey:
    """The constraint a trigger belongs to."""
    row = lookup(CONSTROID, event.trigger.tgconstraint)
    if row is None:
        raise SqlError(
            errcode.INTERNAL_ERROR, f"no pg_constraint entry for trigger \"{event.trigger.tgname}\""
        )
    return ForeignKey(row)


def run(text: str, types: list[int], values: Values, latest: bool = False) -> int:
    """Run one of the queries."""
    assert _run_query is not None, "no query runner"
    return _run_query(text, types, values, latest)


@trigger_function("RI_FKey_check_ins")
@trigger_function("RI_FKey_check_upd")
def check(event: Event, estate: Any) -> None:
    """A row that refers: the row referred to must exist, and is locked so that it stays."""
    key = foreign_key(event)
    assert event.new is not None
    # A row that is gone already, or changed again, has its own event or none.
    row = tuples.fetch_if_current(key.fk, event.new)
    if row is None:
        return
    values = [row[n - 1] for n in key.fk_columns]
    if all(value is None for value in values):
        return
    if None in values:
        if key.row.confmatchtype == "f":
            raise SqlError(
                errcode.FOREIGN_KEY_VIOLATION,
                f'insert or update on table "{key.fk.name}" violates foreign key constraint "{key.name}"',
                detail="MATCH FULL does not allow mixing of null and nonnull key values.",
                **fields(key, key.fk),
            )
        return
    if event.kind == TRIGGER_UPDATE and event.old is not None:
        old = tuples.fetch(key.fk, event.old)
        # The old row was checked, unless it is this transaction's own.
        if not old.inserted_here and key.equal([old[n - 1] for n in key.fk_columns], values, key.fk_types):
            return
    text = f"SELECT 1 FROM ONLY {key.table(key.pk)} x WHERE {key.pk_match()} FOR KEY SHARE OF x"
    if not run(text, key.fk_types, values):
        raise missing(key, values)


def fields(key: ForeignKey, relation: Any) -> dict[str, Any]:
    """Error fields."""
    return {
        "schema": lookup(NAMESPACEOID, relation.namespace).nspname,
        "table": relation.name,
        "constraint": key.name,
    }


def shown(relation: Any, columns: list[int], types: list[int], values: Values) -> str:
    """``(a)=(1)``."""
    return key_description.key_text(
        [relation.desc.names[n - 1] for n in columns],
        [key_description.text_of(v, t) for v, t in zip(values, types, strict=True)],
    )


def missing(key: ForeignKey, values: Values) -> SqlError:
    """23503 on the referencing side."""
    return SqlError(
        errcode.FOREIGN_KEY_VIOLATION,
        f'insert or update on table "{key.fk.name}" violates foreign key constraint "{key.name}"',
        detail=f"Key {shown(key.fk, key.fk_columns, key.fk_types, values)} is not present in table "
        f'"{key.pk.name}".',
        **fields(key, key.fk),
    )


def still_referenced(key: ForeignKey, values: Values, restrict: bool) -> SqlError:
    """23503 (23001 for RESTRICT) on the referenced side."""
    what = "RESTRICT setting of foreign key constraint" if restrict else "foreign key constraint"
    verb = "is referenced" if restrict else "is still referenced"
    return SqlError(
        errcode.RESTRICT_VIOLATION if restrict else errcode.FOREIGN_KEY_VIOLATION,
        f'update or delete on table "{key.pk.name}" violates {what} "{key.name}" on table "{key.fk.name}"',
        detail=f"Key {shown(key.pk, key.pk_columns, key.pk_types, values)} {verb} from table \"{key.fk.name}\".",
        **fields(key, key.fk),
    )


def old_key(event: Event, key: ForeignKey) -> tuple[Values, Values | None] | None:
    """Key values of the referenced row before and after; None when nobody can refer to it."""
    assert event.old is not None
    old = tuples.fetch(key.pk, event.old)
    values = [old[n - 1] for n in key.pk_columns]
    if None in values:
        return None
    if event.kind == TRIGGER_DELETE:
        return values, None
    assert event.new is not None
    new = tuples.fetch(key.pk, event.new)
    after = [new[n - 1] for n in key.pk_columns]
    return None if key.equal(values, after, key.pk_types) else (values, after)


def refuse(event: Event, restrict: bool) -> None:
    """NO ACTION and RESTRICT: nobody may refer to the row any more."""
    key = foreign_key(event)
    found = old_key(event, key)
    if found is None:
        return
    values, _ = found
    if not restrict:
        # Another row may have taken the key over by now.
        probe = " AND ".join(
            f"x.{key.column(key.pk, n)} = ${i + 1}" for i, n in enumerate(key.pk_columns)
        )
        text = f"SELECT 1 FROM ONLY {key.table(key.pk)} x WHERE {probe} FOR KEY SHARE OF x"
        if run(text, key.pk_types, values, latest=True):
            return
    text = f"SELECT 1 FROM ONLY {key.table(key.fk)} x WHERE {key.fk_match()} FOR KEY SHARE OF x"
    if run(text, key.pk_types, values, latest=True):
        raise still_referenced(key, values, restrict)


@trigger_function("RI_FKey_noaction_del")
@trigger_function("RI_FKey_noaction_upd")
def no_action(event: Event, estate: Any) -> None:
    """NO ACTION."""
    refuse(event, False)


@trigger_function("RI_FKey_restrict_del")
@trigger_function("RI_FKey_restrict_upd")
def restrict(event: Event, estate: Any) -> None:
    """RESTRICT."""
    refuse(event, True)


@trigger_function("RI_FKey_cascade_del")
def cascade_delete(event: Event, estate: Any) -> None:
    """ON DELETE CASCADE."""
    key = foreign_key(event)
    found = old_key(event, key)
    if found is not None:
        run(f"DELETE FROM ONLY {key.table(key.fk)} x WHERE {key.fk_match()}", key.pk_types, found[0], latest=True)


@trigger_function("RI_FKey_cascade_upd")
def cascade_update(event: Event, estate: Any) -> None:
    """ON UPDATE CASCADE."""
    key = foreign_key(event)
    found = old_key(event, key)
    if found is None:
        return
    values, after = found
    assert after is not None
    n = len(values)
    assignments = ", ".join(
        f"{key.column(key.fk, c)} = ${n + i + 1}" for i, c in enumerate(key.fk_columns)
    )
    text = f"UPDATE ONLY {key.table(key.fk)} x SET {assignments} WHERE {key.fk_match()}"
    run(text, key.pk_types * 2, values + after, latest=True)


def set_columns(event: Event, value: str, columns: Any) -> None:
    """SET NULL and SET DEFAULT."""
    key = foreign_key(event)
    found = old_key(event, key)
    if found is None:
        return
    chosen = list(columns) if columns else key.fk_columns
    assignments = ", ".join(f"{key.column(key.fk, c)} = {value}" for c in chosen)
    text = f"UPDATE ONLY {key.table(key.fk)} x SET {assignments} WHERE {key.fk_match()}"
    run(text, key.pk_types, found[0], latest=True)
    if value == "DEFAULT":
        # The defaults may refer to the row that goes away.
        refuse(event, False)


@trigger_function("RI_FKey_setnull_del")
def set_null_delete(event: Event, estate: Any) -> None:
    """ON DELETE SET NULL."""
    set_columns(event, "NULL", foreign_key(event).row.confdelsetcols)


@trigger_function("RI_FKey_setnull_upd")
def set_null_update(event: Event, estate: Any) -> None:
    """ON UPDATE SET NULL."""
    set_columns(event, "NULL", None)


@trigger_function("RI_FKey_setdefault_del")
def set_default_delete(event: Event, estate: Any) -> None:
    """ON DELETE SET DEFAULT."""
    set_columns(event, "DEFAULT", foreign_key(event).row.confdelsetcols)


@trigger_function("RI_FKey_setdefault_upd")
def set_default_update(event: Event, estate: Any) -> None:
    """ON UPDATE SET DEFAULT."""
    set_columns(event, "DEFAULT", None)


@trigger_function("unique_key_recheck")
def unique_key_recheck(event: Event, estate: Any) -> None:
    """A deferrable unique constraint: the row must be alone with its key now."""
    relation = relation_by_oid(event.relation)
    assert event.new is not None
    tuples.recheck_unique(relation, event.index or event.trigger.tgconstrindid, event.new)
