"""CREATE INDEX (indexcmds.c)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tusk.catalog import acl, heap, inval
from tusk.catalog import cache as c
from tusk.catalog import dependency as dep
from tusk.catalog import index as catalog_index
from tusk.catalog import objectaddress as oa
from tusk.catalog._tuples import command_counter_increment, insert_row, new_oid, update_row
from tusk.catalog.cache import lookup
from tusk.catalog.names import format_type
from tusk.catalog.namespace import (
    get_collation_oid,
    get_opclass_oid,
    get_relname_relid,
    is_other_temp_namespace,
    range_var_get_relid,
)
from tusk.catalog.objectaddress import ObjectAddress
from tusk.catalog.rows import PgTrigger
from tusk.commands import expressions
from tusk.commands.options import storage_parameters
from tusk.commands.sequences import not_supported_detail
from tusk.commands.utility import UtilityContext, utility
from tusk.errors import Severity, SqlError, errcode, feature_not_supported, report
from tusk.sql.analyze import lookup as lk
from tusk.sql.analyze.clauses import transform_where
from tusk.sql.analyze.collate import assign_expr_collations
from tusk.sql.analyze.colnames import figure_index_colname
from tusk.sql.analyze.expressions import transform_expr
from tusk.sql.analyze.state import ExprKind
from tusk.sql.nodes import enums, nodefuncs
from tusk.sql.nodes.primitives import Var
from tusk.stats import progress

ShareLock = 5
BTREE = 403
_UNIQUE_KEY_RECHECK, _ROW_INSERT_UPDATE = 1250, 21
INDOPTION_DESC, INDOPTION_NULLS_FIRST = 1, 2
_METHOD_LETTERS = {"btree": "b", "hash": "h", "gist": "g", "spgist": "s", "gin": "i", "brin": "r"}


@dataclass
class _Columns:
    """The columns of an index as the catalogs take them."""

    keys: list[int] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    opclasses: list[int] = field(default_factory=list)
    collations: list[int] = field(default_factory=list)
    options: list[int] = field(default_factory=list)
    expressions: list[Any] = field(default_factory=list)
    expression_columns: list[tuple[int, int, int, str]] = field(default_factory=list)


@utility("IndexStmt")
def create_index(statement: Any, context: UtilityContext) -> None:
    """CREATE INDEX."""
    if statement.concurrent:
        raise feature_not_supported("CREATE INDEX CONCURRENTLY")
    relid = range_var_get_relid(statement.relation, ShareLock, callback=require_owned_relation)
    define_index(relid, statement, context)


def require_owned_relation(relation: Any, oid: int, _old: int) -> None:
    """Before a lock: 42501 unless the user owns the relation, and never a system catalog."""
    if not oid:
        return
    acl.require_owner(oa.CLASS, oid)
    refuse_system_catalog(oid)
    del relation


def refuse_system_catalog(oid: int) -> None:
    """42501 for a system catalog, unless allow_system_table_mods is on."""
    from tusk.config import settings

    row = lookup(c.RELOID, oid)
    if not settings.allow_system_table_mods and (oid < 12000 or row.relnamespace == 99):
        raise SqlError(errcode.INSUFFICIENT_PRIVILEGE, f'permission denied: "{row.relname}" is a system catalog')


def define_index(
    relid: int, statement: Any, context: Any, *, is_new_table: bool = False, skip_build: bool = False,
    expressions_cooked: bool = False,
) -> int:
    """Create an index from an IndexStmt; returns its OID, 0 where IF NOT EXISTS found one (DefineIndex)."""
    progress.start_command(progress.COMMAND_CREATE_INDEX, relid)
    progress.update_param(progress.CreateIndex.COMMAND, progress.CreateIndexCommand.CREATE)
    oid = _define_index(
        relid, statement, context, is_new_table=is_new_table, skip_build=skip_build,
        expressions_cooked=expressions_cooked,
    )
    progress.end_command()
    return oid


def _define_index(
    relid: int, statement: Any, context: Any, *, is_new_table: bool, skip_build: bool, expressions_cooked: bool
) -> int:
    table = lookup(c.RELOID, relid)
    if table.relkind not in "rm":
        if table.relkind == "p":
            raise feature_not_supported("indexes of partitioned tables")
        raise SqlError(
            errcode.WRONG_OBJECT_TYPE, f'cannot create index on relation "{table.relname}"',
            detail=not_supported_detail(table.relkind),
        )
    if is_other_temp_namespace(table.relnamespace):
        raise SqlError(
            errcode.FEATURE_NOT_SUPPORTED, "cannot create indexes on temporary tables of other sessions"
        )
    if not is_new_table:
        acl.require_privilege(oa.NAMESPACE, table.relnamespace, acl.ACL_CREATE)
    nkeys = len(statement.indexParams)
    if statement.excludeOpNames:
        raise feature_not_supported("exclusion constraints")
    if nkeys + len(statement.indexIncludingParams) > catalog_index.INDEX_MAX_KEYS:
        raise SqlError(
            errcode.TOO_MANY_COLUMNS, f"cannot use more than {catalog_index.INDEX_MAX_KEYS} columns in an index"
        )
    method = _method(statement.accessMethod or "btree", statement, nkeys)
    progress.update_param(progress.CreateIndex.ACCESS_METHOD_OID, method)
    columns = _columns(relid, statement, context, method, expressions_cooked)
    predicate = _predicate(relid, statement, context, expressions_cooked)
    name = statement.idxname or choose_index_name(
        table.relname, table.relnamespace, columns.names, primary=statement.primary,
        is_constraint=statement.isconstraint,
    )
    if statement.if_not_exists and get_relname_relid(name, table.relnamespace):
        report(Severity.NOTICE, f'relation "{name}" already exists, skipping', sqlstate=errcode.DUPLICATE_TABLE)
        return 0
    from tusk.commands.tables import chosen_tablespace

    references = []
    for tree in [*columns.expressions, predicate]:
        if tree is not None:
            references += expressions.references(tree, relid)
    constraint = ("p" if statement.primary else "u") if statement.isconstraint else None
    oid, _ = catalog_index.create_index(
        relid, name, columns.keys, opclasses=columns.opclasses, collations=columns.collations,
        options_by_column=columns.options, nkeys=nkeys, column_names=columns.names, access_method=method,
        tablespace=chosen_tablespace(statement.tableSpace, table.relpersistence),
        reloptions=storage_parameters(statement.options, _METHOD_LETTERS.get(statement.accessMethod or "btree", "b")),
        expressions=expressions.tree_text(columns.expressions) if columns.expressions else None,
        expression_columns=columns.expression_columns,
        predicate=expressions.tree_text(predicate) if predicate is not None else None, references=references,
        unique=statement.unique, primary=statement.primary, nulls_not_distinct=statement.nulls_not_distinct,
        constraint=constraint, deferrable=statement.deferrable, deferred=statement.initdeferred,
        skip_build=skip_build,
    )  # fmt: skip
    if constraint is not None and statement.deferrable:
        _add_recheck_trigger(relid, oid, statement)
    if statement.idxcomment and not statement.isconstraint:
        from tusk.commands.comments import set_comment

        set_comment(oid, oa.CLASS, 0, statement.idxcomment)
    return oid


def _add_recheck_trigger(relid: int, index: int, statement: Any) -> None:
    """The trigger by which a deferrable constraint looks at possible duplicates again (index_constraint_create)."""
    constraint = dep.constraint_of_index(index)
    oid = new_oid("pg_trigger")
    word = "PK" if statement.primary else "Unique"
    insert_row(PgTrigger(
        oid=oid, tgrelid=relid, tgparentid=0, tgname=f"{word}_ConstraintTrigger_{oid}", tgfoid=_UNIQUE_KEY_RECHECK,
        tgtype=_ROW_INSERT_UPDATE, tgenabled="O", tgisinternal=True, tgconstrrelid=0, tgconstrindid=index,
        tgconstraint=constraint, tgdeferrable=True, tginitdeferred=statement.initdeferred, tgnargs=0, tgattr=(),
        tgargs=b"", tgqual=None, tgoldtable=None, tgnewtable=None,
    ))  # fmt: skip
    row = lookup(c.RELOID, relid)
    if not row.relhastriggers:
        update_row(row.copy(relhastriggers=True), row)
    else:
        inval.invalidate_relcache(relid)
    dep.record_dependency(ObjectAddress(oa.TRIGGER, oid), ObjectAddress(oa.CONSTRAINT, constraint), dep.INTERNAL)
    command_counter_increment()


def _method(name: str, statement: Any, nkeys: int) -> int:
    row = lookup(c.AMNAME, name)
    if row is None and name == "rtree":
        report(Severity.NOTICE, 'substituting access method "gist" for obsolete method "rtree"')
        row = lookup(c.AMNAME, "gist")
    if row is None or row.amtype != "i":
        raise SqlError(errcode.UNDEFINED_OBJECT, f'access method "{name}" does not exist')
    if statement.unique and name != "btree":
        raise SqlError(
            errcode.FEATURE_NOT_SUPPORTED, f'access method "{name}" does not support unique indexes'
        )
    if statement.indexIncludingParams and name not in ("btree", "gist", "spgist"):
        raise SqlError(
            errcode.FEATURE_NOT_SUPPORTED, f'access method "{name}" does not support included columns'
        )
    if nkeys > 1 and name in ("hash", "spgist"):
        raise SqlError(
            errcode.FEATURE_NOT_SUPPORTED, f'access method "{name}" does not support multicolumn indexes'
        )
    if row.oid != BTREE:
        raise feature_not_supported(f"index access method {row.amname}")
    oid: int = row.oid
    return oid


def _predicate(relid: int, statement: Any, context: Any, cooked: bool) -> Any:
    if statement.whereClause is None:
        return None
    if cooked:
        return statement.whereClause
    pstate = expressions.state_for(relid, context.query_text)
    tree = transform_where(pstate, statement.whereClause, ExprKind.INDEX_PREDICATE, "WHERE")
    assign_expr_collations(pstate, tree)
    if expressions.contains_mutable_functions(tree):
        raise SqlError(
            errcode.INVALID_OBJECT_DEFINITION, "functions in index predicate must be marked IMMUTABLE"
        )
    return tree


def _columns(relid: int, statement: Any, context: Any, method: int, cooked: bool) -> _Columns:
    """Resolve the columns of an index (ComputeIndexAttrs, ChooseIndexColumnNames)."""
    result = _Columns()
    pstate = None
    nkeys = len(statement.indexParams)
    for i, element in enumerate([*statement.indexParams, *statement.indexIncludingParams]):
        is_key = i < nkeys
        label = element.indexcolname
        if element.name is not None:
            type_oid, typmod, collation, attnum = _table_column(relid, statement, element.name)
            label = label or element.name
            if not is_key:
                _check_included(element)
        else:
            if not is_key:
                raise SqlError(
                    errcode.FEATURE_NOT_SUPPORTED, "expressions are not supported in included columns"
                )
            tree = element.expr
            if not cooked:
                if pstate is None:
                    pstate = expressions.state_for(relid, context.query_text)
                label = label or figure_index_colname(tree)
                tree = transform_expr(pstate, tree, ExprKind.INDEX_EXPRESSION)
                assign_expr_collations(pstate, tree)
            attnum = 0
            if isinstance(tree, Var) and tree.varattno != 0 and tree.varlevelsup == 0:
                # (column) is that column.
                attnum = tree.varattno
            elif not cooked and expressions.contains_mutable_functions(tree):
                raise SqlError(
                    errcode.INVALID_OBJECT_DEFINITION, "functions in index expression must be marked IMMUTABLE"
                )
            type_oid, typmod = nodefuncs.expr_type(tree), nodefuncs.expr_typmod(tree)
            collation = nodefuncs.expr_collation(tree)
            label = label or "expr"
        name = _distinct_name(label, result.names)
        result.names.append(name)
        result.keys.append(attnum)
        if element.name is None and attnum == 0:
            result.expressions.append(tree)
            result.expression_columns.append((type_oid, typmod, collation, name))
        if not is_key:
            continue
        collation = _key_collation(element, type_oid, collation)
        result.collations.append(collation)
        result.opclasses.append(resolve_opclass(
            [part.sval for part in element.opclass], type_oid, statement.accessMethod or "btree", method
        ))  # fmt: skip
        option = 0
        if element.ordering == enums.SORTBY_DESC:
            option |= INDOPTION_DESC
        if element.nulls_ordering == enums.SORTBY_NULLS_DEFAULT:
            if element.ordering == enums.SORTBY_DESC:
                option |= INDOPTION_NULLS_FIRST
        elif element.nulls_ordering == enums.SORTBY_NULLS_FIRST:
            option |= INDOPTION_NULLS_FIRST
        if element.opclassopts:
            raise feature_not_supported("operator class parameters")
        result.options.append(option)
    return result


def _table_column(relid: int, statement: Any, name: str) -> tuple[int, int, int, int]:
    row = lookup(c.ATTNAME, relid, name)
    if row is None or row.attisdropped:
        if statement.isconstraint:
            raise SqlError(errcode.UNDEFINED_COLUMN, f'column "{name}" named in key does not exist')
        raise SqlError(errcode.UNDEFINED_COLUMN, f'column "{name}" does not exist')
    if row.attnum < 0:
        raise SqlError(errcode.FEATURE_NOT_SUPPORTED, "index creation on system columns is not supported")
    if row.attgenerated == "v":
        raise SqlError(
            errcode.FEATURE_NOT_SUPPORTED,
            "unique constraints on virtual generated columns are not supported" if statement.isconstraint
            else "indexes on virtual generated columns are not supported",
        )
    return row.atttypid, row.atttypmod, row.attcollation, row.attnum


def _check_included(element: Any) -> None:
    for given, what in (
        (element.collation, "a collation"), (element.opclass, "an operator class"),
        (element.ordering != enums.SORTBY_DEFAULT, "ASC/DESC options"),
        (element.nulls_ordering != enums.SORTBY_NULLS_DEFAULT, "NULLS FIRST/LAST options"),
    ):
        if given:
            raise SqlError(
                errcode.INVALID_OBJECT_DEFINITION, f"including column does not support {what}"
            )


def _key_collation(element: Any, type_oid: int, collation: int) -> int:
    if element.collation:
        collation = get_collation_oid([part.sval for part in element.collation])
    if lk.type_collation(type_oid):
        if not collation:
            raise SqlError(
                errcode.INDETERMINATE_COLLATION, "could not determine which collation to use for index expression",
                hint="Use the COLLATE clause to set the collation explicitly.",
            )
        return collation
    if element.collation:
        raise SqlError(errcode.DATATYPE_MISMATCH, f"collations are not supported by type {format_type(type_oid)}")
    return 0


def resolve_opclass(names: Sequence[str], type_oid: int, method_name: str, method: int) -> int:
    """The operator class of a key column (ResolveOpClass)."""
    if not names:
        oid = lk.default_opclass(type_oid, method)
        if not oid:
            raise SqlError(
                errcode.UNDEFINED_OBJECT,
                f'data type {format_type(type_oid)} has no default operator class for access method "{method_name}"',
                hint="You must specify an operator class for the index or define a default operator class for the "
                "data type.",
            )
        return oid
    oid = get_opclass_oid(method, names)
    row = lookup(c.CLAOID, oid)
    if not lk.binary_coercible(type_oid, row.opcintype):
        raise SqlError(
            errcode.DATATYPE_MISMATCH,
            f'operator class "{".".join(names)}" does not accept data type {format_type(type_oid)}',
        )
    return oid


def _distinct_name(name: str, taken: Sequence[str]) -> str:
    """A column name no other column of the index has."""
    candidate = name
    number = 0
    while candidate in taken:
        number += 1
        tail = str(number)
        candidate = name.encode()[: 63 - len(tail)].decode(errors="ignore") + tail
    return candidate


def choose_index_name(
    table: str, namespace: int, columns: Sequence[str], *, primary: bool, is_constraint: bool
) -> str:
    """``table_pkey``, ``table_column_key`` or ``table_column_idx`` (ChooseIndexName)."""
    if primary:
        return heap.choose_relation_name(table, None, "pkey", namespace, True)
    addition = name_addition(columns)
    if is_constraint:
        return heap.choose_relation_name(table, addition, "key", namespace, True)
    return heap.choose_relation_name(table, addition, "idx", namespace, False)


def name_addition(columns: Sequence[str]) -> str:
    """Column names joined, no longer than a name may be (ChooseIndexNameAddition)."""
    text = ""
    for name in columns:
        text = f"{text}_{name}" if text else name
        if len(text.encode()) >= 64:
            break
    return text

