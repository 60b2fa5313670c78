# feature: the scalar definitions answer as PostgreSQL does; cases and recorded answers stand in data/.
import json
from pathlib import Path

import pytest
from evaluate import run

from tusk.errors import SqlError
from tusk.types.registry import use_settings

DATA = Path(__file__).parent / "data"


class Settings:
    TimeZone = "UTC"


def load(path):
    answers = {}
    for line in path.with_suffix(".expected").read_text().splitlines():
        if not line.startswith("#"):
            row = json.loads(line)
            answers.setdefault(row["case"], []).append(row)
    return answers


def check(path):
    """Compare every case of a file; return the disagreements."""
    lines = path.with_suffix(".expected").read_text().splitlines()
    assert lines[0] == "# recorded-from: PostgreSQL 18"
    expected = iter([json.loads(line) for line in lines[1:]])
    settings = Settings()
    use_settings(settings)
    differences = []
    for line in path.read_text().splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        if line.startswith("SET "):
            name, _, value = line[4:].partition(" = ")
            value = value.strip().strip("'")
            setattr(settings, name, int(value) if value.lstrip("-").isdigit() else value)
            continue
        want = next(expected)
        assert want["case"] == line, "record the cases again"
        try:
            got = run(line)
            got = {"rows": got} if isinstance(got, list) else {"value": got}
        except SqlError as error:
            got = {"error": error.sqlstate, "message": error.message}
        except Exception as error:
            got = {"exception": repr(error)}
        want = {key: value for key, value in want.items() if key != "case"}
        if got != want:
            differences.append(f"{line}\n   want {want}\n   got  {got}")
    return differences


@pytest.mark.parametrize("path", sorted(DATA.glob("*.cases")), ids=lambda path: path.stem)
def test_cases(path):
    try:
        differences = check(path)
    finally:
        use_settings(None)
    assert not differences, "\n".join(differences)
