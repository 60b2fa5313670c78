"""Imports every module of the package that registers functions or codecs; `registry.load_builtins` imports this."""

import importlib

from tusk.types.codec import register_io_functions

MODULES = (
    "booleans",
    "integers",
    "floats",
    "numeric_format",
    "numeric",
    "numeric_math",
    "oids",
    "text_format",
    "bytea",
    "collate",
    "text",
    "patterns",
    "regex_functions",
    "arrays",
    "format_type",
    "records",
    "dates",
    "timestamps",
    "intervals",
    "datetime_fields",
    "random",
    "array_functions",
    "uuid",
    "bits",
    "regtypes",
    "acl",
    "encoding",
    "hashing",
    "network",
    "misc",
    "snapshots",
    "number_templates",
    "datetime_templates",
    "jsonb_format",
    "json_output",
    "json_functions",
    "jsonb_functions",
    "jsonpath_format",
    "jsonpath",
    "json_populate",
    "aggregates",
    "ordered_sets",
    "window",
)

for _name in MODULES:
    importlib.import_module("tusk.types." + _name)

register_io_functions()
