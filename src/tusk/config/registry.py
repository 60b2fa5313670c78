"""What every parameter is set to, and the rules of changing it: context, source, transaction.

One `Settings` object per process, inherited by fork. A parameter is an attribute of it, so that readers pay one
attribute access. Changes inside a transaction are remembered by nest level and undone at abort; SET LOCAL is undone
at the end of the transaction too. Source: manual, "Setting Parameters" and the SET reference page.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import Enum, IntEnum
from typing import TYPE_CHECKING, Any

from tusk.config.effects import warn_if_without_effect
from tusk.config.parameters import REPORTED, Parameter, Value, parameter, parameters
from tusk.errors import Severity, SqlError, errcode, report


class Context(IntEnum):
    """Who asks for a change: the setter's rank against the parameter's ``context`` column."""

    INTERNAL = 0
    POSTMASTER = 1
    SIGHUP = 2
    SU_BACKEND = 3
    BACKEND = 4
    SUSET = 5
    USERSET = 6


class Source(IntEnum):
    """Where a value came from; a later one overrides an earlier one (utils/guc.h)."""

    DEFAULT = 0
    DYNAMIC_DEFAULT = 1
    ENV_VAR = 2
    FILE = 3
    ARGV = 4
    GLOBAL = 5
    DATABASE = 6
    USER = 7
    DATABASE_USER = 8
    CLIENT = 9
    OVERRIDE = 10
    INTERACTIVE = 11
    TEST = 12
    SESSION = 13

    @property
    def label(self) -> str:
        """The word in pg_settings.source."""
        return _SOURCE_LABELS[self]


_SOURCE_LABELS = {
    Source.DEFAULT: "default",
    Source.DYNAMIC_DEFAULT: "default",
    Source.ENV_VAR: "environment variable",
    Source.FILE: "configuration file",
    Source.ARGV: "command line",
    Source.GLOBAL: "global",
    Source.DATABASE: "database",
    Source.USER: "user",
    Source.DATABASE_USER: "database user",
    Source.CLIENT: "client",
    Source.OVERRIDE: "override",
    Source.INTERACTIVE: "interactive",
    Source.TEST: "test",
    Source.SESSION: "session",
}


class Action(Enum):
    """How long a change lasts."""

    SET = "set"
    LOCAL = "local"
    SAVE = "save"  # a function's SET clause: undone when its nest level ends


CONTEXTS = {
    "internal": Context.INTERNAL,
    "postmaster": Context.POSTMASTER,
    "sighup": Context.SIGHUP,
    "superuser-backend": Context.SU_BACKEND,
    "backend": Context.BACKEND,
    "superuser": Context.SUSET,
    "user": Context.USERSET,
}


class Settings:
    """The current values: one attribute for each parameter, under its exact name."""

    custom: dict[str, str]

    def __init__(self) -> None:
        self.custom = {}
        for item in parameters():
            setattr(self, item.name, item.boot_value)

    if TYPE_CHECKING:
        def __setattr__(self, name: str, value: Any) -> None: ...

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"unknown setting {name}")


class _State:
    """Provenance of a parameter that is not at its boot value, and what RESET returns it to."""

    __slots__ = ("reset_source", "reset_value", "source", "sourcefile", "sourceline", "pending_restart")

    def __init__(self, value: Value) -> None:
        self.source = Source.DEFAULT
        self.reset_value = value
        self.reset_source = Source.DEFAULT
        self.sourcefile: str | None = None
        self.sourceline = 0
        self.pending_restart = False


class _Saved:
    """The value before the first change at a nest level; ``after_set`` is what SET left under a later SET LOCAL."""

    __slots__ = ("action", "after_set", "after_set_source", "source", "value")

    def __init__(self, action: Action, value: Value, source: Source) -> None:
        self.action = action
        self.value = value
        self.source = source
        self.after_set: Value = None
        self.after_set_source = Source.DEFAULT


settings = Settings()
_states: dict[str, _State] = {}
_stack: list[dict[str, _Saved]] = []
levels = _stack  # for the transaction's own brackets, which meet mostly empty levels
_assign_hooks: dict[str, list[Callable[[Any], None]]] = {}
_check_hooks: dict[str, Callable[[Any, Source], Any]] = {}
_show_hooks: dict[str, Callable[[], str]] = {}
changed_reported: set[str] = set()
_IDENTIFIER = re.compile(r"[A-Za-z_\x80-\uffff][\w$\x80-\uffff]*(\.[A-Za-z_\x80-\uffff][\w$\x80-\uffff]*)+")


def on_assign(name: str) -> Callable[[Callable[[Any], None]], Callable[[Any], None]]:
    """Register a function called with the new value whenever the parameter changes (also at rollback)."""

    def register(hook: Callable[[Any], None]) -> Callable[[Any], None]:
        _assign_hooks.setdefault(name, []).append(hook)
        hook(getattr(settings, name))
        return hook

    return register


def on_check(name: str) -> Callable[[Callable[[Any, Source], Any]], Callable[[Any, Source], Any]]:
    """Register a function that gets a proposed value and its source and returns it (normalised) or raises 22023."""

    def register(hook: Callable[[Any, Source], Any]) -> Callable[[Any, Source], Any]:
        _check_hooks[name] = hook
        return hook

    return register


def on_show(name: str) -> Callable[[Callable[[], str]], Callable[[], str]]:
    """Register the function that makes the text for SHOW."""

    def register(hook: Callable[[], str]) -> Callable[[], str]:
        _show_hooks[name] = hook
        return hook

    return register


def check_text(item: Parameter, text: str) -> Value:
    """What a text would set the parameter to, without setting it. 22023 where it cannot be."""
    value = item.parse(text)
    check = _check_hooks.get(item.name)
    return value if check is None else check(value, Source.FILE)


def find(name: str) -> Parameter:
    """The parameter of that name; 42704 if there is none."""
    found = parameter(name)
    if found is None:
        raise SqlError(errcode.UNDEFINED_OBJECT, f'unrecognized configuration parameter "{name}"')
    return found


def is_custom_name(name: str) -> bool:
    """Whether the name is that of an extension's parameter: two or more identifiers with dots between."""
    return _IDENTIFIER.fullmatch(name) is not None


def state_of(item: Parameter) -> _State:
    """Provenance of a parameter; made at its boot value when first asked for."""
    state = _states.get(item.name)
    if state is None:
        state = _states[item.name] = _State(getattr(settings, item.name))
    return state


def option_source(name: str) -> Source:
    """Where the current value comes from."""
    state = _states.get(find(name).name)
    return state.source if state else Source.DEFAULT


def set_option(
    name: str,
    text: str | None,
    context: Context,
    source: Source,
    action: Action = Action.SET,
    *,
    sourcefile: str | None = None,
    sourceline: int = 0,
    is_reload: bool = False,
) -> bool:
    """Set a parameter from text; ``text`` None means RESET (to the value of the best lower source).

    Returns False where a change was not applied but is no error (a postmaster parameter on reload).
    Errors: 42704 unknown, 42501 not allowed, 55P02 not now, 22023 bad value.
    """
    item = parameter(name)
    if item is None:
        return _set_custom(name, text, context, source, action)
    if not _may_change(item, context, source, text, is_reload):
        return False
    if text is None and "NO_RESET" in item.flags:
        raise SqlError(errcode.FEATURE_NOT_SUPPORTED, f'parameter "{item.name}" cannot be reset')
    state = state_of(item)
    if text is None:
        value, source = state.reset_value, state.reset_source
    else:
        value = item.parse(text)
        check = _check_hooks.get(item.name)
        if check is not None:
            value = check(value, source)
    if source < state.source and text is not None and source <= Source.OVERRIDE:
        if source >= state.reset_source:
            _set_reset(state, value, source)
        return False
    if source <= Source.OVERRIDE and action is Action.SET and text is not None:
        _set_reset(state, value, source)
    if _stack and source > Source.OVERRIDE or action is not Action.SET or (_stack and text is None):
        _save(item, state, action)
    _apply(item, state, value, source)
    if source >= Source.CLIENT and text is not None:
        warn_if_without_effect(item, value)
    if text is not None and source <= Source.OVERRIDE:
        state.sourcefile, state.sourceline = sourcefile, sourceline
    return True


def _set_reset(state: _State, value: Value, source: Source) -> None:
    state.reset_value, state.reset_source = value, source


def _apply(item: Parameter, state: _State, value: Value, source: Source) -> None:
    changed = getattr(settings, item.name) != value
    setattr(settings, item.name, value)
    state.source = source
    for hook in _assign_hooks.get(item.name, ()):
        hook(value)
    if changed and item.name in REPORTED:
        changed_reported.add(item.name)


def _may_change(item: Parameter, context: Context, source: Source, text: str | None, is_reload: bool) -> bool:
    """Apply the rules of the parameter's context to the setter's; raise, or return False to skip quietly."""
    needed = CONTEXTS[item.context]
    name = item.name
    if needed == Context.INTERNAL and context != Context.INTERNAL:
        if context == Context.SIGHUP:
            return False
        raise SqlError(errcode.CANT_CHANGE_RUNTIME_PARAM, f'parameter "{name}" cannot be changed')
    if needed == Context.POSTMASTER and context not in (Context.POSTMASTER, Context.INTERNAL):
        if context == Context.SIGHUP and is_reload:
            return _postmaster_parameter_on_reload(item, text)
        if context == Context.SIGHUP:
            return False
        raise SqlError(
            errcode.CANT_CHANGE_RUNTIME_PARAM, f'parameter "{name}" cannot be changed without restarting the server'
        )
    if needed == Context.SIGHUP and context not in (Context.SIGHUP, Context.POSTMASTER, Context.INTERNAL):
        raise SqlError(errcode.CANT_CHANGE_RUNTIME_PARAM, f'parameter "{name}" cannot be changed now')
    if needed in (Context.SU_BACKEND, Context.BACKEND):
        if context == Context.SIGHUP and is_reload:
            return True
        if context in (Context.SUSET, Context.USERSET) and source > Source.CLIENT:
            raise SqlError(
                errcode.CANT_CHANGE_RUNTIME_PARAM,
                f'parameter "{name}" cannot be set after connection start',
            )
        if needed == Context.SU_BACKEND and context in (Context.BACKEND, Context.USERSET):
            raise SqlError(errcode.INSUFFICIENT_PRIVILEGE, f'permission denied to set parameter "{name}"')
    if needed == Context.SUSET and context in (Context.USERSET, Context.BACKEND):
        raise SqlError(errcode.INSUFFICIENT_PRIVILEGE, f'permission denied to set parameter "{name}"')
    return True


def _postmaster_parameter_on_reload(item: Parameter, text: str | None) -> bool:
    """Note that a changed file asks for a restart; the running value stays."""
    state = state_of(item)
    proposed = item.boot_value if text is None else item.parse(text)
    state.pending_restart = proposed != getattr(settings, item.name)
    if state.pending_restart:
        report(
            Severity.LOG,
            f'parameter "{item.name}" cannot be changed without restarting the server',
            sqlstate=errcode.CANT_CHANGE_RUNTIME_PARAM,
        )
    return False


def _set_custom(name: str, text: str | None, context: Context, source: Source, action: Action) -> bool:
    if not is_custom_name(name):
        if "." in name:
            raise SqlError(
                errcode.INVALID_NAME,
                f'invalid configuration parameter name "{name}"',
                detail="Custom parameter names must be two or more simple identifiers separated by dots.",
            )
        raise SqlError(errcode.UNDEFINED_OBJECT, f'unrecognized configuration parameter "{name}"')
    key = name.lower()
    if _stack:
        level = _stack[-1]
        saved_name = f"custom:{key}"
        if saved_name not in level:
            level[saved_name] = _Saved(action, settings.custom.get(key), source)
        elif action is Action.LOCAL and level[saved_name].action is Action.SET:
            level[saved_name].after_set = settings.custom.get(key)
            level[saved_name].action = Action.LOCAL
    settings.custom[key] = "" if text is None else text
    return True


def _save(item: Parameter, state: _State, action: Action) -> None:
    """Remember the value before the first change at this nest level, and what SET set before SET LOCAL."""
    if not _stack:
        if action is Action.LOCAL:
            report(
                Severity.WARNING,
                "SET LOCAL can only be used in transaction blocks",
                sqlstate=errcode.NO_ACTIVE_SQL_TRANSACTION,
            )
        return
    level = _stack[-1]
    saved = level.get(item.name)
    if saved is None:
        level[item.name] = _Saved(action, getattr(settings, item.name), state.source)
    elif action is Action.LOCAL and saved.action is Action.SET:
        saved.after_set, saved.after_set_source = getattr(settings, item.name), state.source
        saved.action = Action.LOCAL
    elif action is Action.SET:
        saved.action = Action.SET
        saved.after_set = None


def current_nest_level() -> int:
    """How many levels (transaction, subtransactions, functions with SET) are open."""
    return len(_stack)


def enter_nest_level() -> int:
    """Open a level; call at the start of a transaction, a subtransaction, or a function with SET. Returns it."""
    _stack.append({})
    return len(_stack)


def at_end_transaction(is_commit: bool, nest_level: int) -> None:
    """Close all levels from ``nest_level`` (counted from 1) up: keep or undo the changes made in them."""
    while len(_stack) >= nest_level:
        level = _stack.pop()
        for name, saved in level.items():
            if name.startswith("custom:"):
                _end_custom(name[7:], saved, is_commit)
                continue
            item = find(name)
            state = state_of(item)
            if not is_commit or saved.action is Action.SAVE:
                _apply(item, state, saved.value, saved.source)
                continue
            if saved.action is Action.LOCAL and not _stack:
                was_set = saved.after_set is not None
                _apply(
                    item,
                    state,
                    saved.after_set if was_set else saved.value,
                    saved.after_set_source if was_set else saved.source,
                )
            elif _stack:
                _stack[-1].setdefault(name, saved)
                if _stack[-1][name] is not saved:
                    _merge(_stack[-1][name], saved)


def _merge(outer: _Saved, inner: _Saved) -> None:
    """Fold a committed subtransaction's change into its parent's memory."""
    if inner.action is Action.LOCAL and outer.action is Action.SET:
        outer.after_set, outer.after_set_source = inner.value, inner.source
    outer.action = inner.action


def _end_custom(key: str, saved: _Saved, is_commit: bool) -> None:
    value = saved.value
    if is_commit and saved.action is Action.SET:
        if _stack:
            _stack[-1].setdefault(f"custom:{key}", saved)
        return
    if is_commit and saved.after_set is not None:
        value = saved.after_set
    if value is None:
        settings.custom.pop(key, None)
    else:
        settings.custom[key] = str(value)


def show(name: str) -> str:
    """The text of SHOW; 42704 for a name that is neither known nor set as a custom parameter."""
    item = parameter(name)
    if item is None:
        custom = settings.custom.get(name.lower())
        if custom is None:
            raise SqlError(errcode.UNDEFINED_OBJECT, f'unrecognized configuration parameter "{name}"')
        return custom
    hook = _show_hooks.get(item.name)
    return hook() if hook else item.format(getattr(settings, item.name))


def setting_text(name: str) -> str:
    """The text of pg_settings.setting: without units."""
    item = find(name)
    hook = _show_hooks.get(item.name)
    return hook() if hook else item.format(getattr(settings, item.name), use_units=False)


def reset_all(context: Context) -> None:
    """RESET ALL: return every parameter that the session changed to its session default."""
    for item in list(parameters()):
        state = _states.get(item.name)
        if state is None or state.source <= Source.OVERRIDE or "NO_RESET_ALL" in item.flags:
            continue
        if CONTEXTS[item.context] in (Context.SUSET, Context.USERSET):
            set_option(item.name, None, context, Source.SESSION)


def take_changed_reported() -> list[str]:
    """Names of reported parameters that changed since the last call, for ParameterStatus."""
    changed = sorted(changed_reported)
    changed_reported.clear()
    return changed
