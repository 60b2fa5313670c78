"""Record how PostgreSQL 18 stores values: tests/unit/types/data/disk.json (type, text, payload in hexadecimal).

Usage: python tools/record_disk_values.py "host=... user=postgres dbname=..."
Needs a superuser; makes and drops a table per value.
"""

import json
import struct
import sys
from pathlib import Path

import psycopg

TARGET = Path(__file__).parents[1] / "tests/unit/types/data/disk.json"
VALUES = {
    "bool": ["t", "f"], "int2": ["-2"], "int4": ["70000"], "int8": ["-5000000000"], "float4": ["1.5"],
    "float8": ["-0.1"], "oid": ["4294967295"], "xid8": ["99"], "pg_lsn": ["1/2"], "tid": ["(70000,3)"],
    "numeric": ["0", "0.00", "1", "-1.50", "123456789.000012", "1e100", "1e-100", "10000", "NaN", "Infinity",
                "-Infinity", "99999999999999999999.99", "0.0001", "1e300", "1.0e-70"],
    "text": ["", "abc", "héé"], "bpchar": ["ab  "], "name": ["abc"], "\"char\"": ["x"], "bytea": ["\\x00ff"],
    "date": ["2024-02-29", "infinity"], "time": ["12:34:56.789"], "timetz": ["12:34:56+02"],
    "timestamp": ["2024-02-29 12:00"], "timestamptz": ["2024-02-29 12:00+00"], "interval": ["1 mon -2 days 3 us"],
    "uuid": ["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"], "bit(5)": ["10101"], "varbit": ["", "101010101"],
    "inet": ["10.0.0.1", "10.1.0.0/16", "::1/64"], "cidr": ["10.1.0.0/16"], "json": ["{\"a\" : 1}"],
    "int4[]": ["{}", "{1,2,3}", "{1,NULL,3}", "[0:1]={5,6}", "{{1,2},{3,4}}"], "text[]": ["{a,NULL,bcd,\"\"}"],
    "numeric[]": ["{1.5,NULL,100000}"], "int2[]": ["{1,2,3}"], "bool[]": ["{t,f,NULL}"], "int8[]": ["{1,NULL}"],
    "name[]": ["{a,b}"], "jsonb[]": ["{\"{\\\"a\\\":1}\",\"2\"}"], "int2vector": ["1 2 3", ""], "oidvector": ["23 25"],
    "timetz[]": ["{12:00+01,13:00+02}"], "uuid[]": ["{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}"],
    "aclitem[]": ["{postgres=arw*/postgres,=r/postgres}"],
    "jsonb": ["1", "\"x\"", "null", "[]", "{}", "true", "[1,2.50,\"abc\",null,false]",
              "{\"a\":1,\"bb\":[1,{\"c\":\"d\"}],\"z\":1e20}",
              "[" + ",".join(str(i) for i in range(70)) + "]",
              "{" + ",".join(f"\"key{i}\":\"v{i}\"" for i in range(40)) + "}"],
    "jsonpath": ["$", "strict $.a[*] ? (@.b > 1.5 && @.c like_regex \"^a\" flag \"i\").d.size() + 1",
                 "$.\"a b\"[0 to last - 1, 3].**{1 to 2} ? (exists(@.x) || !(@ == null)).type()",
                 "-$x.decimal(4,2) == \"s\"", "$[*] ? ((@ starts with \"x\") is unknown)"],
}  # fmt: skip


def payload(page: bytes, length: int) -> bytes:
    """The one column of the page's first tuple, without varlena header."""
    word = struct.unpack_from("<I", page, 24)[0]
    offset, size = word & 0x7FFF, word >> 17
    tuple_bytes = page[offset : offset + size]
    data = tuple_bytes[tuple_bytes[22] :]
    if length > 0:
        return data[:length]
    if data[0] & 1:
        return data[1 : data[0] >> 1]
    return data[4 : struct.unpack_from("<I", data)[0] >> 2]


def main() -> None:
    rows = []
    with psycopg.connect(sys.argv[1], autocommit=True) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for type_name, texts in VALUES.items():
            for text in texts:
                connection.execute("DROP TABLE IF EXISTS types_disk_value")
                connection.execute(f"CREATE TABLE types_disk_value (v {type_name})")
                length = connection.execute(
                    "SELECT attlen FROM pg_attribute WHERE attrelid = 'types_disk_value'::regclass AND attnum = 1"
                ).fetchone()[0]
                if length == -1 and type_name not in ("inet", "cidr") and "vector" not in type_name:
                    connection.execute("ALTER TABLE types_disk_value ALTER v SET STORAGE EXTERNAL")
                connection.execute(f"INSERT INTO types_disk_value SELECT ($1)::text::{type_name}".replace("$1", "%s"),
                                   (text,))
                connection.execute("CHECKPOINT")
                page = connection.execute(
                    "SELECT pg_read_binary_file(pg_relation_filepath('types_disk_value'), 0, 8192)"
                ).fetchone()[0]
                rows.append([type_name, text, payload(page, length).hex()])
        connection.execute("DROP TABLE types_disk_value")
    lines = ",\n".join(json.dumps(row) for row in rows)
    TARGET.write_text('{"recorded-from": "PostgreSQL 18", "values": [\n' + lines + "\n]}\n")
    print(len(rows))


if __name__ == "__main__":
    main()
