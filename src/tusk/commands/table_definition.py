"""What CREATE TABLE and ALTER TABLE ADD say of columns and constraints, sorted and checked (parse_utilcmd.c).

Nothing is changed here. `Definition` takes the elements of a table one by one and ends up with lists of columns and
constraints by kind; sequences of serial and identity columns are planned in `sequences`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tusk.catalog import heap
from tusk.catalog.names import format_type
from tusk.commands.options import position
from tusk.errors import SqlError, errcode, feature_not_supported
from tusk.sql.analyze.state import ParseState
from tusk.sql.analyze.typenames import column_collation, type_name_oid_typmod
from tusk.sql.nodes import (
    A_Const,
    ColumnDef,
    Constraint,
    DefElem,
    FuncCall,
    String,
    TypeCast,
    TypeName,
    enums,
    make,
    replace,
)

_SERIALS = {
    "smallserial": 21, "serial2": 21, "serial": 23, "serial4": 23, "bigserial": 20, "serial8": 20,
}  # fmt: skip
INTEGER_TYPES = (21, 23, 20)


@dataclass
class OwnedSequence:
    """A sequence to be created with a column."""

    name: str
    namespace: int
    column: str
    options: list[Any]
    type_oid: int
    identity: bool


@dataclass
class PlannedColumn:
    """A column with its type resolved."""

    node: Any
    type_oid: int
    typmod: int
    collation: int
    not_null: bool = False


@dataclass
class Definition:
    """The elements of a table being defined or altered.

    ``existing`` are names of columns the table has already (ALTER TABLE), with their pg_attribute rows.
    """

    context: Any
    relname: str
    namespace: int
    persistence: str
    is_alter: bool = False
    existing: dict[str, Any] = field(default_factory=dict)
    columns: list[PlannedColumn] = field(default_factory=list)
    checks: list[Any] = field(default_factory=list)
    not_nulls: list[Any] = field(default_factory=list)
    foreign_keys: list[Any] = field(default_factory=list)
    indexes: list[Any] = field(default_factory=list)
    likes: list[Any] = field(default_factory=list)
    sequences: list[OwnedSequence] = field(default_factory=list)
    is_foreign: bool = False

    def error(self, sqlstate: str, message: str, location: int = -1, detail: str | None = None,
              hint: str | None = None) -> SqlError:
        """An error at a place of the statement."""
        return SqlError(
            sqlstate, message, detail=detail, hint=hint, position=position(self.context, location)
        )

    def state(self) -> ParseState:
        """A parse state for looking up types."""
        return ParseState(text=self.context.query_text)

    # Columns

    def add_column(self, column: Any) -> PlannedColumn:
        """A ColumnDef with its constraints (transformColumnDefinition)."""
        serial = self._serial_type(column)
        if serial:
            column = replace(
                column, typeName=TypeName(names=[], typeOid=serial, typemod=-1, location=column.typeName.location)
            )
        planned = self._resolve(column)
        constraints = attach_attributes(self, column.constraints)
        column = planned.node = replace(column, constraints=[])
        if serial:
            sequence = self._own_sequence(column, [], serial, identity=False)
            column.raw_default = nextval_call(sequence)
            constraints.append(Constraint(
                contype=enums.CONSTR_NOTNULL, is_enforced=True, initially_valid=True, keys=[], location=-1,
            ))  # fmt: skip
        _ColumnConstraints(self, planned, has_default=serial != 0).apply(constraints)
        self.columns.append(planned)
        return planned

    def _serial_type(self, column: Any) -> int:
        name = column.typeName
        if name is None or len(name.names) != 1 or name.pct_type:
            return 0
        serial = _SERIALS.get(name.names[0].sval, 0)
        if serial and name.arrayBounds:
            raise self.error(errcode.FEATURE_NOT_SUPPORTED, "array of serial is not implemented", name.location)
        return serial

    def _resolve(self, column: Any) -> PlannedColumn:
        state = self.state()
        type_name = column.typeName
        if type_name is None:
            raise self.error(errcode.INVALID_TABLE_DEFINITION, f'column "{column.colname}" has no type')
        if type_name.setof:
            raise self.error(
                errcode.INVALID_TABLE_DEFINITION, f'column "{column.colname}" cannot be declared SETOF',
                type_name.location,
            )
        type_oid, typmod = type_name_oid_typmod(state, type_name)
        return PlannedColumn(column, type_oid, typmod, column_collation(state, column, type_oid))

    def _own_sequence(self, column: Any, options: list[Any], type_oid: int, *, identity: bool) -> OwnedSequence:
        """Plan the sequence of a serial or identity column (generateSerialExtraStmts)."""
        given: list[str] | None = None
        rest = []
        persistence = ""
        for item in options:
            if item.defname == "sequence_name":
                if given is not None:
                    raise self.error(errcode.SYNTAX_ERROR, "conflicting or redundant options", item.location)
                given = [part.sval for part in item.arg]
            elif item.defname in ("logged", "unlogged"):
                persistence = item.defname
            else:
                rest.append(item)
        if persistence and self.persistence == "t":
            raise self.error(errcode.INVALID_TABLE_DEFINITION, "cannot set logged status of a temporary sequence")
        namespace = self.namespace
        if given is not None:
            name = given[-1]
            if len(given) > 1:
                from tusk.catalog.namespace import qualified_name_get_creation_namespace

                namespace, name = qualified_name_get_creation_namespace(given)
        else:
            taken = {sequence.name for sequence in self.sequences}
            name = heap.choose_relation_name(self.relname, column.colname, "seq", namespace)
            number = 0
            while name in taken:
                number += 1
                name = heap.choose_relation_name(self.relname, column.colname, f"seq{number}", namespace)
        if not any(item.defname == "as" for item in rest):
            rest.insert(0, DefElem(defname="as", arg=make.make_type_name(None, type_oid), location=-1))
        sequence = OwnedSequence(name, namespace, column.colname, rest, type_oid, identity)
        self.sequences.append(sequence)
        return sequence

    # Constraints of the table

    def add_constraint(self, constraint: Any) -> None:
        """A table constraint (transformTableConstraint)."""
        match constraint.contype:
            case enums.CONSTR_PRIMARY | enums.CONSTR_UNIQUE | enums.CONSTR_EXCLUSION:
                self.indexes.append(constraint)
            case enums.CONSTR_CHECK:
                self.checks.append(constraint)
            case enums.CONSTR_NOTNULL:
                self.not_nulls.append(constraint)
            case enums.CONSTR_FOREIGN:
                self.foreign_keys.append(constraint)
            case _:
                raise SqlError(errcode.INTERNAL_ERROR, f"unrecognized constraint type: {constraint.contype}")

    def add_elements(self, elements: list[Any]) -> None:
        """The elements of CREATE TABLE in order."""
        constraints = []
        for element in elements:
            if isinstance(element, ColumnDef):
                self.add_column(element)
            elif isinstance(element, Constraint):
                constraints.append(element)
            elif type(element).__name__ == "TableLikeClause":
                from tusk.commands.table_like import add_like_columns

                add_like_columns(self, element)
            else:
                raise feature_not_supported(f"table element {type(element).__name__}")
        for constraint in attach_attributes(self, constraints):
            self.add_constraint(constraint)

    def column(self, name: str) -> PlannedColumn | None:
        """A new column by name."""
        return next((column for column in self.columns if column.node.colname == name), None)

    def mark_not_null(self, name: str) -> None:
        """Have a new column forbid NULL if it does not yet: part of a primary key."""
        column = self.column(name)
        if column is None:
            return
        given = next((c for c in self.not_nulls if c.keys and c.keys[0].sval == name), None)
        if given is not None:
            if given.is_no_inherit:
                raise SqlError(
                    errcode.SYNTAX_ERROR,
                    f'conflicting NO INHERIT declaration for not-null constraint on column "{name}"',
                )
            return
        if not column.not_null:
            column.not_null = True
            self.not_nulls.append(not_null_constraint(name))


def not_null_constraint(column: str) -> Any:
    """A NOT NULL constraint without a name (makeNotNullConstraint)."""
    return Constraint(
        contype=enums.CONSTR_NOTNULL, keys=[String(sval=column)], is_enforced=True, initially_valid=True, location=-1
    )


def nextval_call(sequence: OwnedSequence) -> Any:
    """``nextval('schema.name'::regclass)``, raw."""
    from tusk.catalog.identifiers import quote_qualified_identifier
    from tusk.catalog.namespace import get_namespace_name

    text = quote_qualified_identifier(get_namespace_name(sequence.namespace), sequence.name)
    constant = TypeCast(
        arg=A_Const(val=String(sval=text), isnull=False, location=-1), typeName=make.system_type_name("regclass"),
        location=-1,
    )
    return FuncCall(
        funcname=[String(sval="pg_catalog"), String(sval="nextval")], args=[constant],
        funcformat=enums.COERCE_EXPLICIT_CALL, location=-1,
    )


class _ColumnConstraints:
    """Applies the constraints written with one column."""

    def __init__(self, definition: Definition, column: PlannedColumn, has_default: bool) -> None:
        self.definition = definition
        self.planned = column
        self.node = column.node
        self.name: str = column.node.colname
        self.saw_nullable = False
        self.saw_default = has_default
        self.saw_identity = False
        self.saw_generated = False
        self.need_not_null = False
        self.not_null: Any = None

    def _of(self, message: str, location: int, sqlstate: str = errcode.SYNTAX_ERROR) -> SqlError:
        return self.definition.error(
            sqlstate, f'{message} for column "{self.name}" of table "{self.definition.relname}"', location
        )

    def apply(self, constraints: list[Any]) -> None:
        """All of them, in order."""
        for constraint in constraints:
            if constraint.contype in _APPLIERS:
                _APPLIERS[constraint.contype](self, constraint)
            self._check_pairs(constraint.location)
        if self.need_not_null and not (self.saw_nullable and self.planned.not_null):
            self.planned.not_null = True
            self.definition.not_nulls.append(not_null_constraint(self.name))

    def _check_pairs(self, location: int) -> None:
        if self.saw_default and self.saw_identity:
            raise self._of("both default and identity specified", location)
        if self.saw_default and self.saw_generated:
            raise self._of("both default and generation expression specified", location)
        if self.saw_identity and self.saw_generated:
            raise self._of("both identity and generation expression specified", location)

    def null(self, constraint: Any) -> None:
        """NULL."""
        if (self.saw_nullable and self.planned.not_null) or self.need_not_null:
            raise self._of("conflicting NULL/NOT NULL declarations", constraint.location)
        self.planned.not_null = False
        self.saw_nullable = True

    def forbid_null(self, constraint: Any) -> None:
        """NOT NULL."""
        if self.saw_nullable and not self.planned.not_null:
            raise self._of("conflicting NULL/NOT NULL declarations", constraint.location)
        if not self.planned.not_null or self.not_null is None:
            self.planned.not_null = True
            self.saw_nullable = True
            self.need_not_null = False
            self.not_null = replace(constraint, keys=[String(sval=self.name)])
            self.definition.not_nulls.append(self.not_null)
        else:
            if self.not_null.conname and constraint.conname and self.not_null.conname != constraint.conname:
                raise SqlError(
                    errcode.SYNTAX_ERROR,
                    f'conflicting not-null constraint names "{self.not_null.conname}" and "{constraint.conname}"',
                )
            if self.not_null.is_no_inherit != constraint.is_no_inherit:
                raise SqlError(
                    errcode.SYNTAX_ERROR,
                    f'conflicting NO INHERIT declarations for not-null constraints on column "{self.name}"',
                )
            if not self.not_null.conname:
                self.not_null.conname = constraint.conname

    def default(self, constraint: Any) -> None:
        """DEFAULT."""
        if self.saw_default:
            raise self._of("multiple default values specified", constraint.location)
        self.node.raw_default = constraint.raw_expr
        self.saw_default = True

    def identity(self, constraint: Any) -> None:
        """GENERATED ... AS IDENTITY."""
        if self.saw_identity:
            raise self._of("multiple identity specifications", constraint.location)
        self.definition._own_sequence(self.node, list(constraint.options), self.planned.type_oid, identity=True)
        self.node.identity = constraint.generated_when
        self.saw_identity = True
        if self.saw_nullable and not self.planned.not_null:
            raise self._of("conflicting NULL/NOT NULL declarations", constraint.location)
        self.need_not_null = True

    def generated(self, constraint: Any) -> None:
        """GENERATED ALWAYS AS (expression)."""
        if self.saw_generated:
            raise self._of("multiple generation clauses specified", constraint.location)
        self.node.generated = constraint.generated_kind
        self.node.raw_default = constraint.raw_expr
        self.saw_generated = True

    def check(self, constraint: Any) -> None:
        """CHECK."""
        self.definition.checks.append(constraint)

    def primary(self, constraint: Any) -> None:
        """PRIMARY KEY."""
        if self.saw_nullable and not self.planned.not_null:
            raise self._of("conflicting NULL/NOT NULL declarations", constraint.location)
        self.need_not_null = True
        self.unique(constraint)

    def unique(self, constraint: Any) -> None:
        """UNIQUE, and the rest of PRIMARY KEY."""
        if not constraint.keys:
            constraint = replace(constraint, keys=[String(sval=self.name)])
        self.definition.indexes.append(constraint)

    def foreign(self, constraint: Any) -> None:
        """REFERENCES."""
        self.definition.foreign_keys.append(replace(constraint, fk_attrs=[String(sval=self.name)]))


_APPLIERS = {
    enums.CONSTR_NULL: _ColumnConstraints.null, enums.CONSTR_NOTNULL: _ColumnConstraints.forbid_null,
    enums.CONSTR_DEFAULT: _ColumnConstraints.default, enums.CONSTR_IDENTITY: _ColumnConstraints.identity,
    enums.CONSTR_GENERATED: _ColumnConstraints.generated, enums.CONSTR_CHECK: _ColumnConstraints.check,
    enums.CONSTR_PRIMARY: _ColumnConstraints.primary, enums.CONSTR_UNIQUE: _ColumnConstraints.unique,
    enums.CONSTR_FOREIGN: _ColumnConstraints.foreign,
}
_ATTRIBUTED = (enums.CONSTR_PRIMARY, enums.CONSTR_UNIQUE, enums.CONSTR_EXCLUSION, enums.CONSTR_FOREIGN)


def attach_attributes(definition: Definition, constraints: list[Any]) -> list[Any]:
    """Constraints with the DEFERRABLE, INITIALLY and ENFORCED clauses that follow them (transformConstraintAttrs)."""
    result: list[Any] = []
    last: Any = None
    saw_deferrable = saw_initially = saw_enforced = False

    def misplaced(clause: str, node: Any) -> SqlError:
        return definition.error(errcode.SYNTAX_ERROR, f"misplaced {clause} clause", node.location)

    def multiple(clauses: str, node: Any) -> SqlError:
        return definition.error(errcode.SYNTAX_ERROR, f"multiple {clauses} clauses not allowed", node.location)

    for node in constraints:
        kind = node.contype
        if kind in (enums.CONSTR_ATTR_DEFERRABLE, enums.CONSTR_ATTR_NOT_DEFERRABLE):
            deferrable = kind == enums.CONSTR_ATTR_DEFERRABLE
            if last is None or last.contype not in _ATTRIBUTED:
                raise misplaced("DEFERRABLE" if deferrable else "NOT DEFERRABLE", node)
            if saw_deferrable:
                raise multiple("DEFERRABLE/NOT DEFERRABLE", node)
            saw_deferrable = True
            last.deferrable = deferrable
            if not deferrable and saw_initially and last.initdeferred:
                raise definition.error(
                    errcode.SYNTAX_ERROR, "constraint declared INITIALLY DEFERRED must be DEFERRABLE", node.location
                )
        elif kind in (enums.CONSTR_ATTR_DEFERRED, enums.CONSTR_ATTR_IMMEDIATE):
            deferred = kind == enums.CONSTR_ATTR_DEFERRED
            if last is None or last.contype not in _ATTRIBUTED:
                raise misplaced("INITIALLY DEFERRED" if deferred else "INITIALLY IMMEDIATE", node)
            if saw_initially:
                raise multiple("INITIALLY IMMEDIATE/DEFERRED", node)
            saw_initially = True
            last.initdeferred = deferred
            if deferred:
                if not saw_deferrable:
                    last.deferrable = True
                elif not last.deferrable:
                    raise definition.error(
                        errcode.SYNTAX_ERROR, "constraint declared INITIALLY DEFERRED must be DEFERRABLE",
                        node.location,
                    )
        elif kind in (enums.CONSTR_ATTR_ENFORCED, enums.CONSTR_ATTR_NOT_ENFORCED):
            enforced = kind == enums.CONSTR_ATTR_ENFORCED
            if last is None or last.contype not in (enums.CONSTR_CHECK, enums.CONSTR_FOREIGN):
                raise misplaced("ENFORCED" if enforced else "NOT ENFORCED", node)
            if saw_enforced:
                raise multiple("ENFORCED/NOT ENFORCED", node)
            saw_enforced = True
            last.is_enforced = enforced
            if not enforced:
                last.skip_validation = True
                last.initially_valid = False
        else:
            last = replace(node)
            saw_deferrable = saw_initially = saw_enforced = False
            result.append(last)
    return result


def check_column_type(name: str, type_oid: int, collation: int, *, containing: tuple[int, ...] = (),
                      allow_pseudo: bool = False) -> None:
    """Raise if a column cannot have this type (CheckAttributeType)."""
    from tusk.catalog import cache as c
    from tusk.catalog.cache import lookup

    row = lookup(c.TYPEOID, type_oid)
    if row.typtype == "p":
        if not allow_pseudo:
            raise SqlError(
                errcode.INVALID_TABLE_DEFINITION, f'column "{name}" has pseudo-type {format_type(type_oid)}'
            )
    elif row.typtype == "d":
        check_column_type(name, row.typbasetype, collation, containing=containing)
    elif row.typtype == "c":
        if type_oid in containing:
            raise SqlError(
                errcode.INVALID_TABLE_DEFINITION,
                f"composite type {format_type(type_oid)} cannot be made a member of itself",
            )
        from tusk.catalog.cache import lookup_list

        for attribute in lookup_list(c.ATTNUM, row.typrelid):
            if attribute.attnum > 0 and not attribute.attisdropped:
                check_column_type(
                    attribute.attname, attribute.atttypid, attribute.attcollation, containing=(*containing, type_oid)
                )
    elif row.typelem and row.typsubscript == 6179 and row.typlen == -1:
        check_column_type(name, row.typelem, collation, containing=containing)
    if not collation and row.typcollation:
        raise SqlError(
            errcode.INVALID_TABLE_DEFINITION,
            f'no collation was derived for column "{name}" with collatable type {format_type(type_oid)}',
            hint="Use the COLLATE clause to set the collation explicitly.",
        )
