"""encode and decode, digests and checksums, conversion between character sets."""

import base64
import binascii
import importlib
import zlib
from typing import Any

from tusk.config import on_check
from tusk.errors import SqlError, errcode, feature_not_supported
from tusk.types.bytea import parse_hex
from tusk.types.codec import decode_text, invalid_encoding
from tusk.types.registry import function
from tusk.types.text import encoded

_BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

# PostgreSQL's encodings in the order of their numbers (mb/pg_wchar.h): name, Python codec, longest character.
ENCODINGS: tuple[tuple[str, str, int], ...] = (
    ("SQL_ASCII", "ascii", 1), ("EUC_JP", "euc_jp", 3), ("EUC_CN", "gb2312", 3), ("EUC_KR", "euc_kr", 3),
    ("EUC_TW", "", 4), ("EUC_JIS_2004", "euc_jis_2004", 3), ("UTF8", "utf-8", 4), ("MULE_INTERNAL", "", 4),
    ("LATIN1", "iso8859-1", 1), ("LATIN2", "iso8859-2", 1), ("LATIN3", "iso8859-3", 1), ("LATIN4", "iso8859-4", 1),
    ("LATIN5", "iso8859-9", 1), ("LATIN6", "iso8859-10", 1), ("LATIN7", "iso8859-13", 1),
    ("LATIN8", "iso8859-14", 1), ("LATIN9", "iso8859-15", 1), ("LATIN10", "iso8859-16", 1), ("WIN1256", "cp1256", 1),
    ("WIN1258", "cp1258", 1), ("WIN866", "cp866", 1), ("WIN874", "cp874", 1), ("KOI8R", "koi8_r", 1),
    ("WIN1251", "cp1251", 1), ("WIN1252", "cp1252", 1), ("ISO_8859_5", "iso8859-5", 1),
    ("ISO_8859_6", "iso8859-6", 1), ("ISO_8859_7", "iso8859-7", 1), ("ISO_8859_8", "iso8859-8", 1),
    ("WIN1250", "cp1250", 1), ("WIN1253", "cp1253", 1), ("WIN1254", "cp1254", 1), ("WIN1255", "cp1255", 1),
    ("WIN1257", "cp1257", 1), ("KOI8U", "koi8_u", 1), ("SJIS", "cp932", 2), ("BIG5", "cp950", 2),
    ("GBK", "gbk", 2), ("UHC", "cp949", 2), ("GB18030", "gb18030", 4), ("JOHAB", "johab", 3),
    ("SHIFT_JIS_2004", "shift_jis_2004", 2),
)  # fmt: skip
_ALIASES = {
    "unicode": "utf8", "mskanji": "sjis", "shiftjis": "sjis", "win932": "sjis", "windows932": "sjis", "abc": "win1258",
    "tcvn": "win1258", "tcvn5712": "win1258", "vscii": "win1258", "alt": "win866", "win": "win1251", "koi8": "koi8r",
    "win936": "gbk", "windows936": "gbk", "win949": "uhc", "windows949": "uhc", "win950": "big5",
    "windows950": "big5", "iso88591": "latin1", "iso88592": "latin2", "iso88593": "latin3", "iso88594": "latin4",
    "iso88599": "latin5", "iso885910": "latin6", "iso885913": "latin7", "iso885914": "latin8", "iso885915": "latin9",
    "iso885916": "latin10", "windows866": "win866", "windows874": "win874", "windows1250": "win1250",
    "windows1251": "win1251", "windows1252": "win1252", "windows1253": "win1253", "windows1254": "win1254",
    "windows1255": "win1255", "windows1256": "win1256", "windows1257": "win1257", "windows1258": "win1258",
}  # fmt: skip
_NUMBERS = {"".join(c for c in name.lower() if c.isalnum()): n for n, (name, _, _) in enumerate(ENCODINGS)}


def encoding_number(name: str) -> int:
    """Number of an encoding by any of its names; -1 when there is none."""
    key = "".join(c for c in name.lower() if c.isalnum())
    return _NUMBERS.get(_ALIASES.get(key, key), -1)


@on_check("client_encoding")
def check_client_encoding(value: Any, _source: Any) -> str:
    """The canonical name of an encoding that can be converted. 22023, 0A000."""
    number = encoding_number(str(value))
    if number < 0:
        raise SqlError(
            errcode.INVALID_PARAMETER_VALUE, f'invalid value for parameter "client_encoding": "{value}"'
        )
    name, codec, _ = ENCODINGS[number]
    if not codec:
        raise feature_not_supported(f"client encoding {name}")
    return name


@function("PG_char_to_encoding")
def _char_to_encoding(name: str) -> int:
    return encoding_number(name)


@function("PG_encoding_to_char")
def _encoding_to_char(number: int) -> str:
    return ENCODINGS[number][0] if 0 <= number < len(ENCODINGS) else ""


@function("pg_encoding_max_length_sql")
def _max_length(number: int) -> int | None:
    return ENCODINGS[number][2] if 0 <= number < len(ENCODINGS) else None


@function("getdatabaseencoding")
def _database_encoding() -> str:
    return "UTF8"


def _codec_of(name: str, role: str) -> tuple[str, str]:
    number = encoding_number(name)
    if number < 0:
        raise SqlError(errcode.INVALID_PARAMETER_VALUE, f'invalid {role} encoding name "{name}"')
    return ENCODINGS[number][0], ENCODINGS[number][1]


def decode(data: bytes, encoding: str, codec: str) -> str:
    """Text from bytes in an encoding of `ENCODINGS`; 22021."""
    if encoding == "UTF8":
        return decode_text(data)
    if not codec:
        raise SqlError(
            errcode.UNDEFINED_FUNCTION,
            f'default conversion function for encoding "{encoding}" to "UTF8" does not exist',
        )
    try:
        return data.decode(codec)
    except UnicodeDecodeError as error:
        raise invalid_encoding(data, error.start, encoding) from error


def encode(text: str, encoding: str, codec: str) -> bytes:
    """Bytes in an encoding of `ENCODINGS`; 22P05."""
    if encoding == "UTF8":
        return encoded(text)
    if not codec:
        raise SqlError(
            errcode.UNDEFINED_FUNCTION,
            f'default conversion function for encoding "UTF8" to "{encoding}" does not exist',
        )
    try:
        return text.encode(codec)
    except UnicodeEncodeError as error:
        raw = " ".join(f"0x{byte:02x}" for byte in encoded(text[error.start]))
        raise SqlError(
            errcode.UNTRANSLATABLE_CHARACTER,
            f'character with byte sequence {raw} in encoding "UTF8" has no equivalent in encoding "{encoding}"',
        ) from error


@function("pg_convert")
def _convert(data: bytes, source: str, target: str) -> bytes:
    from_encoding, to_encoding = _codec_of(source, "source"), _codec_of(target, "destination")
    if from_encoding == to_encoding:
        return data
    return encode(decode(data, *from_encoding), *to_encoding)


@function("pg_convert_from")
def _convert_from(data: bytes, source: str) -> str:
    return decode(data, *_codec_of(source, "source"))


@function("pg_convert_to")
def _convert_to(text: str, target: str) -> bytes:
    return encode(text, *_codec_of(target, "destination"))


@function("length_in_encoding")
def _length_in_encoding(data: bytes, name: str) -> int:
    number = encoding_number(name)
    if number < 0:
        raise SqlError(errcode.INVALID_PARAMETER_VALUE, f'invalid encoding name "{name}"')
    return len(decode(data, ENCODINGS[number][0], ENCODINGS[number][1]))


def _unknown(format_name: str) -> SqlError:
    return SqlError(errcode.INVALID_PARAMETER_VALUE, f'unrecognized encoding: "{format_name}"')


@function("binary_encode")
def _binaryencode(data: bytes, format_name: str) -> str:
    match format_name.lower():
        case "hex":
            return data.hex()
        case "base64":
            text = base64.b64encode(data).decode()
            return "\n".join(text[i : i + 76] for i in range(0, len(text), 76))
        case "escape":
            return _escape(data)
    raise _unknown(format_name)


def _escape(data: bytes) -> str:
    """encode's escape form: only zero and high bytes are octal."""
    return "".join(
        "\\\\" if byte == 0x5C else f"\\{byte:03o}" if byte == 0 or byte > 127 else chr(byte) for byte in data
    )


@function("binary_decode")
def _binarydecode(text: str, format_name: str) -> bytes:
    match format_name.lower():
        case "hex":
            return parse_hex(text)
        case "base64":
            return _decode_base64(text)
        case "escape":
            return _unescape(text)
    raise _unknown(format_name)


def _decode_base64(text: str) -> bytes:
    digits: list[str] = []
    padding = 0
    for character in text:
        if character in " \t\n\r":
            continue
        if character == "=":
            if not padding and len(digits) % 4 < 2:
                raise SqlError(errcode.INVALID_PARAMETER_VALUE, 'unexpected "=" while decoding base64 sequence')
            padding += 1
            continue
        if character not in _BASE64:
            raise SqlError(
                errcode.INVALID_PARAMETER_VALUE, f'invalid symbol "{character}" found while decoding base64 sequence'
            )
        digits.append(character)
    if (len(digits) + padding) % 4:
        raise SqlError(
            errcode.INVALID_PARAMETER_VALUE,
            "invalid base64 end sequence",
            hint="Input data is missing padding, is truncated, or is otherwise corrupted.",
        )
    return binascii.a2b_base64("".join(digits) + "=" * padding)


def _unescape(text: str) -> bytes:
    data = encoded(text)
    out = bytearray()
    position = 0
    while position < len(data):
        byte = data[position]
        if byte != 0x5C:
            out.append(byte)
            position += 1
        elif data[position + 1 : position + 2] == b"\\":
            out.append(0x5C)
            position += 2
        else:
            body = data[position + 1 : position + 4]
            if len(body) != 3 or body[0] not in b"0123" or not all(c in b"01234567" for c in body):
                raise SqlError(errcode.INVALID_TEXT_REPRESENTATION, "invalid input syntax for type bytea")
            out.append(int(body, 8))
            position += 4
    return bytes(out)


def _digest(name: str, data: bytes) -> Any:
    # hashlib costs more to import than everything else here: only when needed.
    return importlib.import_module("hashlib").new(name, data, usedforsecurity=False)


function("md5_text")(lambda text: _digest("md5", encoded(text)).hexdigest())
function("md5_bytea")(lambda data: _digest("md5", data).hexdigest())
for _name in ("sha224", "sha256", "sha384", "sha512"):
    function(_name + "_bytea")(lambda data, name=_name: _digest(name, data).digest())
function("crc32_bytea")(lambda data: zlib.crc32(data))

_crc32c_table: list[int] = []


@function("crc32c_bytea")
def crc32c(data: bytes) -> int:
    """The Castagnoli checksum."""
    if not _crc32c_table:
        for value in range(256):
            for _ in range(8):
                value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
            _crc32c_table.append(value)
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _crc32c_table[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF
