"""The reg* types: oids whose text form is the name of an object. Names are looked up by the catalogs' services."""

from collections.abc import Callable
from typing import Any

from tusk.errors import SqlError, errcode
from tusk.types.codec import register_codec
from tusk.types.format_type import format_type
from tusk.types.oids import UnsignedCodec, parse_unsigned
from tusk.types.registry import CallContext, function, services

KINDS = {
    24: "regproc", 2202: "regprocedure", 2203: "regoper", 2204: "regoperator", 2205: "regclass", 2206: "regtype",
    3734: "regconfig", 3769: "regdictionary", 4089: "regnamespace", 4096: "regrole", 4191: "regcollation",
}  # fmt: skip
# For operators zero is a name of its own.
_ZERO = {"regoper": "0", "regoperator": "0"}


class RegCodec(UnsignedCodec):
    """An oid on disk and wire; a name, ``-`` for 0, or digits as text."""

    __slots__ = ()

    def input(self, text: str, typmod: int = -1, ctx: CallContext | None = None) -> int:
        if text == "-" and self.name not in _ZERO:
            return 0
        if text == "0" and self.name in _ZERO:
            return 0
        if text and all("0" <= c <= "9" for c in text):
            return parse_unsigned(text, 32, "oid")
        oid: int = services.call("reg_in", self.name, text, False)
        return oid

    def output(self, value: Any) -> str:
        if value == 0:
            return _ZERO.get(self.name, "-")
        if self.name == "regtype":
            info = services.type_info(value)
            return format_type(value, None) if info is not None else str(value)
        provider = services.get("reg_out")
        name: str | None = provider(self.name, value) if provider is not None else None
        return name if name is not None else str(value)


register_codec(RegCodec, *KINDS)


def _finder(kind: str) -> Callable[[str], int | None]:
    def find(text: str) -> int | None:
        if text == "-" and kind not in _ZERO:
            return 0
        if text and all("0" <= c <= "9" for c in text):
            return parse_unsigned(text, 32, "oid")
        try:
            found: int | None = services.call("reg_in", kind, text, True)
        except SqlError as error:
            # Only malformed names and missing objects are soft errors here.
            if error.sqlstate in (errcode.FEATURE_NOT_SUPPORTED,):
                raise
            return None
        return found

    return find


for _kind in KINDS.values():
    if _kind not in ("regconfig", "regdictionary"):
        function("to_" + _kind)(_finder(_kind))


@function("to_regtypemod")
def _to_regtypemod(text: str) -> int | None:
    try:
        typmod: int = services.call("parse_type", text)[1]
    except SqlError as error:
        if error.sqlstate == errcode.FEATURE_NOT_SUPPORTED:
            raise
        return None
    return typmod


@function("text_regclass")
def _text_regclass(text: str) -> int:
    oid: int = services.call("reg_in", "regclass", text, False)
    return oid


@function("pg_typeof", context=True)
def _typeof(ctx: CallContext, value: Any) -> int:
    return ctx.argument_types[0]


