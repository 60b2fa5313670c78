"""pg_table_is_visible() and its kin, temporary schemas."""

from __future__ import annotations

from tusk.catalog import namespace
from tusk.catalog.session import session
from tusk.types.registry import function

for _prosrc, _visible in (
    ("pg_table_is_visible", namespace.relation_is_visible),
    ("pg_type_is_visible", namespace.type_is_visible),
    ("pg_function_is_visible", namespace.function_is_visible),
    ("pg_operator_is_visible", namespace.operator_is_visible),
    ("pg_opclass_is_visible", namespace.opclass_is_visible),
    ("pg_opfamily_is_visible", namespace.opfamily_is_visible),
    ("pg_collation_is_visible", namespace.collation_is_visible),
    ("pg_conversion_is_visible", namespace.conversion_is_visible),
    ("pg_statistics_obj_is_visible", namespace.statistics_is_visible),
    ("pg_ts_config_is_visible", namespace.ts_config_is_visible),
    ("pg_ts_dict_is_visible", namespace.ts_dict_is_visible),
    ("pg_ts_parser_is_visible", namespace.ts_parser_is_visible),
    ("pg_ts_template_is_visible", namespace.ts_template_is_visible),
):
    function(_prosrc)(_visible)


@function("pg_my_temp_schema")
def pg_my_temp_schema() -> int:
    """This session's temporary schema, 0 if it has none yet."""
    return session.temp_namespace_id


@function("pg_is_other_temp_schema")
def pg_is_other_temp_schema(oid: int) -> bool:
    """Whether a schema is the temporary one of another session."""
    return bool(namespace.is_other_temp_namespace(oid))
