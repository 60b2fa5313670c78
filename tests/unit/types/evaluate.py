"""Evaluates SQL-like calls with the definitions under test: ``name(type 'literal', ...)``, nested, NULL::type.

Functions are found by name and exact argument types in facts recorded from PostgreSQL, as the analyzer would after
coercion; polymorphic parameters are resolved in the simplest way. Aggregates take a list of calls as
``name{(args), (args)}``.
"""

import json
import re
from pathlib import Path

from tusk.types.codec import codec_for
from tusk.types.registry import (
    AggregateInfo,
    CallContext,
    ColumnInfo,
    SortKey,
    bless_record,
    builtin_types,
    lookup_function,
)
from tusk.types.values import Record

DATA = Path(__file__).parent / "data"
_TOKEN = re.compile(r"\s*(?:('(?:[^']|'')*')|([A-Za-z_][\w$]*(?:\[\])?)|(::)|([(),{}]))")
_FACTS = None
POLYMORPHIC = {2283, 2776, 2277, 3500, 5077, 5078, 5079, 2276}
_ANY_ARRAY = {2277, 5078}
_ANY_ELEMENT = {2283, 2776, 5077, 5079, 3500}


def facts():
    global _FACTS
    if _FACTS is None:
        _FACTS = json.loads((DATA / "procs.json").read_text())
        by_name = {}
        for row in _FACTS["procs"]:
            by_name.setdefault(row["name"], []).append(row)
        _FACTS["by_name"] = by_name
        _FACTS["types"] = {info.typname: oid for oid, info in builtin_types().items()}
    return _FACTS


ALIASES = {
    "integer": "int4", "bigint": "int8", "smallint": "int2", "boolean": "bool", "real": "float4", "decimal": "numeric",
}  # fmt: skip


def type_oid(name):
    array = name.endswith("[]")
    base = name[:-2] if array else name
    base = ALIASES.get(base, base)
    return facts()["types"][("_" + base) if array else base]


class Parser:
    def __init__(self, text):
        self.tokens = []
        position = 0
        text = text.rstrip()
        while position < len(text):
            match = _TOKEN.match(text, position)
            assert match, f"cannot read {text[position:]!r}"
            self.tokens.append(next((i, g) for i, g in enumerate(match.groups()) if g is not None))
            position = match.end()
        self.position = 0

    def peek(self):
        return self.tokens[self.position] if self.position < len(self.tokens) else (None, None)

    def take(self):
        token = self.peek()
        self.position += 1
        return token

    def expression(self):
        kind, text = self.take()
        assert kind == 1, (kind, text)
        if text == "NULL":
            self.take()
            return ("null", type_oid(self.take()[1]))
        following = self.peek()
        if following[0] == 0:
            literal = self.take()[1][1:-1].replace("''", "'")
            return ("literal", type_oid(text), literal)
        if following[1] == "{":
            self.take()
            rows = []
            while self.peek()[1] != "}":
                rows.append(self.arguments())
                if self.peek()[1] == ",":
                    self.take()
            self.take()
            direct = self.arguments() if self.peek()[1] == "(" else []
            return ("aggregate", text, rows, direct)
        return ("call", text, self.arguments())

    def arguments(self):
        assert self.take()[1] == "("
        found = []
        while self.peek()[1] != ")":
            found.append(self.expression())
            if self.peek()[1] == ",":
                self.take()
        self.take()
        return found


def find_proc(name, types):
    candidates = []
    for row in facts()["by_name"].get(name, []):
        parameters = list(row["args"])
        if row["variadic"] == 2276:
            parameters = parameters[:-1] + [2276] * (len(types) - len(parameters) + 1)
        if len(parameters) != len(types):
            continue
        score = 0
        for parameter, actual in zip(parameters, types, strict=True):
            if parameter == actual:
                score += 10
            elif parameter in _ANY_ARRAY and builtin_types()[actual].is_array:
                score += 2
            elif parameter in _ANY_ELEMENT or parameter == 2276:
                score += 1
            else:
                break
        else:
            candidates.append((score, row))
    assert candidates, f"no function {name}({types})"
    return max(candidates, key=lambda pair: pair[0])[1]


def result_type(row, types):
    result = row["ret"]
    if result not in POLYMORPHIC:
        return result
    element = array = None
    for parameter, actual in zip(row["args"], types, strict=False):
        if parameter in _ANY_ARRAY:
            array, element = actual, builtin_types()[actual].typelem
        elif parameter in _ANY_ELEMENT:
            element = actual
            array = builtin_types()[actual].typarray
    return array if result in _ANY_ARRAY else element


def evaluate(expression):
    """(type, value); a set-returning call gives a list as value."""
    kind = expression[0]
    if kind == "null":
        return expression[1], None
    if kind == "literal":
        return expression[1], codec_for(expression[1]).input(expression[2], -1, CallContext())
    if kind == "aggregate":
        return evaluate_aggregate(expression)
    evaluated = [evaluate(argument) for argument in expression[2]]
    types = [oid for oid, _ in evaluated]
    values = [value for _, value in evaluated]
    row = find_proc(expression[1], types)
    oid = result_type(row, types)
    if row["strict"] and None in values:
        return oid, [] if row["retset"] else None
    definition = lookup_function(row["src"])
    columns = [ColumnInfo(n, t) for n, t in row["out"]] or None
    ctx = CallContext(100, types, oid, columns=columns)
    result = definition.call(ctx, *values) if definition.context else definition.call(*values)
    if row["retset"]:
        rows = list(result)
        if oid == 2249:
            typmod = bless_record(columns)
            rows = [Record(2249, typmod, tuple(r)) if isinstance(r, tuple) else r for r in rows]
        return oid, rows
    if oid == 2249 and isinstance(result, tuple) and not isinstance(result, Record):
        result = Record(2249, bless_record(columns), tuple(result))
    return oid, result


def _call(prosrc, types, oid, values, aggregate=None):
    definition = lookup_function(prosrc)
    ctx = CallContext(100, types, oid, aggregate=aggregate)
    return definition.call(ctx, *values) if definition.context else definition.call(*values)


def evaluate_aggregate(expression):
    from tusk.types.compare import comparator

    _, name, rows, direct = expression
    rows = [[evaluate(argument) for argument in row] for row in rows]
    types = [oid for oid, _ in rows[0]]
    direct = [evaluate(argument) for argument in direct]
    ordered = any(row["agg"] and row["agg"]["kind"] != "n" for row in facts()["by_name"][name])
    if ordered:
        matched = [r for r in facts()["by_name"][name] if len(r["args"]) >= 0]
        full = [oid for oid, _ in direct] + types
        try:
            row = find_proc(name, full)
        except AssertionError:
            row = find_proc(name, types) if not direct else matched[0]
    else:
        full = types
        row = find_proc(name, types)
    agg = row["agg"]
    oid = result_type(row, full)
    info = None
    if agg["kind"] != "n":
        keys = tuple(SortKey(comparator(t), type_oid=t) for t in types)
        info = AggregateInfo(keys, tuple(types), agg["kind"] == "h")
    state = None
    if agg["init"] is not None:
        state = codec_for(agg["stype"]).input(agg["init"], -1, CallContext())
    transition_types = [agg["stype"], *types]
    for arguments in rows:
        values = [value for _, value in arguments]
        if agg["tstrict"] and None in values:
            continue
        if agg["tstrict"] and state is None and agg["init"] is None and agg["stype"] != 2281:
            state = values[0]
            continue
        state = _call(agg["trans"], transition_types, agg["stype"], [state, *values], info)
    if agg["final"]:
        extra = [None] * (len(full) if agg["extra"] else 0)
        finals = [value for _, value in direct] + extra[len(direct):]
        if not (agg["fstrict"] and state is None):
            state = _call(agg["final"], [agg["stype"], *full], oid, [state, *finals], info)
    return oid, state


def run(text):
    """Text of the result as PostgreSQL shows it, NULL as None, a set as list."""
    oid, value = evaluate(Parser(text).expression())
    if isinstance(value, list):
        return [None if v is None else codec_for(oid).output(v) for v in value]
    return None if value is None else codec_for(oid).output(value)


def to_sql(expression):
    """The same expression as PostgreSQL takes it."""
    kind = expression[0]
    if kind == "null":
        return f"NULL::{sql_type(expression[1])}"
    if kind == "literal":
        literal = expression[2].replace("'", "''")
        return f"'{literal}'::{sql_type(expression[1])}"
    if kind == "call":
        return f'pg_catalog."{expression[1]}"(' + ", ".join(to_sql(a) for a in expression[2]) + ")"
    _, name, rows, direct = expression
    columns = [f"c{i}" for i in range(len(rows[0]))]
    values = ", ".join("(" + ", ".join([str(n), *(to_sql(a) for a in row)]) + ")" for n, row in enumerate(rows))
    table = f"(VALUES {values}) AS t(n{''.join(', ' + c for c in columns)})"
    ordered = name in ORDERED
    if ordered:
        args = ", ".join(to_sql(a) for a in direct)
        return f"(SELECT pg_catalog.{name}({args}) WITHIN GROUP (ORDER BY {', '.join(columns)}) FROM {table})"
    return f"(SELECT pg_catalog.{name}({', '.join(columns)} ORDER BY n) FROM {table})"


ORDERED = {"percentile_cont", "percentile_disc", "mode", "rank", "dense_rank", "percent_rank", "cume_dist"}


def sql_type(oid):
    info = builtin_types()[oid]
    name = f'pg_catalog."{builtin_types()[info.typelem].typname}"[]' if info.typname.startswith("_") else (
        f'pg_catalog."{info.typname}"')  # fmt: skip
    return name


