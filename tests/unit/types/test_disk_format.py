# feature: values are stored byte for byte as PostgreSQL stores them; payloads recorded in data/disk.json.
import json
from pathlib import Path

import pytest
from evaluate import type_oid

from tusk.types.codec import codec_for
from tusk.types.registry import services, use_settings

FACTS = json.loads((Path(__file__).parent / "data/disk.json").read_text())


class Settings:
    TimeZone = "UTC"


@pytest.fixture(autouse=True)
def session():
    use_settings(Settings())
    services.provide("role_oid", lambda name: {"postgres": 10}.get(name))
    services.provide("role_name", lambda oid: {10: "postgres"}.get(oid))
    yield
    use_settings(None)


@pytest.mark.parametrize(("name", "text", "data"), FACTS["values"], ids=lambda v: str(v)[:20])
def test_payload(name, text, data):
    assert FACTS["recorded-from"] == "PostgreSQL 18"
    codec = codec_for(type_oid(name.strip('"').split("(")[0]))
    value = codec.input(text)
    assert codec.to_disk(value).hex() == data
    assert codec.output(codec.from_disk(bytes.fromhex(data))) == codec.output(value)
    if name != "aclitem[]":
        assert codec.output(codec.receive(codec.send(value))) == codec.output(value)
