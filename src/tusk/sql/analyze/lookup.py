"""Questions to the catalog caches that the analyzer, rewriter and planner ask all the time (lsyscache)."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from tusk.catalog.cache import (
    AMOPOPID,
    AMOPSTRATEGY,
    CASTSOURCETARGET,
    CLAAMNAMENSP,
    CLAOID,
    COLLOID,
    NAMESPACEOID,
    OPEROID,
    OPFAMILYOID,
    PROCOID,
    RANGEMULTIRANGE,
    RANGETYPE,
    RELOID,
    TYPEOID,
    lookup,
    lookup_list,
)
from tusk.catalog.names import format_type
from tusk.catalog.oids import (
    ANYARRAYOID,
    ANYCOMPATIBLEARRAYOID,
    ANYCOMPATIBLEMULTIRANGEOID,
    ANYCOMPATIBLENONARRAYOID,
    ANYCOMPATIBLEOID,
    ANYCOMPATIBLERANGEOID,
    ANYELEMENTOID,
    ANYENUMOID,
    ANYMULTIRANGEOID,
    ANYNONARRAYOID,
    ANYRANGEOID,
)
from tusk.errors import SqlError, errcode

BTREE_AM, HASH_AM, GIST_AM = 403, 405, 783
ARRAY_SUBSCRIPT_HANDLER = 6179
RAW_ARRAY_SUBSCRIPT_HANDLER = 6180
DEFAULT_COLLATION = 100
UNKNOWNOID, TEXTOID, RECORDOID, INT2VECTOROID, OIDVECTOROID, BPCHAROID = 705, 25, 2249, 22, 30, 1042
COMPARE_LT, COMPARE_LE, COMPARE_EQ, COMPARE_GE, COMPARE_GT, COMPARE_NE = 1, 2, 3, 4, 5, 6

POLYMORPHIC_FAMILY_1 = frozenset(
    (ANYELEMENTOID, ANYARRAYOID, ANYNONARRAYOID, ANYENUMOID, ANYRANGEOID, ANYMULTIRANGEOID)
)
POLYMORPHIC_FAMILY_2 = frozenset(
    (
        ANYCOMPATIBLEOID,
        ANYCOMPATIBLEARRAYOID,
        ANYCOMPATIBLENONARRAYOID,
        ANYCOMPATIBLERANGEOID,
        ANYCOMPATIBLEMULTIRANGEOID,
    )
)
POLYMORPHIC = POLYMORPHIC_FAMILY_1 | POLYMORPHIC_FAMILY_2


def type_row(type_oid: int) -> Any:
    """The pg_type row; XX000 when there is none."""
    row = lookup(TYPEOID, type_oid)
    if row is None:
        raise SqlError(errcode.INTERNAL_ERROR, f"cache lookup failed for type {type_oid}")
    return row


def proc_row(function: int) -> Any:
    """The pg_proc row; XX000 when there is none."""
    row = lookup(PROCOID, function)
    if row is None:
        raise SqlError(errcode.INTERNAL_ERROR, f"cache lookup failed for function {function}")
    return row


def oper_row(operator: int) -> Any:
    """The pg_operator row; XX000 when there is none."""
    row = lookup(OPEROID, operator)
    if row is None:
        raise SqlError(errcode.INTERNAL_ERROR, f"cache lookup failed for operator {operator}")
    return row


def base_type(type_oid: int) -> int:
    """The type below any domains (getBaseType)."""
    return base_type_and_typmod(type_oid, -1)[0]


def base_type_and_typmod(type_oid: int, typmod: int) -> tuple[int, int]:
    """The type below any domains, and its typmod (getBaseTypeAndTypmod)."""
    while True:
        row = lookup(TYPEOID, type_oid)
        if row is None or row.typtype != "d":
            return type_oid, typmod
        type_oid, typmod = row.typbasetype, row.typtypmod


def is_true_array(row: Any) -> bool:
    """Whether a pg_type row is of a varlena array type (IsTrueArrayType)."""
    return bool(row.typelem != 0 and row.typsubscript == ARRAY_SUBSCRIPT_HANDLER)


def element_type(type_oid: int) -> int:
    """The element type of a true array type, else 0 (get_element_type)."""
    row = lookup(TYPEOID, type_oid)
    return row.typelem if row is not None and is_true_array(row) else 0


def base_element_type(type_oid: int) -> int:
    """The element type of an array or a domain over one, else 0 (get_base_element_type)."""
    return element_type(base_type(type_oid))


def array_type(type_oid: int) -> int:
    """The array type over a type, or 0 (get_array_type)."""
    row = lookup(TYPEOID, type_oid)
    return 0 if row is None else row.typarray


def promoted_array_type(type_oid: int) -> int:
    """The array type over a scalar; an array type itself; else 0 (get_promoted_array_type)."""
    return array_type(type_oid) or (type_oid if element_type(type_oid) else 0)


def type_category(type_oid: int) -> str:
    """The category of a type (TypeCategory)."""
    return type_row(type_oid).typcategory  # type: ignore[no-any-return]


def is_preferred(category: str, type_oid: int) -> bool:
    """Whether a type is a preferred one of its category; any category if "" (IsPreferredType)."""
    row = type_row(type_oid)
    return row.typispreferred and (category in (row.typcategory, ""))


def is_enum(type_oid: int) -> bool:
    """Whether it is an enum."""
    return type_row(type_oid).typtype == "e"  # type: ignore[no-any-return]


def is_range(type_oid: int) -> bool:
    """Whether it is a range type."""
    return type_row(type_oid).typtype == "r"  # type: ignore[no-any-return]


def is_multirange(type_oid: int) -> bool:
    """Whether it is a multirange type."""
    return type_row(type_oid).typtype == "m"  # type: ignore[no-any-return]


def is_composite(type_oid: int) -> bool:
    """record, a composite type, or a domain over one (ISCOMPLEX / type_is_rowtype)."""
    if type_oid == RECORDOID:
        return True
    row = type_row(type_oid)
    if row.typtype == "c":
        return True
    return row.typtype == "d" and base_type_class(type_oid) == "c"


def base_type_class(type_oid: int) -> str:
    """typtype below domains."""
    return type_row(base_type(type_oid)).typtype  # type: ignore[no-any-return]


def type_relid(type_oid: int) -> int:
    """The relation of a composite type, 0 for others (typeidTypeRelid)."""
    return type_row(type_oid).typrelid  # type: ignore[no-any-return]


def type_or_domain_relid(type_oid: int) -> int:
    """As `type_relid`, looking through domains (typeOrDomainTypeRelid)."""
    return type_relid(base_type(type_oid))


def type_collation(type_oid: int) -> int:
    """The collation of a type; 0 if it is not collatable (get_typcollation)."""
    row = lookup(TYPEOID, type_oid)
    return 0 if row is None else row.typcollation


def range_row(type_oid: int) -> Any:
    """The pg_range row of a range type, or None."""
    return lookup(RANGETYPE, type_oid)


def range_subtype(type_oid: int) -> int:
    """The subtype of a range type, or 0."""
    row = lookup(RANGETYPE, type_oid)
    return 0 if row is None else row.rngsubtype


def range_multirange(type_oid: int) -> int:
    """The multirange type of a range type, or 0."""
    row = lookup(RANGETYPE, type_oid)
    return 0 if row is None else row.rngmultitypid


def multirange_range(type_oid: int) -> int:
    """The range type of a multirange type, or 0."""
    row = lookup(RANGEMULTIRANGE, type_oid)
    return 0 if row is None else row.rngtypid


def cast_row(source: int, target: int) -> Any:
    """The pg_cast row, or None."""
    return lookup(CASTSOURCETARGET, source, target)


def opcode(operator: int) -> int:
    """The function of an operator (get_opcode)."""
    row = lookup(OPEROID, operator)
    return 0 if row is None else row.oprcode


def commutator(operator: int) -> int:
    """The commutator, or 0."""
    row = lookup(OPEROID, operator)
    return 0 if row is None else row.oprcom


def negator(operator: int) -> int:
    """The negator, or 0."""
    row = lookup(OPEROID, operator)
    return 0 if row is None else row.oprnegate


def func_is_strict(function: int) -> bool:
    """Whether a NULL argument makes the result NULL."""
    return proc_row(function).proisstrict  # type: ignore[no-any-return]


def func_volatility(function: int) -> str:
    """``i``, ``s`` or ``v``."""
    return proc_row(function).provolatile  # type: ignore[no-any-return]


def binary_coercible(source: int, target: int) -> bool:
    """Whether a value of one type can be used as the other without conversion (IsBinaryCoercible)."""
    if source == target or target in (2276, 2283, 5077):  # any, anyelement, anycompatible
        return True
    if source != 0:
        source = base_type(source)
    if source == target:
        return True
    if target in (ANYARRAYOID, ANYCOMPATIBLEARRAYOID) and element_type(source):
        return True
    if target in (ANYNONARRAYOID, ANYCOMPATIBLENONARRAYOID) and not element_type(source):
        return True
    if target == ANYENUMOID and is_enum(source):
        return True
    if target in (ANYRANGEOID, ANYCOMPATIBLERANGEOID) and is_range(source):
        return True
    if target in (ANYMULTIRANGEOID, ANYCOMPATIBLEMULTIRANGEOID) and is_multirange(source):
        return True
    if target == RECORDOID and is_composite(source):
        return True
    if target == 2287 and element_type(source) and is_composite(element_type(source)):  # record[]
        return True
    row = lookup(CASTSOURCETARGET, source, target)
    return row is not None and row.castmethod == "b" and row.castcontext == "i"


def default_opclass(type_oid: int, method: int) -> int:
    """The default operator class of a type for an index method, or 0 (GetDefaultOpClass)."""
    type_oid = base_type(type_oid)
    category = type_category(type_oid)
    exact: list[int] = []
    preferred: list[int] = []
    compatible: list[int] = []
    for row in lookup_list(CLAAMNAMENSP, method):
        if not row.opcdefault:
            continue
        if row.opcintype == type_oid:
            exact.append(row.oid)
        elif binary_coercible(type_oid, row.opcintype):
            (preferred if is_preferred(category, row.opcintype) else compatible).append(row.oid)
    if len(exact) == 1:
        return exact[0]
    if exact:
        raise SqlError(
            errcode.DUPLICATE_OBJECT,
            f"there are multiple default operator classes for data type {format_type(type_oid)}",
        )
    if len(preferred) == 1:
        return preferred[0]
    return compatible[0] if not preferred and len(compatible) == 1 else 0


def opclass_row(opclass: int) -> Any:
    """The pg_opclass row."""
    return lookup(CLAOID, opclass)


def opfamily_row(family: int) -> Any:
    """The pg_opfamily row."""
    return lookup(OPFAMILYOID, family)


def opfamily_member(family: int, left: int, right: int, strategy: int) -> int:
    """The operator of a strategy for two types, or 0 (get_opfamily_member)."""
    row = lookup(AMOPSTRATEGY, family, left, right, strategy)
    return 0 if row is None else row.amopopr


class TypeOperators:
    """The sort, equality and hash operators of a type, as from its default operator classes; 0 for none."""

    __slots__ = ("btree_family", "btree_intype", "eq", "gt", "hash_family", "hash_intype", "hashable", "lt")

    def __init__(self) -> None:
        self.lt = self.eq = self.gt = 0
        self.hashable = False
        self.btree_family = self.btree_intype = self.hash_family = self.hash_intype = 0


@lru_cache(maxsize=512)
def _operators(type_oid: int, _row: int) -> TypeOperators:
    found = TypeOperators()
    opclass = lookup(CLAOID, default_opclass(type_oid, BTREE_AM))
    if opclass is not None:
        family, intype = opclass.opcfamily, opclass.opcintype
        found.btree_family, found.btree_intype = family, intype
        found.lt = opfamily_member(family, intype, intype, 1)
        found.eq = opfamily_member(family, intype, intype, 3)
        found.gt = opfamily_member(family, intype, intype, 5)
    hashclass = lookup(CLAOID, default_opclass(type_oid, HASH_AM))
    if hashclass is not None:
        found.hash_family, found.hash_intype = hashclass.opcfamily, hashclass.opcintype
        found.eq = found.eq or opfamily_member(hashclass.opcfamily, hashclass.opcintype, hashclass.opcintype, 1)
    _restrict_containers(type_oid, found)
    return found


def _restrict_containers(type_oid: int, found: TypeOperators) -> None:
    """Arrays, rows and ranges have generic operators: they work only if the elements' do."""
    parts: list[int] = []
    row = type_row(base_type(type_oid))
    is_record = type_oid == RECORDOID
    if is_true_array(row):
        parts = [row.typelem]
    elif row.typtype == "c":
        from tusk.sql.analyze.relations import relation_info

        parts = [a.atttypid for a in relation_info(row.typrelid).attributes if not a.attisdropped]
    elif row.typtype == "r":
        parts = [range_subtype(row.oid)]
    elif row.typtype == "m":
        parts = [range_subtype(multirange_range(row.oid))]
    if is_record or row.oid in (2287, 2277):
        found.hashable = False
        return
    operators = [type_operators(part) for part in parts]
    if row.typtype not in ("r", "m"):
        if not all(part.eq for part in operators):
            found.eq = 0
        if not all(part.lt and part.gt for part in operators):
            found.lt = found.gt = 0
    found.hashable = bool(found.eq) and bool(found.hash_family) and all(part.hashable for part in operators)


def type_operators(type_oid: int) -> TypeOperators:
    """Default operators of a type (lookup_type_cache)."""
    row = type_row(type_oid)
    return _operators(type_oid, id(row) if type_oid >= 16384 else 0)


def forget_type_operators() -> None:
    """Drop what was cached; called when pg_type, pg_opclass or pg_amop change."""
    _operators.cache_clear()


def op_hashjoinable(operator: int, left_type: int) -> bool:
    """Whether hashing may be used for an equality operator (op_hashjoinable)."""
    row = oper_row(operator)
    if operator == 1070 or operator == 2988:  # array_eq, record_eq
        return type_operators(left_type).hashable
    return row.oprcanhash  # type: ignore[no-any-return]


def equality_op_for_ordering_op(operator: int) -> tuple[int, bool]:
    """(equality operator, whether the ordering is descending) of a btree ordering operator; (0, False) if none."""
    for row in lookup_list(AMOPOPID, operator):
        if row.amopmethod == BTREE_AM and row.amopstrategy in (1, 5):
            equality = opfamily_member(row.amopfamily, row.amoplefttype, row.amoprighttype, 3)
            if equality:
                return equality, row.amopstrategy == 5
    return 0, False


def ordering_op_properties(operator: int) -> tuple[int, int, int] | None:
    """(opfamily, input type, strategy) of a btree ordering operator (get_ordering_op_properties)."""
    for row in lookup_list(AMOPOPID, operator):
        if row.amopmethod == BTREE_AM and row.amopstrategy in (1, 5) and row.amoplefttype == row.amoprighttype:
            return row.amopfamily, row.amoplefttype, row.amopstrategy
    return None


def op_index_interpretations(operator: int) -> list[tuple[int, int, int, int]]:
    """[(opfamily, comparison, left type, right type)] a btree gives the operator (get_op_index_interpretation)."""
    found = [
        (row.amopfamily, row.amopstrategy, row.amoplefttype, row.amoprighttype)
        for row in lookup_list(AMOPOPID, operator)
        if row.amopmethod == BTREE_AM and row.amoppurpose == "s"
    ]
    if not found and negator(operator):
        found = [
            (row.amopfamily, COMPARE_NE, row.amoplefttype, row.amoprighttype)
            for row in lookup_list(AMOPOPID, negator(operator))
            if row.amopmethod == BTREE_AM and row.amopstrategy == 3
        ]
    return found


def namespace_name(namespace: int) -> str:
    """The name of a schema; "" when it is gone."""
    row = lookup(NAMESPACEOID, namespace)
    return "" if row is None else row.nspname


def relation_name(relation: int) -> str | None:
    """The name of a relation (get_rel_name)."""
    row = lookup(RELOID, relation)
    return None if row is None else row.relname


def collation_name(collation: int) -> str:
    """The unqualified name of a collation (get_collation_name)."""
    row = lookup(COLLOID, collation)
    return "" if row is None else row.collname
