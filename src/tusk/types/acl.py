"""aclitem and access control lists: formats, defaults, taking apart. Role names come from the catalogs."""

import struct
from collections.abc import Iterator
from typing import Any

from tusk.errors import SqlError, errcode
from tusk.types.codec import Buffer, Codec, register_codec
from tusk.types.hashing import hash_uint32_extended
from tusk.types.registry import CallContext, function, services
from tusk.types.values import AclItem, Array

ACLITEMOID = 1033
PUBLIC = 0

# Letter and name of each privilege, by bit (nodes/parsenodes.h, utils/acl.h).
PRIVILEGES = (
    ("a", "INSERT"), ("r", "SELECT"), ("w", "UPDATE"), ("d", "DELETE"), ("D", "TRUNCATE"), ("x", "REFERENCES"),
    ("t", "TRIGGER"), ("X", "EXECUTE"), ("U", "USAGE"), ("C", "CREATE"), ("T", "TEMPORARY"), ("c", "CONNECT"),
    ("s", "SET"), ("A", "ALTER SYSTEM"), ("m", "MAINTAIN"),
)  # fmt: skip
LETTERS = {letter: 1 << bit for bit, (letter, _) in enumerate(PRIVILEGES)}
NAMES = {name: 1 << bit for bit, (_, name) in enumerate(PRIVILEGES)} | {"TEMP": 1 << 10}


def mask_of(letters: str) -> int:
    """Privilege bits of a string of letters."""
    mask = 0
    for letter in letters:
        mask |= LETTERS[letter]
    return mask


# All privileges of a kind of object, and those that PUBLIC has by default; kinds as in acldefault().
ALL_RIGHTS = {"c": mask_of("arwx"), "r": mask_of("arwdDxtm"), "s": mask_of("rwU"), "d": mask_of("CTc"),
              "f": mask_of("X"), "l": mask_of("U"), "L": mask_of("rw"), "n": mask_of("UC"), "p": mask_of("sA"),
              "t": mask_of("C"), "F": mask_of("U"), "S": mask_of("U"), "T": mask_of("U")}  # fmt: skip
PUBLIC_RIGHTS = {"d": mask_of("Tc"), "f": mask_of("X"), "l": mask_of("U"), "T": mask_of("U")}


def _role_text(oid: int) -> str:
    name = services.call("role_name", oid)
    if name is None:
        return str(oid)
    if name and all(c.isalnum() or c == "_" or ord(c) > 127 for c in name):
        return str(name)
    return '"' + str(name).replace('"', '""') + '"'


def acl_text(item: AclItem) -> str:
    """grantee=privileges/grantor."""
    rights, options = item.privileges & 0xFFFFFFFF, item.privileges >> 32
    letters = ""
    for bit, (letter, _) in enumerate(PRIVILEGES):
        if rights >> bit & 1:
            letters += letter
        if options >> bit & 1:
            letters += "*"
    grantee = "" if item.grantee == PUBLIC else _role_text(item.grantee)
    return f"{grantee}={letters}/{_role_text(item.grantor)}"


def _read_name(text: str, position: int) -> tuple[str, int]:
    if text[position : position + 1] == '"':
        end = position + 1
        characters: list[str] = []
        while True:
            if end >= len(text):
                raise SqlError(errcode.INVALID_TEXT_REPRESENTATION, "unterminated quoted identifier")
            if text[end] == '"':
                if text[end + 1 : end + 2] != '"':
                    return "".join(characters), end + 1
                end += 1
            characters.append(text[end])
            end += 1
    end = position
    while end < len(text) and (text[end].isalnum() or text[end] == "_" or ord(text[end]) > 127):
        end += 1
    return text[position:end], end


def _role_oid(name: str) -> int:
    oid: int | None = services.call("role_oid", name)
    if oid is None:
        raise SqlError(errcode.UNDEFINED_OBJECT, f'role "{name}" does not exist')
    return oid


def parse_acl(text: str) -> AclItem:
    """Value of the text form."""

    def fail(message: str, hint: str | None = None) -> SqlError:
        return SqlError(errcode.INVALID_TEXT_REPRESENTATION, message, hint=hint)

    body = text.strip()
    name, position = _read_name(body, 0)
    if body[position : position + 1] != "=":
        if body[position : position + 1] != " " or name not in ("group", "user"):
            if name not in ("group", "user"):
                raise fail("missing \"=\" sign")
            raise fail(f'unrecognized key word: "{name}"', 'ACL key word must be "group" or "user".')
        name, position = _read_name(body, position + 1)
        if not name:
            raise fail("missing name", 'A name must follow the "group" or "user" key word.')
        if body[position : position + 1] != "=":
            raise fail("missing \"=\" sign")
    position += 1
    rights = options = last = 0
    while position < len(body) and (body[position].isalpha() or body[position] == "*"):
        letter = body[position]
        if letter == "*":
            options |= last
        elif letter in LETTERS:
            last = LETTERS[letter]
            rights |= last
        else:
            letters = "".join(letter for letter, _ in PRIVILEGES)
            raise fail(f'invalid mode character: must be one of "{letters}"')
        position += 1
    grantee = PUBLIC if not name else _role_oid(name)
    grantor = 10
    if body[position : position + 1] == "/":
        grantor_name, position = _read_name(body, position + 1)
        if not grantor_name:
            raise fail('a name must follow the "/" sign')
        grantor = _role_oid(grantor_name)
    if body[position:].strip():
        raise fail("extra garbage at the end of the ACL specification")
    return AclItem(grantee, grantor, rights | options << 32)


class AclItemCodec(Codec):
    """Two oids and 64 privilege bits."""

    __slots__ = ()

    def from_disk(self, data: Buffer) -> AclItem:
        return AclItem(*struct.unpack("<IIQ", data))

    def to_disk(self, value: Any) -> bytes:
        return struct.pack("<IIQ", *value)

    def input(self, text: str, typmod: int = -1, ctx: CallContext | None = None) -> AclItem:
        return parse_acl(text)

    def output(self, value: Any) -> str:
        return acl_text(value)

    def receive(self, data: Buffer, typmod: int = -1) -> AclItem:
        raise SqlError(errcode.UNDEFINED_FUNCTION, "no binary input function available for type aclitem")

    def send(self, value: Any) -> bytes:
        raise SqlError(errcode.UNDEFINED_FUNCTION, "no binary output function available for type aclitem")


register_codec(AclItemCodec, ACLITEMOID)


@function("aclitem_eq")
def _eq(left: AclItem, right: AclItem) -> bool:
    return left == right


@function("aclcontains")
def _contains(acl: Array, item: AclItem) -> bool:
    return any(
        entry.grantee == item.grantee
        and entry.grantor == item.grantor
        and item.privileges & entry.privileges == item.privileges
        for entry in acl.elements
    )


@function("aclinsert", "aclremove")
def _no_longer_supported(acl: Array, item: AclItem) -> Array:
    raise SqlError(errcode.FEATURE_NOT_SUPPORTED, "aclinsert is no longer supported")


def privilege_mask(text: str) -> int:
    """Bits of a comma-separated list of privilege names; 22023 for an unknown one."""
    mask = 0
    for word in text.split(","):
        bit = NAMES.get(word.strip().upper())
        if bit is None:
            raise SqlError(errcode.INVALID_PARAMETER_VALUE, f'unrecognized privilege type: "{word.strip()}"')
        mask |= bit
    return mask


@function("makeaclitem")
def _make(grantee: int, grantor: int, privileges: str, grantable: bool) -> AclItem:
    mask = privilege_mask(privileges)
    return AclItem(grantee, grantor, mask | (mask << 32 if grantable else 0))


def acl_default(kind: str, owner: int) -> Array:
    """The access control list that a new object of a kind has."""
    if kind not in ALL_RIGHTS:
        raise SqlError(errcode.INVALID_PARAMETER_VALUE, f"unrecognized object type abbreviation: {kind}")
    items = []
    if kind in PUBLIC_RIGHTS:
        items.append(AclItem(PUBLIC, owner, PUBLIC_RIGHTS[kind]))
    if kind != "c":
        items.append(AclItem(owner, owner, ALL_RIGHTS[kind]))
    return Array.of(ACLITEMOID, items)


function("acldefault_sql")(acl_default)


@function("aclexplode", set_returning=True)
def _explode(acl: Array) -> Iterator[tuple[int, int, str, bool]]:
    for item in acl.elements:
        for bit, (_, name) in enumerate(PRIVILEGES):
            if item.privileges >> bit & 1:
                yield item.grantor, item.grantee, name, bool(item.privileges >> 32 + bit & 1)


@function("hash_aclitem")
def _hash(item: AclItem) -> int:
    value = (item.privileges + item.grantee + item.grantor) & 0xFFFFFFFF
    return value - (1 << 32) if value >> 31 else value


@function("hash_aclitem_extended")
def _hash_extended(item: AclItem, seed: int) -> int:
    value = item.privileges + item.grantee + item.grantor
    if seed == 0:
        value &= 0xFFFFFFFFFFFFFFFF
        return value - (1 << 64) if value >> 63 else value
    mixed = hash_uint32_extended(value & 0xFFFFFFFF, seed)
    return mixed - (1 << 64) if mixed >> 63 else mixed
