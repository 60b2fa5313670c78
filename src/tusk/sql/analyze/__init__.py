"""Raw parse trees to Query trees."""

from tusk.sql.analyze.statements import analyze

__all__ = ["analyze"]
