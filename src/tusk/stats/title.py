"""Process titles: what ``ps`` shows (utils/ps_status.h)."""

from __future__ import annotations

from setproctitle import setproctitle

from tusk.config import settings
from tusk.stats._title import find_title_area, write_title

_fixed = b""
_activity = ""
_suffix = ""
_initialized = False


def init_title(fixed: str, activity: str = "") -> None:
    """Set the part that stays (``checkpointer``, ``user db host``) and show it."""
    global _fixed, _initialized
    prefix = f"postgres: {settings.cluster_name}: " if settings.cluster_name else "postgres: "
    _fixed = f"{prefix}{fixed} ".encode("utf-8", "replace")
    if not _initialized:
        setproctitle(_fixed.decode("utf-8", "replace") + activity)
        find_title_area()
    _initialized = True
    _show(activity, "")


def set_title(activity: str) -> None:
    """Set the part that changes; nothing happens with ``update_process_title`` off."""
    if _initialized and (activity != _activity or _suffix) and settings.update_process_title:
        _show(activity, "")


def set_title_suffix(suffix: str) -> None:
    """Append ``waiting`` and the like to the present activity; '' takes it away."""
    if _initialized and settings.update_process_title and suffix != _suffix:
        _show(_activity, suffix)


def current_activity() -> str:
    """The part that changes, as it stands (get_ps_display)."""
    return f"{_activity} {_suffix}" if _suffix else _activity


def _show(activity: str, suffix: str) -> None:
    global _activity, _suffix
    _activity, _suffix = activity, suffix
    text = _fixed + activity.encode() + (b" " + suffix.encode() if suffix else b"")
    if not write_title(text):
        setproctitle(text.decode("utf-8", "replace"))
