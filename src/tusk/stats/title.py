"""Process titles: what ``ps`` shows."""

from tusk.stats._title import current_activity, init_title, set_title, set_title_suffix

__all__ = ["current_activity", "init_title", "set_title", "set_title_suffix"]
