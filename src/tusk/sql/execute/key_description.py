"""Keys in messages of foreign keys: ``(a, b)=(1, x)``."""

from __future__ import annotations

from typing import Any

from tusk.types.codec import codec_for


def text_of(value: Any, type_oid: int) -> str:
    """A value as shown in a message."""
    return "null" if value is None else codec_for(type_oid).output(value)


def key_text(names: list[str], values: list[str]) -> str:
    """``(a, b)=(1, x)``."""
    return f"({', '.join(names)})=({', '.join(values)})"
