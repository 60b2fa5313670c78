"""Raw parse trees to Query trees."""

from tusk.sql.analyze import services as _services  # noqa: F401  installs what `types` asks for
from tusk.sql.analyze.statements import analyze
from tusk.sql.deparse import functions as _functions  # noqa: F401  registers the pg_get_* functions

__all__ = ["analyze"]
