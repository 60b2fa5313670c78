"""Output kernels give what the codecs give."""

import random
from decimal import Decimal

import pytest

from tusk.types._kernel_output import render
from tusk.types.codec import codec_for

DAY = 86_400_000_000
VALUES = {
    16: [True, False], 21: [0, -32768, 32767], 23: [0, -(2**31), 2**31 - 1, 7], 20: [-(2**63), 2**63 - 1, 10],
    26: [0, 4294967295], 25: ["", "héllo", "a" * 300], 1043: ["x"], 19: ["name"], 17: [b"", b"\x00\xff\\"],
    701: [0.0, -0.0, 1.5, 1e15, 1e-5, 123456789012345.0, 1 / 3, 1e300, -2.5e-10, float("inf"), float("nan"),
          1e14 + 0.5],
    2950: [bytes(range(16))], 1082: [0, -730119, 8035, -730120, 2147483647, 2921939, 59],
    1114: [0, -1, 757_382_400_123_456, DAY * 8035 + 5_000_000, -(2**63), 2**63 - 1, 252455615999999999,
           -63082281600000000],
    1083: [0, DAY - 1, 45_296_000_000],
    1700: [Decimal(s) for s in ("0", "0.00", "1", "-1.5", "10000", "12345.6789", "0.00001", "1e20", "-0.1230",
                                "99999999", "100000000.0001", "NaN", "Infinity")],
}  # fmt: skip


def plain(value):
    if isinstance(value, Decimal) and value.is_finite() and value.as_tuple().exponent > 0:
        return value.quantize(Decimal(1))
    return value


@pytest.mark.parametrize("oid", VALUES)
@pytest.mark.parametrize("binary", [False, True], ids=["text", "binary"])
def test_kernels_agree_with_codecs(oid, binary):
    codec = codec_for(oid)
    for value in map(plain, VALUES[oid]):
        got = render(oid, value, binary)
        if got is not None:
            want = codec.send(value) if binary else codec.output(value).encode()
            assert got == want, value


def test_random_numerics_and_floats():
    rng = random.Random(3)
    for _ in range(500):
        value = Decimal(rng.randrange(-(10**20), 10**20)).scaleb(-rng.randrange(0, 25))
        assert render(1700, value) == codec_for(1700).output(value).encode()
        real = rng.uniform(-1, 1) * 10 ** rng.randrange(-20, 16)
        got = render(701, real)
        assert got is None or got == codec_for(701).output(real).encode()
