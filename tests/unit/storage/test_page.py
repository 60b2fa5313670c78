"""Operations on pages."""

import random

import pytest

from tusk.errors import SqlError
from tusk.storage import _page


@pytest.fixture
def page():
    made = bytearray(8192)
    _page.init(made, 16)
    return made


def test_init_writes_the_header(page):
    assert page[12:20] == (24).to_bytes(2, "little") + (8176).to_bytes(2, "little") * 2 + (0x2004).to_bytes(2, "little")
    assert _page.free_space(page) == 8176 - 24 - 4


def test_items_are_added_downwards_until_full(page):
    offsets = []
    while offset := _page.add_item(page, b"x" * 100):
        offsets.append(offset)
    assert offsets == list(range(1, 76))        # 104 + 4 bytes each
    assert _page.free_space(page) < 104


def test_insert_in_the_middle_shifts(page):
    for item in (b"a", b"c"):
        _page.add_item(page, item)
    assert _page.add_item(page, b"b", 2) == 2
    assert [item for _, _, item in _page.items(page)] == [b"a", b"b", b"c"]


@pytest.mark.parametrize("seed", range(20))
def test_repair_keeps_what_is_used(page, seed):
    rng = random.Random(seed)
    kept = {}
    while offset := _page.add_item(page, data := rng.randbytes(rng.randrange(1, 300))):
        kept[offset] = data
    for offset in rng.sample(sorted(kept), len(kept) // 2):
        _page.set_item_flags(page, offset, rng.choice([0, 3]))
        del kept[offset]
    _page.repair_fragmentation(page)
    after = {offset: item for offset, flags, item in _page.items(page) if flags == 1}
    assert after == kept
    lower = int.from_bytes(page[12:14], "little")
    upper = int.from_bytes(page[14:16], "little")
    assert upper == 8176 - sum((len(item) + 7) // 8 * 8 for item in kept.values())
    used = max((o for o, flags, _ in _page.items(page) if flags), default=0)
    assert lower == 24 + 4 * used


@pytest.mark.parametrize("seed", range(10))
def test_index_delete_and_overwrite(page, seed):
    rng = random.Random(seed)
    expected = []
    while len(expected) < 60:
        data = rng.randbytes(rng.randrange(8, 100))
        where = rng.randrange(len(expected) + 1)
        assert _page.add_item(page, data, where + 1) == where + 1
        expected.insert(where, data)
    doomed = sorted(rng.sample(range(60), rng.choice([1, 2, 3, 30])))
    _page.index_delete(page, [i + 1 for i in doomed])
    expected = [data for i, data in enumerate(expected) if i not in doomed]
    assert [item for _, _, item in _page.items(page)] == expected
    for i in rng.sample(range(len(expected)), 5):
        expected[i] = rng.randbytes(rng.randrange(8, 150))
        assert _page.index_overwrite(page, i + 1, expected[i])
    assert [item for _, _, item in _page.items(page)] == expected
    assert not _page.index_overwrite(page, 1, b"x" * 8000)


def test_checksum_and_verification(page):
    _page.add_item(page, b"something")
    page[8:10] = _page.checksum(page, 7).to_bytes(2, "little")
    assert _page.verify(page, 7) == 0
    assert _page.verify(page, 8) == 1
    assert _page.verify(bytes(8192), 3) == 0
    page[5000] ^= 1
    assert _page.verify(page, 7) == 1
    assert _page.verify(page, 7, False) == 0
    page[14:16] = (9000).to_bytes(2, "little")
    assert _page.verify(page, 7) == 3
    with pytest.raises(SqlError) as caught:
        _page.repair_fragmentation(page)
    assert caught.value.sqlstate == "XX001"
    assert caught.value.message == "corrupted page pointers: lower = 28, upper = 9000, special = 8176"
