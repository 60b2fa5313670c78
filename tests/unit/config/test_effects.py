"""The list of settings without effect is complete: what no code mentions is on it."""

import re
from pathlib import Path

import tusk
from tusk.config import effects
from tusk.config.parameters import parameters

_FACTS = {"parameters.py", "effects.py"}


def _mentioned():
    words = set()
    for path in Path(tusk.__file__).parent.rglob("*.py*"):
        if path.suffix in (".py", ".pyx") and path.name not in _FACTS:
            words |= set(re.findall(r"[A-Za-z_][A-Za-z_0-9]+", path.read_text()))
    return words


def test_what_no_code_mentions_is_listed():
    words = _mentioned()
    unknown = [
        item.name for item in parameters()
        if item.context != "internal" and item.name not in words and item.name not in effects.WITHOUT_EFFECT
    ]  # fmt: skip
    assert unknown == []


def test_warning_only_where_the_value_promises_something(monkeypatch):
    said = []
    monkeypatch.setattr(effects, "report", lambda severity, text: said.append(text))
    by_name = {item.name: item for item in parameters()}
    effects.warn_if_without_effect(by_name["jit"], True)
    effects.warn_if_without_effect(by_name["jit"], False)
    effects.warn_if_without_effect(by_name["work_mem"], 64)
    assert said == []
    effects.warn_if_without_effect(by_name["trace_sort"], True)
    assert said == ['parameter "trace_sort" has no effect yet']
