"""Record what PostgreSQL 18 answers to the calls of tests/unit/types/data/*.cases.

Usage: python tools/record_type_cases.py "host=... port=... user=..." [file ...]

A case file has one call per line (see tests/unit/types/evaluate.py); lines ``SET name = value`` change a setting for
the lines that follow. The answers go to the file of the same name ending in ``.expected``.
"""

import json
import sys
from pathlib import Path

import psycopg

ROOT = Path(__file__).parents[1]
DATA = ROOT / "tests/unit/types/data"
sys.path.insert(0, str(ROOT / "tests/unit/types"))

PROCS = """
SELECT proname, proargtypes::oid[]::int[], prorettype::int, prosrc, proisstrict, proretset, provariadic::int,
  (SELECT json_agg(json_build_array(proargnames[i], proallargtypes[i]::int) ORDER BY i)
     FROM generate_subscripts(proallargtypes, 1) i WHERE proargmodes[i] IN ('o', 't', 'b')),
  (SELECT json_build_object('kind', aggkind, 'trans', t.prosrc, 'tstrict', t.proisstrict, 'final', f.prosrc,
          'fstrict', f.proisstrict, 'extra', aggfinalextra, 'stype', aggtranstype::int, 'init', agginitval)
     FROM pg_aggregate a JOIN pg_proc t ON t.oid = aggtransfn LEFT JOIN pg_proc f ON f.oid = aggfinalfn
    WHERE aggfnoid = p.oid)
FROM pg_proc p WHERE prolang = 12 AND p.oid < 12000 AND prokind IN ('f', 'a')
 AND prosrc !~ '^(ts|gin|gist|spg|brin|binary_upgrade|pg_stat|xml|poly|box|circle|path|line_|lseg|point|cash|macaddr)'
ORDER BY proname, p.oid
"""


def record_procs(connection):
    names = ("name", "args", "ret", "src", "strict", "retset", "variadic", "out", "agg")
    rows = [dict(zip(names, row, strict=True)) for row in connection.execute(PROCS)]
    for row in rows:
        row["out"] = row["out"] or []
    lines = ",\n".join(json.dumps(row) for row in rows)
    (DATA / "procs.json").write_text('{"recorded-from": "PostgreSQL 18", "procs": [\n' + lines + "\n]}\n")


def record(connection, path):
    from evaluate import Parser, facts, to_sql

    facts()
    lines = ["# recorded-from: PostgreSQL 18"]
    connection.execute("RESET ALL; SET TimeZone = 'UTC'")
    for line in path.read_text().splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        if line.startswith("SET "):
            connection.execute(line)
            continue
        parsed = Parser(line).expression()
        sql = to_sql(parsed)
        is_set = parsed[0] == "call" and any(r["retset"] for r in facts()["by_name"].get(parsed[1], []))
        try:
            if is_set:
                # A composite result is shown whole.
                rows = connection.execute(f"SELECT x::text FROM (SELECT {sql} AS x) AS s").fetchall()
                answer = {"rows": [r[0] for r in rows]}
            else:
                cursor = connection.execute(f"SELECT {sql}", binary=False)
                data = cursor.pgresult.get_value(0, 0)
                answer = {"value": None if data is None else data.decode()}
        except psycopg.Error as error:
            answer = {"error": error.sqlstate, "message": error.diag.message_primary}
        lines.append(json.dumps({"case": line, **answer}))
    path.with_suffix(".expected").write_text("\n".join(lines) + "\n")
    print(path.name, len(lines) - 1)


def main():
    with psycopg.connect(sys.argv[1], autocommit=True) as connection:
        if not (DATA / "procs.json").exists() or "--procs" in sys.argv:
            record_procs(connection)
        for path in [Path(p) for p in sys.argv[2:] if p != "--procs"] or sorted(DATA.glob("*.cases")):
            record(connection, path)


if __name__ == "__main__":
    main()
