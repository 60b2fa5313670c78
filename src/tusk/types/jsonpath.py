"""jsonpath: evaluation, and the functions and operators that take a path.

In lax mode arrays are unwrapped and wrapped as accessors need it and structural errors give no items; in strict mode
they are errors. Inside predicates an error makes the outcome unknown (None).
"""

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

from tusk.errors import SqlError, errcode, feature_not_supported
from tusk.types.booleans import parse_bool
from tusk.types.floats import float8_text, parse_float
from tusk.types.json_functions import tree_as_text, tree_type
from tusk.types.jsonpath_format import LAST, PREDICATES, Item, JsonPath, like_options
from tusk.types.numeric import add, divide, multiply, negate, numeric_compare, numeric_round, subtract
from tusk.types.numeric_format import apply_typmod, parse_numeric
from tusk.types.registry import find_function, function
from tusk.types.values import Jsonb

_DATETIMES = {"datetime", "date", "time", "time_tz", "timestamp", "timestamp_tz"}


class Evaluation:
    """One evaluation of a path over a document."""

    def __init__(self, path: JsonPath, document: Any, variables: dict[str, Any]) -> None:
        self.lax = path.lax
        self.path = path
        self.document = document
        self.variables = variables
        self.current = document
        self.last_index = -1
        self.ids: dict[int, int] = {}

    def run(self) -> list[Any]:
        """All items the path leads to."""
        return self.items(self.path.root, self.document)

    def items(self, item: Item, value: Any, unwrap: bool | None = None) -> list[Any]:
        """Items of the chain from ``item`` on, applied to a value."""
        unwrap = self.lax if unwrap is None else unwrap
        if item.kind in PREDICATES:
            return self.following(item, self.predicate(item, value))
        step = _STEPS.get(item.kind)
        if step is not None:
            return step(self, item, value, unwrap)
        return self.method(item, value, unwrap)

    def following(self, item: Item, value: Any) -> list[Any]:
        return [value] if item.next is None else self.items(item.next, value)

    def unwrapped(self, item: Item, value: Any) -> list[Any]:
        """Operand items, arrays taken apart in lax mode."""
        found = self.items(item, value)
        if not self.lax:
            return found
        out: list[Any] = []
        for one in found:
            out.extend(one if isinstance(one, list) else (one,))
        return out

    # Accessors.

    def literal(self, item: Item, value: Any, unwrap: bool) -> list[Any]:
        return self.following(item, item.value)

    def variable(self, item: Item, value: Any, unwrap: bool) -> list[Any]:
        if item.value not in self.variables:
            raise SqlError(errcode.UNDEFINED_OBJECT, f'could not find jsonpath variable "{item.value}"')
        return self.following(item, self.variables[item.value])

    def root(self, item: Item, value: Any, unwrap: bool) -> list[Any]:
        return self.following(item, self.document)

    def at(self, item: Item, value: Any, unwrap: bool) -> list[Any]:
        return self.following(item, self.current)

    def last(self, item: Item, value: Any, unwrap: bool) -> list[Any]:
        return self.following(item, Decimal(self.last_index))

    def key(self, item: Item, value: Any, unwrap: bool) -> list[Any]:
        if isinstance(value, dict):
            if item.value in value:
                return self.following(item, value[item.value])
            if self.lax:
                return []
            raise SqlError(errcode.SQL_JSON_MEMBER_NOT_FOUND, f'JSON object does not contain key "{item.value}"')
        if unwrap and isinstance(value, list):
            return self.each(item, value)
        if self.lax:
            return []
        raise SqlError(errcode.SQL_JSON_MEMBER_NOT_FOUND, "jsonpath member accessor can only be applied to an object")

    def each(self, item: Item, values: list[Any]) -> list[Any]:
        """Apply an item to the elements of an unwrapped array."""
        return [found for value in values for found in self.items(item, value, False)]

    def any_key(self, item: Item, value: Any, unwrap: bool) -> list[Any]:
        if isinstance(value, dict):
            return [found for one in value.values() for found in self.following(item, one)]
        if unwrap and isinstance(value, list):
            return self.each(item, value)
        if self.lax:
            return []
        raise SqlError(
            errcode.SQL_JSON_OBJECT_NOT_FOUND, "jsonpath wildcard member accessor can only be applied to an object"
        )

    def any_element(self, item: Item, value: Any, unwrap: bool) -> list[Any]:
        if isinstance(value, list):
            return [found for one in value for found in self.following(item, one)]
        if self.lax:
            return self.following(item, value)
        raise SqlError(
            errcode.SQL_JSON_ARRAY_NOT_FOUND, "jsonpath wildcard array accessor can only be applied to an array"
        )

    def any_level(self, item: Item, value: Any, unwrap: bool) -> list[Any]:
        first, last = item.value
        out: list[Any] = []

        def visit(one: Any, level: int) -> None:
            is_leaf = not isinstance(one, dict | list)
            inside = first <= level <= last if first != LAST else is_leaf
            if inside:
                # Descending already reaches the elements: no unwrapping on top of it.
                out.extend([one] if item.next is None else self.items(item.next, one, False))
            if not is_leaf and (level < last or first == LAST):
                for below in one.values() if isinstance(one, dict) else one:
                    visit(below, level + 1)

        visit(value, 0)
        return out

    def subscript(self, item: Item, value: Any, unwrap: bool) -> list[Any]:
        if not isinstance(value, list):
            if not self.lax:
                raise SqlError(
                    errcode.SQL_JSON_ARRAY_NOT_FOUND, "jsonpath array accessor can only be applied to an array"
                )
            value = [value]
        out: list[Any] = []
        outer, self.last_index = self.last_index, len(value) - 1
        try:
            for start, end in item.value:
                first = self.index(start, value)
                last = first if end is None else self.index(end, value)
                if not self.lax and (first < 0 or first > last or last >= len(value)):
                    raise SqlError(errcode.INVALID_SQL_JSON_SUBSCRIPT, "jsonpath array subscript is out of bounds")
                for i in range(max(first, 0), min(last, len(value) - 1) + 1):
                    out.extend(self.following(item, value[i]))
        finally:
            self.last_index = outer
        return out

    def index(self, item: Item, value: Any) -> int:
        found = self.items(item, value)
        if len(found) != 1 or not isinstance(found[0], Decimal):
            raise SqlError(errcode.INVALID_SQL_JSON_SUBSCRIPT, "jsonpath array subscript is not a single numeric value")
        number = int(found[0])
        if not -(1 << 31) <= number < 1 << 31:
            raise SqlError(errcode.INVALID_SQL_JSON_SUBSCRIPT, "jsonpath array subscript is out of integer range")
        return number

    def filter(self, item: Item, value: Any, unwrap: bool) -> list[Any]:
        if unwrap and isinstance(value, list):
            return self.each(item, value)
        assert item.left is not None
        outer, self.current = self.current, value
        try:
            passes = self.predicate(item.left, value)
        finally:
            self.current = outer
        return self.following(item, value) if passes is True else []

    # Arithmetic.

    def arithmetic(self, item: Item, value: Any, unwrap: bool) -> list[Any]:
        assert item.left is not None and item.right is not None
        operands = []
        for side, operand in (("left", item.left), ("right", item.right)):
            found = self.unwrapped(operand, value)
            if len(found) != 1 or not isinstance(found[0], Decimal):
                raise SqlError(
                    errcode.SINGLETON_SQL_JSON_ITEM_REQUIRED,
                    f"{side} operand of jsonpath operator {item.kind} is not a single numeric value",
                )
            operands.append(found[0])
        return self.following(item, _ARITHMETIC[item.kind](*operands))

    def sign(self, item: Item, value: Any, unwrap: bool) -> list[Any]:
        assert item.left is not None
        out: list[Any] = []
        symbol = "+" if item.kind == "plus" else "-"
        for one in self.unwrapped(item.left, value):
            if not isinstance(one, Decimal):
                raise SqlError(
                    errcode.SQL_JSON_NUMBER_NOT_FOUND,
                    f"operand of unary jsonpath operator {symbol} is not a numeric value",
                )
            out.extend(self.following(item, one if symbol == "+" else negate(one)))
        return out

    # Predicates.

    def predicate(self, item: Item, value: Any) -> bool | None:
        match item.kind:
            case "&&" | "||":
                return self.logical(item, value)
            case "!":
                assert item.left is not None
                inner = self.predicate(item.left, value)
                return None if inner is None else not inner
            case "is unknown":
                assert item.left is not None
                return self.predicate(item.left, value) is None
            case "exists":
                assert item.left is not None
                try:
                    return bool(self.items(item.left, value))
                except SqlError as error:
                    return self.unknown(error)
        return self.compare(item, value)

    def logical(self, item: Item, value: Any) -> bool | None:
        assert item.left is not None and item.right is not None
        decisive = item.kind == "||"
        left = self.predicate(item.left, value)
        if left is decisive:
            return decisive
        right = self.predicate(item.right, value)
        if right is decisive:
            return decisive
        return None if left is None or right is None else not decisive

    @staticmethod
    def unknown(error: SqlError) -> None:
        if error.sqlstate == errcode.FEATURE_NOT_SUPPORTED:
            raise error

    def compare(self, item: Item, value: Any) -> bool | None:
        """Comparison, starts with or like_regex: true if it is for any pair of items."""
        assert item.left is not None
        try:
            lefts = self.unwrapped(item.left, value)
            rights: list[Any] = [None]
            if item.right is not None:
                rights = (
                    self.items(item.right, value) if item.kind == "starts with" else self.unwrapped(item.right, value)
                )
        except SqlError as error:
            return self.unknown(error)
        is_unknown = found = False
        test = self.tester(item)
        for left in lefts:
            for right in rights:
                outcome = test(left, right)
                if outcome is None:
                    if not self.lax:
                        return None
                    is_unknown = True
                elif outcome:
                    if self.lax:
                        return True
                    found = True
        if found:
            return True
        return None if is_unknown else False

    def tester(self, item: Item) -> Callable[[Any, Any], bool | None]:
        if item.kind == "starts with":
            return lambda a, b: a.startswith(b) if isinstance(a, str) and isinstance(b, str) else None
        if item.kind == "like_regex":
            compiled = like_options(item)
            return lambda a, _: compiled.search(a) is not None if isinstance(a, str) else None
        return lambda a, b: _compare(item.kind, a, b)

    # Methods.

    def method(self, item: Item, value: Any, unwrap: bool) -> list[Any]:
        name = item.kind.removesuffix("()")
        if name == "type":
            return self.following(item, tree_type(value))
        if name == "size":
            if not isinstance(value, list) and not self.lax:
                raise SqlError(
                    errcode.SQL_JSON_ARRAY_NOT_FOUND, "jsonpath item method .size() can only be applied to an array"
                )
            return self.following(item, Decimal(len(value) if isinstance(value, list) else 1))
        if unwrap and isinstance(value, list):
            return self.each(item, value)
        if name == "keyvalue":
            return self.key_values(item, value)
        if name in _DATETIMES:
            raise feature_not_supported(f"jsonpath item method .{name}()")
        return self.following(item, _convert(name, value, item))

    def key_values(self, item: Item, value: Any) -> list[Any]:
        if not isinstance(value, dict):
            raise SqlError(
                errcode.SQL_JSON_OBJECT_NOT_FOUND,
                "jsonpath item method .keyvalue() can only be applied to an object",
            )
        identity = Decimal(self.ids.setdefault(id(value), len(self.ids)))
        out: list[Any] = []
        for key, one in value.items():
            out.extend(self.following(item, {"id": identity, "key": key, "value": one}))
        return out


_STEPS: dict[str, Callable[[Evaluation, Item, Any, bool], list[Any]]] = {
    "null": Evaluation.literal, "string": Evaluation.literal, "numeric": Evaluation.literal,
    "bool": Evaluation.literal, "variable": Evaluation.variable, "$": Evaluation.root, "@": Evaluation.at,
    "last": Evaluation.last, "key": Evaluation.key, ".*": Evaluation.any_key, "[*]": Evaluation.any_element,
    ".**": Evaluation.any_level, "[]": Evaluation.subscript, "?": Evaluation.filter, "+": Evaluation.arithmetic,
    "-": Evaluation.arithmetic, "*": Evaluation.arithmetic, "/": Evaluation.arithmetic, "%": Evaluation.arithmetic,
    "plus": Evaluation.sign, "minus": Evaluation.sign,
}  # fmt: skip


def _modulo(left: Decimal, right: Decimal) -> Decimal:
    definition = find_function("numeric_mod")
    assert definition is not None
    result: Decimal = definition.call(left, right)
    return result


_ARITHMETIC: dict[str, Callable[[Decimal, Decimal], Decimal]] = {
    "+": add,
    "-": subtract,
    "*": multiply,
    "/": divide,
    "%": _modulo,
}


def _compare(operator: str, left: Any, right: Any) -> bool | None:
    if tree_type(left) != tree_type(right):
        if left is None or right is None:
            # Null differs from everything else, but has no order with it.
            return operator == "!="
        return None
    if isinstance(left, dict | list):
        return None
    if isinstance(left, Decimal):
        order = numeric_compare(left, right)
    elif left is None:
        order = 0
    else:
        order = (left > right) - (left < right)
    match operator:
        case "==":
            return order == 0
        case "!=":
            return order != 0
        case "<":
            return order < 0
        case ">":
            return order > 0
        case "<=":
            return order <= 0
    return order >= 0


_TYPE_NAMES = {"double": "double precision", "bigint": "bigint", "integer": "integer", "number": "numeric",
               "decimal": "numeric", "boolean": "boolean"}  # fmt: skip


def _not_applicable(name: str, to_what: str) -> SqlError:
    return SqlError(
        errcode.NON_NUMERIC_SQL_JSON_ITEM, f"jsonpath item method .{name}() can only be applied to a {to_what}"
    )


def _convert(name: str, value: Any, item: Item) -> Any:
    if name in ("abs", "floor", "ceiling"):
        if not isinstance(value, Decimal):
            raise _not_applicable(name, "numeric value")
        definition = find_function({"abs": "numeric_abs", "floor": "numeric_floor", "ceiling": "numeric_ceil"}[name])
        assert definition is not None
        return definition.call(value)
    if name == "string":
        if isinstance(value, dict | list) or value is None:
            raise SqlError(
                errcode.NON_NUMERIC_SQL_JSON_ITEM,
                "jsonpath item method .string() can only be applied to a boolean, string, numeric, or datetime value",
            )
        return tree_as_text(value)
    if name == "boolean":
        return _to_boolean(value)
    if not isinstance(value, str | Decimal):
        raise _not_applicable(name, "string or numeric value")
    try:
        return _to_number(name, value, item)
    except SqlError:
        shown = tree_as_text(value)
        raise SqlError(
            errcode.NON_NUMERIC_SQL_JSON_ITEM,
            f'argument "{shown}" of jsonpath item method .{name}() is invalid for type {_TYPE_NAMES[name]}',
        ) from None


def _to_boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    outcome: bool | None
    if isinstance(value, Decimal):
        outcome = value != 0 if value == value.to_integral_value() else None
    elif isinstance(value, str):
        outcome = parse_bool(value)
    else:
        raise SqlError(
            errcode.NON_NUMERIC_SQL_JSON_ITEM,
            "jsonpath item method .boolean() can only be applied to a boolean, string, or numeric value",
        )
    if outcome is None:
        raise SqlError(
            errcode.NON_NUMERIC_SQL_JSON_ITEM,
            f'argument "{tree_as_text(value)}" of jsonpath item method .boolean() is invalid for type boolean',
        )
    return outcome


def _to_number(name: str, value: Any, item: Item) -> Decimal:
    if name == "double":
        number = parse_float(tree_as_text(value) or "", 8)
        if number - number != 0:
            raise SqlError(
                errcode.NON_NUMERIC_SQL_JSON_ITEM, "NaN or Infinity is not allowed for jsonpath item method .double()"
            )
        return value if isinstance(value, Decimal) else parse_numeric(float8_text(number))
    number_value = parse_numeric(value) if isinstance(value, str) else value
    if not number_value.is_finite():
        raise SqlError(errcode.NON_NUMERIC_SQL_JSON_ITEM, "NaN or Infinity is not allowed")
    if name in ("bigint", "integer"):
        if isinstance(value, str) and not value.strip().lstrip("+-").isdigit():
            raise SqlError(errcode.NON_NUMERIC_SQL_JSON_ITEM, "not an integer")
        rounded = numeric_round(number_value, 0)
        bits = 63 if name == "bigint" else 31
        if not -(1 << bits) <= rounded < 1 << bits:
            raise SqlError(errcode.NUMERIC_VALUE_OUT_OF_RANGE, "out of range")
        return rounded
    if name == "decimal" and item.left is not None:
        precision = int(item.left.value)
        scale = int(item.right.value) if item.right is not None else 0
        return apply_typmod(number_value, (precision << 16 | scale & 0x7FF) + 4)
    return number_value


# Functions.


def _variables(variables: Jsonb | None) -> dict[str, Any]:
    tree = {} if variables is None else variables.tree
    if not isinstance(tree, dict):
        raise SqlError(
            errcode.INVALID_PARAMETER_VALUE,
            '"vars" argument is not an object',
            detail='Jsonpath parameters should be encoded as key-value pairs of "vars" object.',
        )
    return tree


def _query(document: Jsonb, path: JsonPath, variables: Jsonb | None, silent: bool) -> list[Any] | None:
    """The items, or None if an error was to be silent."""
    evaluation = Evaluation(path, document.tree, _variables(variables))
    try:
        return evaluation.run()
    except SqlError as error:
        suppressible = error.sqlstate.startswith("22") or error.sqlstate == errcode.DIVISION_BY_ZERO
        if silent and suppressible:
            return None
        raise


@function("jsonb_path_exists", "jsonb_path_exists_tz")
def _exists(document: Jsonb, path: JsonPath, variables: Jsonb, silent: bool) -> bool | None:
    found = _query(document, path, variables, silent)
    return None if found is None else bool(found)


@function("jsonb_path_exists_opr")
def _exists_operator(document: Jsonb, path: JsonPath) -> bool | None:
    found = _query(document, path, None, True)
    return None if found is None else bool(found)


def _match(document: Jsonb, path: JsonPath, variables: Jsonb | None, silent: bool) -> bool | None:
    found = _query(document, path, variables, silent)
    if found is not None and len(found) == 1 and (found[0] is None or isinstance(found[0], bool)):
        return found[0]
    if silent:
        return None
    raise SqlError(errcode.SINGLETON_SQL_JSON_ITEM_REQUIRED, "single boolean result is expected")


function("jsonb_path_match", "jsonb_path_match_tz")(_match)
function("jsonb_path_match_opr")(lambda document, path: _match(document, path, None, True))


@function("jsonb_path_query", "jsonb_path_query_tz", set_returning=True)
def _query_set(document: Jsonb, path: JsonPath, variables: Jsonb, silent: bool) -> Iterator[Jsonb]:
    return (Jsonb(None, item) for item in _query(document, path, variables, silent) or [])


@function("jsonb_path_query_array", "jsonb_path_query_array_tz")
def _query_array(document: Jsonb, path: JsonPath, variables: Jsonb, silent: bool) -> Jsonb:
    return Jsonb(None, _query(document, path, variables, silent) or [])


@function("jsonb_path_query_first", "jsonb_path_query_first_tz")
def _query_first(document: Jsonb, path: JsonPath, variables: Jsonb, silent: bool) -> Jsonb | None:
    found = _query(document, path, variables, silent)
    return Jsonb(None, found[0]) if found else None
