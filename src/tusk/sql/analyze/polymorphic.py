"""Polymorphic types: whether actual argument types fit the declared ones, and what the declared ones then mean.

Two families: the ``any*`` types of one call stand for one element type exactly; the ``anycompatible*`` types for a
common type that all arguments can be converted to.
"""

from __future__ import annotations

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
    TEXTOID,
    UNKNOWNOID,
)
from tusk.errors import SqlError, errcode
from tusk.sql.analyze import lookup as lk

_ELEMENTS = (ANYELEMENTOID, ANYNONARRAYOID, ANYENUMOID)
_NAMES = {
    ANYELEMENTOID: "anyelement",
    ANYARRAYOID: "anyarray",
    ANYRANGEOID: "anyrange",
    ANYMULTIRANGEOID: "anymultirange",
    ANYCOMPATIBLEARRAYOID: "anycompatiblearray",
    ANYCOMPATIBLERANGEOID: "anycompatiblerange",
    ANYCOMPATIBLEMULTIRANGEOID: "anycompatiblemultirange",
}
TEXTARRAYOID = 1009


def _mismatch(message: str, detail: str | None = None) -> SqlError:
    return SqlError(errcode.DATATYPE_MISMATCH, message, detail=detail)


def _not_alike(kind: int, first: int, second: int) -> SqlError:
    return _mismatch(
        f'arguments declared "{_NAMES[kind]}" are not all alike',
        f"{format_type(first)} versus {format_type(second)}",
    )


def _inconsistent(one: int, other: int, first: int, second: int) -> SqlError:
    return _mismatch(
        f"argument declared {_NAMES[one]} is not consistent with argument declared {_NAMES[other]}",
        f"{format_type(first)} versus {format_type(second)}",
    )


def _is_not(kind: int, what: str, actual: int) -> SqlError:
    return _mismatch(f"argument declared {_NAMES[kind]} is not {what} but type {format_type(actual)}")


def _no_array(element: int) -> SqlError:
    return SqlError(errcode.UNDEFINED_OBJECT, f"could not find array type for data type {format_type(element)}")


def _undetermined(kind: str) -> SqlError:
    return _mismatch(f"could not determine polymorphic type {kind} because input has type unknown")


def _is_array_domain(type_oid: int) -> bool:
    return lk.base_element_type(type_oid) != 0


class _Family1:
    """anyelement, anyarray, anynonarray, anyenum, anyrange, anymultirange."""

    def __init__(self) -> None:
        self.count = 0
        self.unknowns = False
        self.nonarray = self.enum = self.multirange_wanted = False
        self.element = self.array = self.range = self.multirange = 0

    def take(self, declared: int, actual: int, allow_poly: bool) -> None:
        self.count += 1
        if declared == ANYNONARRAYOID:
            self.nonarray = True
        elif declared == ANYENUMOID:
            self.enum = True
        elif declared == ANYMULTIRANGEOID:
            self.multirange_wanted = True
        if actual == UNKNOWNOID:
            self.unknowns = True
            return
        if allow_poly and actual == declared:
            return
        if declared in _ELEMENTS:
            if self.element and self.element != actual:
                raise _not_alike(ANYELEMENTOID, self.element, actual)
            self.element = actual
            return
        actual = lk.base_type(actual)
        field = {ANYARRAYOID: "array", ANYRANGEOID: "range", ANYMULTIRANGEOID: "multirange"}[declared]
        known = getattr(self, field)
        if known and known != actual:
            raise _not_alike(declared, known, actual)
        setattr(self, field, actual)

    def solve(self, rettype: int, allow_poly: bool) -> None:
        if self.array:
            if self.array == ANYARRAYOID:
                # Statistics views pass columns declared anyarray: nothing can be said of their elements.
                if self.count != 1 or (rettype != ANYARRAYOID and rettype in lk.POLYMORPHIC_FAMILY_1):
                    raise _mismatch('cannot determine element type of "anyarray" argument')
                element = ANYELEMENTOID
            else:
                element = lk.element_type(self.array)
                if not element:
                    raise _is_not(ANYARRAYOID, "an array", self.array)
            if not self.element:
                self.element = element
            elif element != self.element:
                raise _inconsistent(ANYARRAYOID, ANYELEMENTOID, self.array, self.element)
        if self.multirange:
            of_range = lk.multirange_range(self.multirange)
            if not of_range:
                raise _is_not(ANYMULTIRANGEOID, "a multirange type", self.multirange)
            if not self.range:
                self.range = of_range
            elif of_range != self.range:
                raise _inconsistent(ANYMULTIRANGEOID, ANYRANGEOID, self.multirange, self.range)
        elif self.multirange_wanted and self.range:
            self.multirange = lk.range_multirange(self.range)
        if self.range:
            subtype = lk.range_subtype(self.range)
            if not subtype:
                raise _is_not(ANYRANGEOID, "a range type", self.range)
            if not self.element:
                self.element = subtype
            elif subtype != self.element:
                raise _inconsistent(ANYRANGEOID, ANYELEMENTOID, self.range, self.element)
        if not self.element:
            if not allow_poly:
                raise _mismatch("could not determine polymorphic type because input has type unknown")
            self.element, self.array = ANYELEMENTOID, ANYARRAYOID
            self.range, self.multirange = ANYRANGEOID, ANYMULTIRANGEOID
        if self.nonarray and self.element != ANYELEMENTOID and _is_array_domain(self.element):
            raise _mismatch(f"type matched to anynonarray is an array type: {format_type(self.element)}")
        if self.enum and self.element != ANYELEMENTOID and not lk.is_enum(self.element):
            raise _mismatch(f"type matched to anyenum is not an enum type: {format_type(self.element)}")

    def meaning(self, declared: int) -> int:
        if declared in _ELEMENTS:
            return self.element
        if declared == ANYARRAYOID:
            if not self.array:
                self.array = lk.array_type(self.element)
                if not self.array:
                    raise _no_array(self.element)
            return self.array
        if declared == ANYRANGEOID:
            if not self.range:
                raise _undetermined("anyrange")
            return self.range
        if not self.multirange:
            raise _undetermined("anymultirange")
        return self.multirange


class _Family2:
    """anycompatible and its relatives."""

    def __init__(self) -> None:
        self.present = False
        self.types: list[int] = []
        self.nonarray = self.wants_array = self.wants_range = self.wants_multirange = False
        self.element = self.array = self.range = self.multirange = 0
        self.range_element = self.multirange_range = 0

    def take(self, declared: int, actual: int, allow_poly: bool) -> None:
        self.present = True
        if declared == ANYCOMPATIBLENONARRAYOID:
            self.nonarray = True
        elif declared == ANYCOMPATIBLEARRAYOID:
            self.wants_array = True
        elif declared == ANYCOMPATIBLERANGEOID:
            self.wants_range = True
        elif declared == ANYCOMPATIBLEMULTIRANGEOID:
            self.wants_multirange = True
        if actual == UNKNOWNOID or (allow_poly and actual == declared):
            return
        if declared in (ANYCOMPATIBLEOID, ANYCOMPATIBLENONARRAYOID):
            self.types.append(actual)
            return
        actual = lk.base_type(actual)
        if declared == ANYCOMPATIBLEARRAYOID:
            element = lk.element_type(actual)
            if not element:
                raise _is_not(declared, "an array", actual)
            self.types.append(element)
        elif declared == ANYCOMPATIBLERANGEOID:
            if self.range:
                if self.range != actual:
                    raise _not_alike(declared, self.range, actual)
                return
            self.range, self.range_element = actual, lk.range_subtype(actual)
            if not self.range_element:
                raise _is_not(declared, "a range type", actual)
            self.types.append(self.range_element)
        else:
            if self.multirange:
                if self.multirange != actual:
                    raise _not_alike(declared, self.multirange, actual)
                return
            self.multirange, self.multirange_range = actual, lk.multirange_range(actual)
            if not self.multirange_range:
                raise _is_not(declared, "a multirange type", actual)
            self.types.append(lk.range_subtype(self.multirange_range))

    def solve(self, allow_poly: bool) -> None:
        if not self.types:
            if allow_poly:
                self.element, self.array = ANYCOMPATIBLEOID, ANYCOMPATIBLEARRAYOID
                self.range, self.multirange = ANYCOMPATIBLERANGEOID, ANYCOMPATIBLEMULTIRANGEOID
                return
            self.element, self.array = TEXTOID, TEXTARRAYOID
            if self.wants_range:
                raise _undetermined("anycompatiblerange")
            if self.wants_multirange:
                raise _undetermined("anycompatiblemultirange")
            return
        if self.multirange:
            if not self.range:
                self.range, self.range_element = self.multirange_range, lk.range_subtype(self.multirange_range)
            elif self.range != self.multirange_range:
                raise _inconsistent(ANYCOMPATIBLEMULTIRANGEOID, ANYCOMPATIBLERANGEOID, self.multirange, self.range)
        elif self.wants_multirange and self.range:
            self.multirange = lk.range_multirange(self.range)
        self.element = common_type_of(self.types, no_error=False)
        from tusk.sql.analyze.coerce import IMPLICIT, can_coerce_type

        if not all(can_coerce_type([each], [self.element], IMPLICIT) for each in self.types):
            raise _mismatch("arguments of anycompatible family cannot be cast to a common type")
        if self.wants_array:
            self.array = lk.array_type(self.element)
            if not self.array:
                raise _no_array(self.element)
        for wanted, known, name in (
            (self.wants_range, self.range, "anycompatiblerange"),
            (self.wants_multirange, self.multirange, "anycompatiblemultirange"),
        ):
            if wanted and not known:
                raise _undetermined(name)
        if (self.wants_range or self.wants_multirange) and self.range_element != self.element:
            shown = self.range if self.wants_range else self.multirange
            name = "anycompatiblerange" if self.wants_range else "anycompatiblemultirange"
            raise _mismatch(
                f"{name} type {format_type(shown)} does not match anycompatible type {format_type(self.element)}"
            )
        if self.nonarray and _is_array_domain(self.element):
            raise _mismatch(f"type matched to anycompatiblenonarray is an array type: {format_type(self.element)}")

    def meaning(self, declared: int) -> int:
        if declared in (ANYCOMPATIBLEOID, ANYCOMPATIBLENONARRAYOID):
            return self.element
        if declared == ANYCOMPATIBLEARRAYOID:
            if not self.array:
                self.array = lk.array_type(self.element)
                if not self.array:
                    raise _no_array(self.element)
            return self.array
        if declared == ANYCOMPATIBLERANGEOID:
            if not self.range:
                raise _undetermined("anycompatiblerange")
            return self.range
        if not self.multirange:
            raise _undetermined("anycompatiblemultirange")
        return self.multirange


def common_type_of(types: list[int], no_error: bool) -> int:
    """The type that several types can become (select_common_type_from_oids); 0 if there is none and ``no_error``."""
    from tusk.sql.analyze.coerce import IMPLICIT, can_coerce_type

    current = types[0]
    if current != UNKNOWNOID and all(other == current for other in types[1:]):
        return current
    current = lk.base_type(current)
    row = lk.type_row(current)
    category, preferred = row.typcategory, row.typispreferred
    for other in types[1:]:
        other = lk.base_type(other)
        if other in (UNKNOWNOID, current):
            continue
        row = lk.type_row(other)
        if current == UNKNOWNOID:
            current, category, preferred = other, row.typcategory, row.typispreferred
        elif row.typcategory != category:
            if no_error:
                return 0
            raise _mismatch(f"argument types {format_type(current)} and {format_type(other)} cannot be matched")
        elif (
            not preferred
            and can_coerce_type([current], [other], IMPLICIT)
            and not can_coerce_type([other], [current], IMPLICIT)
        ):
            current, category, preferred = other, row.typcategory, row.typispreferred
    return TEXTOID if current == UNKNOWNOID else current


def enforce_generic_types(actual: list[int], declared: list[int], rettype: int, allow_poly: bool = False) -> int:
    """Resolve the polymorphic types of a call; returns the actual result type (enforce_generic_type_consistency).

    ``declared`` is changed in place where a type is now known that arguments must be converted to. 42804, 42704.
    """
    first, second = _Family1(), _Family2()
    for want, have in zip(declared, actual, strict=True):
        if want in lk.POLYMORPHIC_FAMILY_1:
            first.take(want, have, allow_poly)
        elif want in lk.POLYMORPHIC_FAMILY_2:
            second.take(want, have, allow_poly)
    if not first.count and not second.present:
        return rettype
    if first.count:
        first.solve(rettype, allow_poly)
    if second.present:
        second.solve(allow_poly)
        for i, want in enumerate(declared):
            if want in lk.POLYMORPHIC_FAMILY_2:
                declared[i] = second.meaning(want)
    if first.unknowns:
        for i, want in enumerate(declared):
            if actual[i] == UNKNOWNOID and want in lk.POLYMORPHIC_FAMILY_1:
                declared[i] = first.meaning(want)
    if rettype in lk.POLYMORPHIC_FAMILY_1:
        return first.meaning(rettype)
    if rettype in lk.POLYMORPHIC_FAMILY_2:
        return second.meaning(rettype)
    return rettype


def generic_types_consistent(actual: list[int], declared: list[int]) -> bool:
    """Whether actual types can stand for the declared polymorphic ones (check_generic_type_consistency)."""
    first, second = _Family1(), _Family2()
    try:
        for want, have in zip(declared, actual, strict=True):
            if want in lk.POLYMORPHIC_FAMILY_1:
                first.take(want, have, False)
            elif want in lk.POLYMORPHIC_FAMILY_2:
                second.take(want, have, False)
        return _consistent_1(first) and _consistent_2(second)
    except SqlError:
        return False


def _consistent_1(family: _Family1) -> bool:
    if family.array:
        # anyarray for anyarray passes here; the better message comes when the call is resolved.
        if family.array != ANYARRAYOID:
            element = lk.element_type(family.array)
            if not element or (family.element and element != family.element):
                return False
            family.element = element
    if family.multirange:
        of_range = lk.multirange_range(family.multirange)
        if not of_range or (family.range and family.range != of_range):
            return False
        family.range = of_range
    if family.range:
        subtype = lk.range_subtype(family.range)
        if not subtype or (family.element and family.element != subtype):
            return False
        family.element = subtype
    if family.nonarray and family.element and _is_array_domain(family.element):
        return False
    return not (family.enum and family.element and not lk.is_enum(family.element))


def _consistent_2(family: _Family2) -> bool:
    if not family.types:
        return True
    if family.multirange:
        if family.range and family.range != family.multirange_range:
            return False
        if not family.range:
            family.range, family.range_element = family.multirange_range, lk.range_subtype(family.multirange_range)
    from tusk.sql.analyze.coerce import IMPLICIT, can_coerce_type

    common = common_type_of(family.types, no_error=True)
    if not common or not all(can_coerce_type([each], [common], IMPLICIT) for each in family.types):
        return False
    if family.nonarray and _is_array_domain(common):
        return False
    return not (family.range_element and family.range_element != common)


def resolve_return_type(declared_return: int, declared: list[int], actual: list[int]) -> int:
    """The actual result type of a call whose argument types are known (resolve_generic_type's use)."""
    return enforce_generic_types(list(actual), list(declared), declared_return)
