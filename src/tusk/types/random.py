"""Random numbers: random(), random_normal(), setseed(), and the generator of this session."""

import importlib
import math
import os
from decimal import Decimal
from typing import TYPE_CHECKING

from tusk.errors import SqlError, errcode
from tusk.types.numeric_format import coefficient_of, make, scale_of
from tusk.types.registry import function

if TYPE_CHECKING:
    from random import Random

_generator: "Random | None" = None
_owner = 0


def session_random() -> "Random":
    """The generator of this process, seeded anew after a fork."""
    global _generator, _owner
    if _generator is None or _owner != os.getpid():
        _generator = importlib.import_module("random").Random(os.urandom(32))
        _owner = os.getpid()
    assert _generator is not None
    return _generator


@function("drandom")
def _random() -> float:
    return session_random().random()


@function("drandom_normal")
def _random_normal(mean: float, deviation: float) -> float:
    return session_random().gauss(mean, deviation)


@function("setseed")
def _setseed(seed: float) -> None:
    if not -1 <= seed <= 1 or math.isnan(seed):
        raise SqlError(errcode.INVALID_PARAMETER_VALUE, f"setseed parameter {seed:g} is out of allowed range [-1,1]")
    # Differs from PostgreSQL: the same seed gives another, but also repeatable, sequence.
    session_random().seed(seed)


def _check_bounds(low: object, high: object, ordered: bool) -> None:
    if not ordered:
        raise SqlError(
            errcode.INVALID_PARAMETER_VALUE, "lower bound must be less than or equal to upper bound"
        )


@function("int4random", "int8random")
def _random_int(low: int, high: int) -> int:
    _check_bounds(low, high, low <= high)
    return session_random().randint(low, high)


@function("numeric_random")
def _random_numeric(low: Decimal, high: Decimal) -> Decimal:
    for value, name in ((low, "lower"), (high, "upper")):
        if not value.is_finite():
            what = "NaN" if value.is_nan() else "infinity"
            raise SqlError(errcode.INVALID_PARAMETER_VALUE, f"{name} bound cannot be {what}")
    _check_bounds(low, high, low <= high)
    scale = max(scale_of(low), scale_of(high))
    return make(session_random().randint(coefficient_of(low, scale), coefficient_of(high, scale)), scale)
