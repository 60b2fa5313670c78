"""CREATE TABLE (LIKE ...) (parse_utilcmd.c's transformTableLikeClause and expandTableLikeClause)."""

from __future__ import annotations

from typing import Any

from tusk.catalog import acl
from tusk.catalog import cache as c
from tusk.catalog import objectaddress as oa
from tusk.catalog._tuples import command_counter_increment
from tusk.catalog.cache import lookup, scan_rows
from tusk.catalog.namespace import range_var_get_relid
from tusk.commands import constraints, expressions, sequences
from tusk.commands.sequences import not_supported_detail
from tusk.errors import SqlError, errcode
from tusk.sql.nodes import ColumnDef, Constraint, IndexElem, IndexStmt, enums, make
from tusk.sql.nodes.base import mutate, replace
from tusk.sql.nodes.primitives import Var

AccessShareLock = 1
COMMENTS, COMPRESSION, CONSTRAINTS, DEFAULTS, GENERATED, IDENTITY, INDEXES, STATISTICS, STORAGE = (
    1, 2, 4, 8, 16, 32, 64, 128, 256,
)  # fmt: skip


def add_like_columns(definition: Any, clause: Any) -> None:
    """The columns of another relation, as if they were written out."""
    source = range_var_get_relid(clause.relation, AccessShareLock)
    row = lookup(c.RELOID, source)
    if row.relkind not in "rvmcfp":
        raise SqlError(
            errcode.WRONG_OBJECT_TYPE, f'relation "{row.relname}" is invalid in LIKE clause',
            detail=not_supported_detail(row.relkind),
        )
    if row.relkind == "c":
        acl.require_privilege(oa.TYPE, row.reltype, acl.ACL_USAGE)
    elif not acl.class_aclcheck(source, _user(), acl.ACL_SELECT):
        raise acl.aclcheck_error(*acl.object_noun(oa.CLASS, source))
    options = clause.options
    not_nulls = {r.conkey[0]: r for r in scan_rows("pg_constraint", conrelid=source) if r.contype == "n"}
    for attribute in constraints.user_columns(source):
        column = ColumnDef(
            colname=attribute.attname, typeName=make.make_type_name(None, attribute.atttypid, attribute.atttypmod),
            is_local=True, collOid=attribute.attcollation, location=-1,
        )
        if options & STORAGE:
            column.storage = attribute.attstorage
        if options & COMPRESSION and attribute.attcompression:
            column.compression = {"p": "pglz", "l": "lz4"}[attribute.attcompression]
        if attribute.attgenerated and options & GENERATED:
            column.generated = attribute.attgenerated
        planned = definition.add_column(column)
        if attribute.attidentity and options & IDENTITY:
            sequence = sequences.identity_sequence(source, attribute.attnum)
            definition._own_sequence(
                planned.node, sequences.sequence_options(sequence), planned.type_oid, identity=True
            )
            planned.node.identity = attribute.attidentity
        constraint = not_nulls.get(attribute.attnum)
        if constraint is not None:
            planned.not_null = True
            node = replace(
                Constraint(contype=enums.CONSTR_NOTNULL, is_enforced=True, initially_valid=True, location=-1),
                keys=constraints.string_nodes([attribute.attname]), conname=constraint.conname,
                is_no_inherit=constraint.connoinherit,
            )
            definition.not_nulls.append(node)
    definition.likes.append((source, options))


def _user() -> int:
    from tusk.catalog.session import session

    return session.current_user_id


def expand_likes(relid: int, definition: Any) -> None:
    """What LIKE copies once the new table is there: expressions, checks, indexes, comments."""
    for source, options in definition.likes:
        mapping = _column_mapping(source, relid)
        if options & (DEFAULTS | GENERATED):
            _copy_expressions(source, relid, mapping, options)
        if options & CONSTRAINTS:
            _copy_checks(source, relid, mapping, definition.context, options)
        if options & INDEXES:
            _copy_indexes(source, relid, mapping, definition.context, options)
        if options & COMMENTS:
            _copy_comments(source, relid, mapping)
        if options & STATISTICS and scan_rows("pg_statistic_ext", stxrelid=source):
            from tusk.errors import feature_not_supported

            raise feature_not_supported("LIKE INCLUDING STATISTICS")


def _column_mapping(source: int, relid: int) -> dict[int, int]:
    return {
        row.attnum: lookup(c.ATTNAME, relid, row.attname).attnum for row in constraints.user_columns(source)
    }


def map_columns(tree: Any, mapping: dict[int, int]) -> Any:
    """An expression of one table as one of another."""

    def change(node: Any) -> Any:
        if isinstance(node, Var) and node.varlevelsup == 0 and node.varattno > 0:
            number = mapping[node.varattno]
            return replace(node, varattno=number, varattnosyn=number)
        return None

    return mutate(tree, change)


def _copy_expressions(source: int, relid: int, mapping: dict[int, int], options: int) -> None:
    from tusk.catalog import heap

    for row in sorted(scan_rows("pg_attrdef", adrelid=source), key=lambda row: row.adnum):
        attribute = lookup(c.ATTNUM, source, row.adnum)
        if not options & (GENERATED if attribute.attgenerated else DEFAULTS):
            continue
        tree = map_columns(expressions.tree_of(row.adbin), mapping)
        heap.store_default(
            relid, mapping[row.adnum], expressions.tree_text(tree), expressions.references(tree, relid)
        )
        command_counter_increment()


def _copy_checks(source: int, relid: int, mapping: dict[int, int], context: Any, options: int) -> None:
    nodes = []
    for row in sorted(scan_rows("pg_constraint", conrelid=source), key=lambda row: row.conname):
        if row.contype != "c":
            continue
        tree = map_columns(expressions.tree_of(row.conbin), mapping)
        nodes.append(Constraint(
            contype=enums.CONSTR_CHECK, conname=row.conname, cooked_expr=expressions.tree_text(tree),
            is_no_inherit=row.connoinherit, is_enforced=row.conenforced, skip_validation=not row.conenforced,
            initially_valid=row.conenforced, location=-1,
        ))  # fmt: skip
    constraints.add_checks(relid, nodes, context, is_new=True)
    if options & COMMENTS:
        for node in nodes:
            _copy_constraint_comment(source, relid, node.conname or "")


def _copy_constraint_comment(source: int, relid: int, name: str) -> None:
    from tusk.commands.comments import set_comment

    old = next((r for r in scan_rows("pg_constraint", conrelid=source) if r.conname == name), None)
    new = next((r for r in scan_rows("pg_constraint", conrelid=relid) if r.conname == name), None)
    if old is None or new is None:
        return
    for row in scan_rows("pg_description", objoid=old.oid, classoid=oa.CONSTRAINT):
        set_comment(new.oid, oa.CONSTRAINT, 0, row.description)


def _copy_indexes(source: int, relid: int, mapping: dict[int, int], context: Any, options: int) -> None:
    from tusk.commands.indexes import define_index

    for row in sorted(scan_rows("pg_index", indrelid=source), key=lambda row: row.indexrelid):
        statement = index_statement_like(row, mapping)
        if options & COMMENTS:
            for found in scan_rows("pg_description", objoid=row.indexrelid, classoid=oa.CLASS, objsubid=0):
                statement.idxcomment = found.description
        define_index(relid, statement, context, is_new_table=True, expressions_cooked=True)
        command_counter_increment()


def index_statement_like(row: Any, mapping: dict[int, int]) -> Any:
    """An IndexStmt, expressions cooked, that makes an index like the one of a pg_index row."""
    index = lookup(c.RELOID, row.indexrelid)
    constraint = next(
        (
            found
            for found in scan_rows("pg_constraint", conrelid=row.indrelid)
            if found.conindid == row.indexrelid and found.contype in "pux"
        ),
        None,
    )
    statement = IndexStmt(
        accessMethod=lookup(c.AMOID, index.relam).amname, unique=row.indisunique, primary=row.indisprimary,
        nulls_not_distinct=row.indnullsnotdistinct, isconstraint=constraint is not None,
        deferrable=constraint is not None and constraint.condeferrable,
        initdeferred=constraint is not None and constraint.condeferred, transformed=True,
        options=[_option(text) for text in index.reloptions or ()],
    )
    if index.reltablespace:
        statement.tableSpace = lookup(c.TABLESPACEOID, index.reltablespace).spcname
    pending = list(expressions.tree_of(row.indexprs)) if row.indexprs is not None else []
    for i, attnum in enumerate(row.indkey):
        element = IndexElem()
        if attnum:
            element.name = lookup(c.ATTNUM, row.indrelid, attnum).attname
            natural = lookup(c.ATTNUM, row.indrelid, attnum)
            natural_type, natural_collation = natural.atttypid, natural.attcollation
        else:
            from tusk.sql.nodes.nodefuncs import expr_collation, expr_type

            tree = map_columns(pending.pop(0), mapping)
            element.expr = tree
            element.indexcolname = lookup(c.ATTNUM, row.indexrelid, i + 1).attname
            natural_type, natural_collation = expr_type(tree), expr_collation(tree)
        if i < row.indnkeyatts:
            option = row.indoption[i]
            if option & 1:
                element.ordering = enums.SORTBY_DESC
                if not option & 2:
                    element.nulls_ordering = enums.SORTBY_NULLS_LAST
            elif option & 2:
                element.nulls_ordering = enums.SORTBY_NULLS_FIRST
            collation = row.indcollation[i]
            if collation and collation != natural_collation:
                found = lookup(c.COLLOID, collation)
                element.collation = constraints.string_nodes([_namespace(found.collnamespace), found.collname])
            opclass = lookup(c.CLAOID, row.indclass[i])
            from tusk.sql.analyze.lookup import default_opclass

            if default_opclass(natural_type, index.relam) != opclass.oid:
                element.opclass = constraints.string_nodes([_namespace(opclass.opcnamespace), opclass.opcname])
            statement.indexParams.append(element)
        else:
            statement.indexIncludingParams.append(element)
    if row.indpred is not None:
        statement.whereClause = map_columns(expressions.tree_of(row.indpred), mapping)
    return statement


def _namespace(oid: int) -> str:
    name: str = lookup(c.NAMESPACEOID, oid).nspname
    return name


def _option(text: str) -> Any:
    from tusk.sql.nodes import DefElem, String

    name, _, value = text.partition("=")
    return DefElem(defname=name, arg=String(sval=value), location=-1)


def _copy_comments(source: int, relid: int, mapping: dict[int, int]) -> None:
    from tusk.commands.comments import set_comment

    for row in scan_rows("pg_description", objoid=source, classoid=oa.CLASS):
        if row.objsubid in mapping:
            set_comment(relid, oa.CLASS, mapping[row.objsubid], row.description)
