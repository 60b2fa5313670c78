"""bool: formats, comparisons, casts, and the aggregates bool_and and bool_or."""

import operator
from typing import Any

from tusk.types.codec import Buffer, Codec, invalid_binary, register_codec
from tusk.types.registry import CallContext, function, invalid_text

BOOLOID = 16

_WORDS = {"true": 1, "false": 1, "yes": 1, "no": 1, "on": 2, "off": 2}


def _abbreviations() -> dict[str, bool]:
    known = {"1": True, "0": False}
    for word, shortest in _WORDS.items():
        for length in range(shortest, len(word) + 1):
            known[word[:length]] = word in ("true", "yes", "on")
    return known


_KNOWN = _abbreviations()


def parse_bool(text: str) -> bool | None:
    """The boolean that a (possibly abbreviated) word means, or None."""
    return _KNOWN.get(text.strip(" \t\n\v\f\r").lower())


class BoolCodec(Codec):
    """One byte, 0 or 1; ``t`` and ``f`` as text."""

    __slots__ = ()

    def from_disk(self, data: Buffer) -> bool:
        return data[0] != 0

    def to_disk(self, value: Any) -> bytes:
        return b"\1" if value else b"\0"

    def input(self, text: str, typmod: int = -1, ctx: CallContext | None = None) -> bool:
        value = parse_bool(text)
        if value is None:
            raise invalid_text("boolean", text)
        return value

    def output(self, value: Any) -> str:
        return "t" if value else "f"

    def receive(self, data: Buffer, typmod: int = -1) -> bool:
        if len(data) != 1:
            raise invalid_binary("boolean")
        return data[0] != 0

    def send(self, value: Any) -> bytes:
        return b"\1" if value else b"\0"


register_codec(BoolCodec, BOOLOID)

for _name in ("eq", "ne", "lt", "le", "gt", "ge"):
    function("bool" + _name)(getattr(operator, _name))


@function("btboolcmp")
def _compare(left: bool, right: bool) -> int:
    return left - right


@function("booltext")
def _text(value: bool) -> str:
    return "true" if value else "false"


@function("bool_int4")
def _int4(value: bool) -> int:
    return int(value)


@function("int4_bool")
def _from_int4(value: int) -> bool:
    return value != 0


@function("booland_statefunc")
def _and(left: bool, right: bool) -> bool:
    return left and right


@function("boolor_statefunc")
def _or(left: bool, right: bool) -> bool:
    return left or right


@function("bool_accum")
def _accumulate(state: list[int] | None, value: bool | None) -> list[int]:
    state = state or [0, 0]
    if value is not None:
        state[0] += 1
        state[1] += value
    return state


@function("bool_accum_inv")
def _accumulate_inverse(state: list[int], value: bool | None) -> list[int]:
    if value is not None:
        state[0] -= 1
        state[1] -= value
    return state


@function("bool_alltrue")
def _all_true(state: list[int] | None) -> bool | None:
    return None if not state or state[0] == 0 else state[1] == state[0]


@function("bool_anytrue")
def _any_true(state: list[int] | None) -> bool | None:
    return None if not state or state[0] == 0 else state[1] > 0
