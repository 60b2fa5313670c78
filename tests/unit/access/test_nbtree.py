"""B-trees against a sorted list, in one process."""

import btree_work as work
import pytest
from _cluster import in_cluster

CASES = [
    # seed, columns, options, n, spread, nulls, queries, order
    (1, "i", (), 3000, 100000, 0.0, 40, "random"),
    (2, "i", (), 6000, 30, 0.05, 40, "random"),
    (3, "i", (1,), 3000, 500, 0.1, 40, "ascending"),
    (4, "i", (2,), 3000, 500, 0.1, 40, "shuffled tids"),
    (5, "ii", (0, 1), 4000, 40, 0.05, 120, "random"),
    (6, "it", (3, 0), 4000, 20, 0.1, 120, "random"),
    (7, "t", (), 3000, 2000, 0.01, 40, "random"),
    (8, "iii", (), 4000, 12, 0.1, 150, "ascending"),
    (9, "iii", (1, 1, 1), 4000, 12, 0.1, 150, "random"),
    (10, "i", (), 20000, 1, 0.0, 10, "random"),
    (11, "t", (), 8000, 3, 0.0, 10, "shuffled tids"),
    (12, "ii", (), 8000, 90, 0.0, 40, "ascending"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c[1]}-{c[2]}-{c[7]}-{c[0]}")
def test_entries_are_found_as_in_a_sorted_list(tmp_path, case):
    assert in_cluster(tmp_path / "data", work.model_test, *case) > 2
