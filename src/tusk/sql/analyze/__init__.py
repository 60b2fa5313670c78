"""Raw parse trees to Query trees."""

from tusk.sql.analyze import services as _services  # noqa: F401  installs what `types` asks for
from tusk.sql.analyze.statements import analyze

__all__ = ["analyze"]
