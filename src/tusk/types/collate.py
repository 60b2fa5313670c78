"""What depends on a collation: order and equality of text, and case mapping.

Text is compared code point by code point unless the collation's locale says otherwise, which is the order of the
UTF-8 bytes, so C, POSIX, C.UTF-8 and the built-in provider need nothing else. Other locales go through the
`collation_compare` service.
"""

from collections.abc import Callable

from tusk.errors import SqlError, errcode
from tusk.types.registry import DEFAULT_COLLATION_OID, CallContext, function, services

_BYTEWISE = {"C", "POSIX", "C.UTF-8", "C.UTF8", "C.utf8", "PG_UNICODE_FAST"}
_BUILTIN = {950: ("c", "C", True), 951: ("c", "POSIX", True), 811: ("b", "C.UTF-8", True),
            6411: ("b", "PG_UNICODE_FAST", True), 962: ("b", "C", True)}  # fmt: skip


def locale_of(collation: int) -> tuple[str, str, bool]:
    """Provider letter, locale name, deterministic."""
    known = _BUILTIN.get(collation)
    if known is not None:
        return known
    if collation == 0:
        raise SqlError(
            errcode.INDETERMINATE_COLLATION,
            "could not determine which collation to use for string comparison",
            hint="Use the COLLATE clause to set the collation explicitly.",
        )
    found = services.get("collation_locale")
    if found is None:
        return ("c", "C.UTF-8", True)
    locale: tuple[str, str, bool] = found(collation)
    return locale


def is_bytewise(collation: int) -> bool:
    """Is text in this collation ordered by its bytes?"""
    return collation == 950 or locale_of(collation)[1] in _BYTEWISE


def compare_bytewise(left: str, right: str) -> int:
    """Three-way comparison by code point."""
    return (left > right) - (left < right)


def text_comparator(collation: int) -> Callable[[str, str], int]:
    """Three-way comparison for a collation."""
    if is_bytewise(collation):
        return compare_bytewise
    deterministic = locale_of(collation)[2]

    def compare(left: str, right: str) -> int:
        if left == right:
            return 0
        result: int = services.call("collation_compare", collation, left, right)
        return compare_bytewise(left, right) if result == 0 and deterministic else result

    return compare


def text_equal(collation: int, left: str, right: str) -> bool:
    """Equality; only nondeterministic collations look beyond the bytes."""
    if left == right:
        return True
    if collation in (DEFAULT_COLLATION_OID, 950) or locale_of(collation)[2]:
        return False
    return text_comparator(collation)(left, right) == 0


def _ascii_only(collation: int) -> bool:
    return locale_of(collation)[1] in ("C", "POSIX")


def _full_mapping(collation: int) -> bool:
    provider, locale, _ = locale_of(collation)
    return provider == "i" or locale == "PG_UNICODE_FAST"


def _simple(text: str, mapping: Callable[[str], str]) -> str:
    # Mappings that change the length are not in libc and the C.UTF-8 locale: such characters stay.
    return "".join(mapped if len(mapped := mapping(c)) == 1 else _simple_exception(c, mapping) for c in text)


def _simple_exception(character: str, mapping: Callable[[str], str]) -> str:
    if character == "\u0130" and mapping is str.lower:
        return "i"
    titled = character.title() if mapping is str.upper else character
    return titled if len(titled) == 1 else character


def to_lower(text: str, collation: int) -> str:
    """Lower case as the collation's provider does it."""
    if text.isascii():
        return text.lower()
    if _ascii_only(collation):
        return "".join(c.lower() if c.isascii() else c for c in text)
    return text.lower() if _full_mapping(collation) else _simple(text, str.lower)


def to_upper(text: str, collation: int) -> str:
    """Upper case as the collation's provider does it."""
    if text.isascii():
        return text.upper()
    if _ascii_only(collation):
        return "".join(c.upper() if c.isascii() else c for c in text)
    return text.upper() if _full_mapping(collation) else _simple(text, str.upper)


def to_initcap(text: str, collation: int) -> str:
    """First character of each alphanumeric run in upper case, the rest in lower case."""
    result = []
    in_word = False
    ascii_only = _ascii_only(collation)
    for character in text:
        alphanumeric = character.isalnum() and (character.isascii() or not ascii_only)
        mapped = to_lower(character, collation) if in_word else to_upper(character, collation)
        result.append(mapped if alphanumeric else character)
        in_word = alphanumeric
    return "".join(result)


def to_casefold(text: str, collation: int) -> str:
    """Case folding for comparison."""
    if _full_mapping(collation):
        return text.casefold()
    return to_lower(text, collation)


@function("lower", context=True)
def _lower(ctx: CallContext, text: str) -> str:
    return to_lower(text, ctx.collation)


@function("upper", context=True)
def _upper(ctx: CallContext, text: str) -> str:
    return to_upper(text, ctx.collation)


@function("initcap", context=True)
def _initcap(ctx: CallContext, text: str) -> str:
    return to_initcap(text, ctx.collation)


@function("casefold", context=True)
def _casefold(ctx: CallContext, text: str) -> str:
    return to_casefold(text, ctx.collation)


_RESULTS: dict[str, Callable[[int], bool]] = {
    "lt": lambda order: order < 0,
    "le": lambda order: order <= 0,
    "gt": lambda order: order > 0,
    "ge": lambda order: order >= 0,
}


def _make(test: Callable[[int], bool], strip: bool) -> Callable[[CallContext, str, str], bool]:
    def compare(ctx: CallContext, left: str, right: str) -> bool:
        if strip:
            left, right = left.rstrip(" "), right.rstrip(" ")
        return test(text_comparator(ctx.collation)(left, right))

    return compare


def _make_bytewise(test: Callable[[int], bool], strip: bool) -> Callable[[str, str], bool]:
    def compare(left: str, right: str) -> bool:
        if strip:
            left, right = left.rstrip(" "), right.rstrip(" ")
        return test(compare_bytewise(left, right))

    return compare


def _register() -> None:
    for name, test in _RESULTS.items():
        plain, stripped = _make(test, False), _make(test, True)
        function("text_" + name, "name" + name, f"name{name}text", f"text{name}name", context=True)(plain)
        function("bpchar" + name, context=True)(stripped)
        function("text_pattern_" + name)(_make_bytewise(test, False))
        function("bpchar_pattern_" + name)(_make_bytewise(test, True))


_register()


@function("texteq", "nameeq", "nameeqtext", "texteqname", context=True)
def _eq(ctx: CallContext, left: str, right: str) -> bool:
    return text_equal(ctx.collation, left, right)


@function("textne", "namene", "namenetext", "textnename", context=True)
def _ne(ctx: CallContext, left: str, right: str) -> bool:
    return not text_equal(ctx.collation, left, right)


@function("bpchareq", context=True)
def _bpchar_eq(ctx: CallContext, left: str, right: str) -> bool:
    return text_equal(ctx.collation, left.rstrip(" "), right.rstrip(" "))


@function("bpcharne", context=True)
def _bpchar_ne(ctx: CallContext, left: str, right: str) -> bool:
    return not text_equal(ctx.collation, left.rstrip(" "), right.rstrip(" "))


@function("bttextcmp", "btnamecmp", "btnametextcmp", "bttextnamecmp", context=True)
def _compare(ctx: CallContext, left: str, right: str) -> int:
    return text_comparator(ctx.collation)(left, right)


@function("bpcharcmp", context=True)
def _bpchar_compare(ctx: CallContext, left: str, right: str) -> int:
    return text_comparator(ctx.collation)(left.rstrip(" "), right.rstrip(" "))


function("bttext_pattern_cmp")(compare_bytewise)


@function("btbpchar_pattern_cmp")
def _bpchar_pattern_compare(left: str, right: str) -> int:
    return compare_bytewise(left.rstrip(" "), right.rstrip(" "))


@function("text_larger", context=True)
def _text_larger(ctx: CallContext, left: str, right: str) -> str:
    return left if text_comparator(ctx.collation)(left, right) > 0 else right


@function("text_smaller", context=True)
def _text_smaller(ctx: CallContext, left: str, right: str) -> str:
    return left if text_comparator(ctx.collation)(left, right) < 0 else right


@function("bpchar_larger", context=True)
def _bpchar_larger(ctx: CallContext, left: str, right: str) -> str:
    return left if text_comparator(ctx.collation)(left.rstrip(" "), right.rstrip(" ")) >= 0 else right


@function("bpchar_smaller", context=True)
def _bpchar_smaller(ctx: CallContext, left: str, right: str) -> str:
    return left if text_comparator(ctx.collation)(left.rstrip(" "), right.rstrip(" ")) <= 0 else right


def _char_code(value: str) -> int:
    return ord(value) if value else 0


for _name, _test in {**_RESULTS, "eq": lambda order: order == 0, "ne": lambda order: order != 0}.items():
    function("char" + _name)(lambda a, b, test=_test: test(_char_code(a) - _char_code(b)))


@function("btcharcmp")
def _char_compare(left: str, right: str) -> int:
    return _char_code(left) - _char_code(right)

