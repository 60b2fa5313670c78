"""Imports every module of the package that registers functions or codecs; `registry.load_builtins` imports this."""

from tusk.types import (
    booleans,
    bytea,
    floats,
    integers,
    numeric_format,
    oids,
    text_format,
)
from tusk.types.codec import register_io_functions

MODULES = (
    booleans,
    bytea,
    floats,
    integers,
    numeric_format,
    oids,
    text_format,
)

register_io_functions()
