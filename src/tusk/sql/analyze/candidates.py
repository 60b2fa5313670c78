"""Choosing among functions or operators of one name by the types of the arguments.

The rules are those of the manual's chapter "Type Conversion": exact match, then most exact arguments, then preferred
types, then what the unknown literals may be.
"""

from __future__ import annotations

from typing import Any

from tusk.catalog.oids import UNKNOWNOID
from tusk.sql.analyze import lookup as lk
from tusk.sql.analyze.coerce import IMPLICIT, can_coerce_type
from tusk.sql.analyze.names import candidate_functions, candidate_operators


class Candidate:
    """A function or operator as called with so many arguments.

    ``args`` are the types the given arguments (and then the defaults) must have, in call order; ``argnumbers`` maps
    call order to declaration order for named notation; ``nvargs`` arguments go into the VARIADIC parameter; ``ndargs``
    come from defaults. ``oid`` 0 marks several that nothing tells apart.
    """

    __slots__ = ("argnumbers", "args", "ndargs", "nvargs", "oid", "place", "row")

    def __init__(
        self,
        row: Any,
        place: int,
        args: tuple[int, ...],
        nvargs: int = 0,
        ndargs: int = 0,
        argnumbers: list[int] | None = None,
    ) -> None:
        self.row = row
        self.oid: int = row.oid
        self.place = place
        self.args = args
        self.nvargs = nvargs
        self.ndargs = ndargs
        self.argnumbers = argnumbers


def _match_named(row: Any, nargs: int, names: list[str], include_out: bool) -> list[int] | None:
    """Declaration position of each call argument, defaults last; None if the names do not fit (MatchNamedCall)."""
    if row.proargnames is None or (nargs > row.pronargs and not include_out):
        return None
    modes = row.proargmodes or ("i",) * len(row.proargnames)
    total = len(row.proallargtypes) if include_out and row.proallargtypes else row.pronargs
    positional = nargs - len(names)
    numbers = list(range(positional))
    taken = set(numbers)
    for name in names:
        place = 0
        found = None
        for own, mode in zip(row.proargnames, modes, strict=True):
            counted = include_out or mode in "ibv"
            if own == name and counted:
                found = place
                break
            if counted:
                place += 1
        if found is None or found in taken:
            return None
        taken.add(found)
        numbers.append(found)
    if nargs < total:
        first_default = total - row.pronargdefaults
        for place in range(nargs - len(names), total):
            if place not in taken:
                if place < first_default:
                    return None
                numbers.append(place)
    return numbers


def function_candidates(
    names: list[str],
    nargs: int,
    argnames: list[str],
    expand_variadic: bool,
    expand_defaults: bool,
    include_out: bool = False,
) -> list[Candidate]:
    """The functions of a name that so many arguments could call (FuncnameGetCandidates); ``nargs`` -1 is any."""
    result: list[Candidate] = []
    for place, row in candidate_functions(names):
        types: tuple[int, ...] = row.proargtypes
        if include_out and row.proallargtypes:
            types = row.proallargtypes
        pronargs = len(types)
        numbers = None
        variadic = False
        if argnames:
            if row.provariadic and expand_variadic:
                continue
            if pronargs < nargs or (pronargs > nargs and not expand_defaults):
                continue
            numbers = _match_named(row, nargs, argnames, include_out)
            if numbers is None:
                continue
            use_defaults = pronargs > nargs
            types = tuple(types[number] for number in numbers)
        else:
            variadic = expand_variadic and row.provariadic != 0 and pronargs <= nargs
            use_defaults = nargs >= 0 and pronargs > nargs and expand_defaults
            if use_defaults and nargs + row.pronargdefaults < pronargs:
                continue
            if nargs >= 0 and pronargs != nargs and not variadic and not use_defaults:
                continue
        count = max(pronargs, nargs)
        nvargs = 0
        if variadic:
            nvargs = count - pronargs + 1
            types = types[: pronargs - 1] + (row.provariadic,) * nvargs
        ndargs = pronargs - nargs if use_defaults else 0
        _add(result, Candidate(row, place, types, nvargs, ndargs, numbers))
    return result


def _add(result: list[Candidate], new: Candidate) -> None:
    """Keep one of two candidates that take the same argument types: nearer in the path, not variadic."""
    compared = len(new.args) - new.ndargs
    for i, old in enumerate(result):
        if len(old.args) - old.ndargs != compared or old.args[:compared] != new.args[:compared]:
            continue
        if new.place != old.place:
            better = new.place < old.place
        elif bool(new.nvargs) != bool(old.nvargs):
            better = not new.nvargs
        else:
            old.oid = 0
            return
        if better:
            result[i] = new
        return
    result.append(new)


def operator_candidates(names: list[str], kind: str) -> list[Candidate]:
    """The operators of a name and kind, ``b`` or ``l`` (OpernameGetCandidates)."""
    result: list[Candidate] = []
    for place, row in candidate_operators(names):
        if row.oprkind != kind:
            continue
        args = (row.oprleft, row.oprright)
        for i, old in enumerate(result):
            if old.args == args:
                if place < old.place:
                    result[i] = Candidate(row, place, args)
                break
        else:
            result.append(Candidate(row, place, args))
    return result


def match_argtypes(inputs: list[int], candidates: list[Candidate]) -> list[Candidate]:
    """The candidates whose arguments the inputs can become implicitly (func_match_argtypes)."""
    n = len(inputs)
    return [each for each in candidates if can_coerce_type(inputs, list(each.args[:n]), IMPLICIT)]


def _best(candidates: list[Candidate], score: Any) -> list[Candidate]:
    scores = [score(each) for each in candidates]
    top = max(scores)
    return [each for each, own in zip(candidates, scores, strict=True) if own == top]


def select_candidate(inputs: list[int], candidates: list[Candidate]) -> Candidate | None:
    """The one candidate that fits best, None when several are as good (func_select_candidate)."""
    n = len(inputs)
    bases = [each if each == UNKNOWNOID else lk.base_type(each) for each in inputs]
    known = [i for i in range(n) if inputs[i] != UNKNOWNOID]
    unknown = [i for i in range(n) if inputs[i] == UNKNOWNOID]

    candidates = _best(candidates, lambda c: sum(c.args[i] == bases[i] for i in known))
    if len(candidates) == 1:
        return candidates[0]
    categories = {i: lk.type_category(bases[i]) for i in known}
    candidates = _best(
        candidates,
        lambda c: sum(c.args[i] == bases[i] or lk.is_preferred(categories[i], c.args[i]) for i in known),
    )
    if len(candidates) == 1:
        return candidates[0]
    if not unknown:
        return None
    slots = _unknown_slots(unknown, candidates)
    if slots is not None:
        kept = [
            each
            for each in candidates
            if all(
                (row := lk.type_row(each.args[i])).typcategory == slots[i][0]
                and (row.typispreferred or not slots[i][1])
                for i in unknown
            )
        ]
        candidates = kept or candidates
        if len(candidates) == 1:
            return candidates[0]
    if known:
        kind = bases[known[0]]
        if all(bases[i] == kind for i in known):
            fitting = [c for c in candidates if can_coerce_type([kind] * n, list(c.args[:n]), IMPLICIT)]
            if len(fitting) == 1:
                return fitting[0]
    return None


def _unknown_slots(unknown: list[int], candidates: list[Candidate]) -> dict[int, tuple[str, bool]] | None:
    """(category, whether preferred types only) for each unknown argument; None when categories conflict."""
    slots: dict[int, tuple[str, bool]] = {}
    for i in unknown:
        category, preferred, conflict = "", False, False
        for each in candidates:
            row = lk.type_row(each.args[i])
            if not category:
                category, preferred = row.typcategory, row.typispreferred
            elif row.typcategory == category:
                preferred = preferred or row.typispreferred
            elif row.typcategory == "S":
                category, preferred = "S", row.typispreferred
            else:
                conflict = True
        if conflict and category != "S":
            return None
        slots[i] = (category, preferred)
    return slots
