"""Settings (GUC): every parameter of PostgreSQL 18, where its value comes from, and when it may change."""

from tusk.config import checks
from tusk.config.parameters import Parameter, parameter, parameters
from tusk.config.registry import (
    Action,
    Context,
    Source,
    at_end_transaction,
    current_nest_level,
    enter_nest_level,
    on_assign,
    on_check,
    on_show,
    option_source,
    reset_all,
    set_option,
    settings,
    show,
)

__all__ = [
    "Action",
    "Context",
    "Parameter",
    "Source",
    "at_end_transaction",
    "checks",
    "current_nest_level",
    "enter_nest_level",
    "on_assign",
    "on_check",
    "on_show",
    "option_source",
    "parameter",
    "parameters",
    "reset_all",
    "set_option",
    "settings",
    "show",
]
