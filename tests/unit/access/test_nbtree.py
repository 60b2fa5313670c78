"""B-trees against a sorted list, in one process."""

import btree_work as work
import pytest
from _cluster import Backend, in_cluster

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


@pytest.mark.parametrize("columns", ["i", "it"])
@pytest.mark.parametrize("full_page_writes", ["on", "off"])
def test_replay_makes_the_same_pages(tmp_path, columns, full_page_writes):
    def before():
        work.open_both(create=True, columns=columns)
        return work.churn(42, 150, columns)

    def after():
        work.state["columns"] = columns
        return work.pages_now()

    options = {"full_page_writes": full_page_writes}
    expected = in_cluster(tmp_path / "data", before, crash=True, options=options)
    got = in_cluster(tmp_path / "data", after, options=options)
    assert len(got) == len(expected)
    assert [block for block in range(len(got)) if got[block] != expected[block]] == []


@pytest.mark.parametrize(("unique", "columns", "spread"), [(False, "i", 500), (False, "it", 100000), (True, "i", 4000)])
def test_several_processes_insert_and_scan(tmp_path, unique, columns, spread):
    def body():
        work.open_both(create=True, unique=unique, columns=columns)
        writers = [Backend() for _ in range(3)]
        reader = Backend()
        for backend in (*writers, reader):
            backend.call(work.open_in_backend, unique, columns)
        for i, backend in enumerate(writers):
            backend.send(work.insert_many, i + 1, 2500, spread, "yes" if unique else "no", 1 if unique else 5)
        reader.send(work.scan_many, 9, 40, spread)
        outcome = [backend.receive() for backend in writers]
        reader.receive()
        counts = work.checked()
        for backend in (*writers, reader):
            backend.close()
        return outcome, counts

    outcome, counts = in_cluster(tmp_path / "data", body)
    committed = sum(done for done, _ in outcome)
    assert counts["entries"] >= committed > 1000
    assert counts["incomplete_splits"] == 0
    if unique:
        assert sum(duplicates for _, duplicates in outcome) > 100


def test_a_unique_insertion_waits_for_the_other_transaction(tmp_path):
    def body():
        work.open_both(create=True, unique=True)
        first, second = Backend(), Backend()
        for backend in (first, second):
            backend.call(work.open_in_backend, True, "i")
        out = []
        for commit in (True, False):
            first.call(work.begin)
            first.call(work.in_block, 7 + commit)
            second.send(work.insert_one, 7 + commit)
            first.call(work.finish, commit)
            out.append(second.receive())
        out.append(second.call(work.insert_one, 7))
        out.append(second.call(work.insert_one, None))
        out.append(second.call(work.insert_one, None))
        first.close()
        second.close()
        return out

    duplicate = ("23505", 'duplicate key value violates unique constraint "i16390"')
    assert in_cluster(tmp_path / "data", body) == [duplicate, "ok", duplicate, "ok", "ok"]


@pytest.mark.parametrize("columns", ["i", "it"])
def test_vacuum_deletes_and_recycles_pages(tmp_path, columns):
    def before():
        work.open_both(create=True, columns=columns)
        return work.vacuum_rounds(5, columns)

    pages, counts = in_cluster(tmp_path / "data", before, crash=True, options={"full_page_writes": "off"})
    assert sum(newly for newly, _, _ in counts) > 30
    assert any(free for _, free, _ in counts)
    assert counts[-1][2] < 2 * counts[0][2], counts        # free pages were used again
    got = in_cluster(tmp_path / "data", work.replayed_pages, columns)
    assert [block for block in range(len(pages)) if got[block] != pages[block]] == []
