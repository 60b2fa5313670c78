"""Which locale, encoding, time zone and text search configuration a new cluster gets from its surroundings."""

from __future__ import annotations

import codecs
import locale
import os
import subprocess
from pathlib import Path

CATEGORIES = {
    "lc_collate": locale.LC_COLLATE,
    "lc_ctype": locale.LC_CTYPE,
    "lc_messages": locale.LC_MESSAGES,
    "lc_monetary": locale.LC_MONETARY,
    "lc_numeric": locale.LC_NUMERIC,
    "lc_time": locale.LC_TIME,
}
# Server encodings by number, as pg_char_to_encoding gives them (mb/pg_wchar.h).
ENCODINGS = (
    "SQL_ASCII", "EUC_JP", "EUC_CN", "EUC_KR", "EUC_TW", "EUC_JIS_2004", "UTF8", "MULE_INTERNAL", "LATIN1", "LATIN2",
    "LATIN3", "LATIN4", "LATIN5", "LATIN6", "LATIN7", "LATIN8", "LATIN9", "LATIN10", "WIN1256", "WIN1258", "WIN866",
    "WIN874", "KOI8R", "WIN1251", "WIN1252", "ISO_8859_5", "ISO_8859_6", "ISO_8859_7", "ISO_8859_8", "WIN1250",
    "WIN1253", "WIN1254", "WIN1255", "WIN1257", "KOI8U",
)  # fmt: skip
SQL_ASCII, UTF8 = 0, 6
_BY_CODEC = {"utf-8": UTF8, "ascii": SQL_ASCII, "iso8859-1": 8, "iso8859-2": 9, "iso8859-15": 16, "koi8-r": 22,
             "cp1251": 23, "cp1252": 24, "euc_jp": 1, "gb2312": 2, "euc_kr": 3}
TEXT_SEARCH = {
    "ar": "arabic", "ca": "catalan", "da": "danish", "de": "german", "el": "greek", "en": "english", "es": "spanish",
    "et": "estonian", "eu": "basque", "fi": "finnish", "fr": "french", "ga": "irish", "hi": "hindi", "hu": "hungarian",
    "hy": "armenian", "id": "indonesian", "it": "italian", "lt": "lithuanian", "ne": "nepali", "nl": "dutch",
    "no": "norwegian", "pt": "portuguese", "ro": "romanian", "ru": "russian", "sr": "serbian", "sv": "swedish",
    "ta": "tamil", "tr": "turkish", "yi": "yiddish",
}  # fmt: skip


def find_encoding(name: str) -> int | None:
    """The number of a server encoding by name, spelled loosely; None if there is none."""

    def plain(text: str) -> str:
        return "".join(c for c in text.lower() if c.isalnum())

    wanted = {"unicode": "utf8"}.get(plain(name), plain(name))
    for number, known in enumerate(ENCODINGS):
        if plain(known) == wanted:
            return number
    return None


def check_locale(category: str, name: str | None) -> str | None:
    """The canonical name of a locale for a category (None or "": from the environment); None if there is none."""
    number = CATEGORIES[category]
    saved = locale.setlocale(number)
    try:
        return locale.setlocale(number, name or "")
    except locale.Error:
        return None
    finally:
        locale.setlocale(number, saved)


def locale_encoding(ctype: str) -> int | None:
    """The server encoding of a locale's code set; SQL_ASCII for C and POSIX; None if it is not a server encoding."""
    if ctype in ("C", "POSIX"):
        return SQL_ASCII
    saved = locale.setlocale(locale.LC_CTYPE)
    try:
        locale.setlocale(locale.LC_CTYPE, ctype)
        codeset = locale.nl_langinfo(locale.CODESET)
    except locale.Error:
        return None
    finally:
        locale.setlocale(locale.LC_CTYPE, saved)
    try:
        return _BY_CODEC.get(codecs.lookup(codeset).name)
    except LookupError:
        return None


def collation_version(provider: str, name: str) -> str | None:
    """The version of a collation's rules: the C library's for libc, none where order is by code point."""
    if provider == "b":
        return "1"
    if name in ("C", "POSIX") or name.upper().startswith("C."):
        return None
    return os.confstr("CS_GNU_LIBC_VERSION").split()[1]  # type: ignore[union-attr]


def system_collations(first_oid: int, known: set[str]) -> list[dict[str, object]]:
    """Rows for pg_collation from the locales that ``locale -a`` lists, and their aliases without code set."""
    try:
        listed = subprocess.run(["locale", "-a"], capture_output=True, text=True, timeout=10, check=False).stdout
    except OSError:
        return []
    rows: list[dict[str, object]] = []
    aliases: list[tuple[str, str, int]] = []

    def add(name: str, localename: str, encoding: int) -> None:
        if name not in known:
            known.add(name)
            rows.append({
                "oid": first_oid + len(rows), "collname": name, "collnamespace": 11, "collowner": 10,
                "collprovider": "c", "collisdeterministic": True, "collencoding": encoding, "collcollate": localename,
                "collctype": localename, "collversion": collation_version("c", localename),
            })

    for name in listed.split():
        encoding = locale_encoding(name) if name.isascii() and len(name) < 64 else None
        if encoding is None or name in ("C", "POSIX"):
            continue
        add(name, name, encoding)
        base, dot, _codeset = name.partition(".")
        modifier = name.partition("@")
        if dot:
            aliases.append((base + modifier[1] + modifier[2] if modifier[1] else base, name, encoding))
    for alias, localename, encoding in aliases:
        add(alias, localename, encoding)
    return rows


def text_search_configuration(ctype: str) -> str:
    """The name of the configuration for a locale's language; "simple" if none fits."""
    if ctype in ("C", "POSIX") or ctype.upper().startswith("C."):
        return "english"
    return TEXT_SEARCH.get(ctype[:2].lower(), "simple")


def system_timezone() -> str:
    """The IANA name of the machine's time zone, or GMT."""
    name = os.environ.get("TZ", "").lstrip(":")
    roots = (Path("/usr/share/zoneinfo"), Path("/usr/lib/zoneinfo"))
    if not name:
        target = os.path.realpath("/etc/localtime")
        for root in roots:
            real = os.path.realpath(root)
            if target.startswith(real + "/"):
                name = target[len(real) + 1 :]
        if not name and os.path.isfile("/etc/timezone"):
            name = Path("/etc/timezone").read_text("ascii", "replace").strip()
    import zoneinfo

    try:
        zoneinfo.ZoneInfo(name or "Etc/UTC")
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return "GMT"
    return name or "Etc/UTC"
