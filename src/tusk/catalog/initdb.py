"""What ``tusk initdb`` does, as a function: check the directory, settle the options, write the cluster."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tusk.catalog import bootstrap, bootstrap_config, bootstrap_locale
from tusk.catalog.facts import builtin_rows
from tusk.catalog.passwords import encrypt_password
from tusk.config import parameter
from tusk.errors import SqlError
from tusk.wal.bootstrap import bootstrap_wal, make_system_identifier
from tusk.wal.controlfile import CheckPoint

AUTH_LOCAL = ("trust", "reject", "scram-sha-256", "md5", "password", "ident", "peer", "pam", "radius")
AUTH_HOST = (
    "trust",
    "reject",
    "scram-sha-256",
    "md5",
    "password",
    "ident",
    "radius",
    "pam",
    "ldap",
    "cert",
    "gss",
    "oauth",
)
PASSWORD_METHODS = ("scram-sha-256", "md5", "password")


class InitdbError(Exception):
    """The cluster cannot be made; the message says why, ``hint`` what to do."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


@dataclass
class InitdbOptions:
    """The command line of initdb."""

    data_directory: Path
    username: str = ""
    auth_local: str = "trust"
    auth_host: str = "trust"
    password: str | None = None
    data_checksums: bool = True
    encoding: str | None = None
    locale: str | None = None
    categories: dict[str, str] = field(default_factory=dict)
    locale_provider: str = "libc"
    builtin_locale: str | None = None
    text_search_config: str | None = None
    wal_directory: Path | None = None
    wal_segment_size_mb: int = 16
    allow_group_access: bool = False
    settings: dict[str, str] = field(default_factory=dict)
    sync: bool = True
    sync_data_files: bool = True
    sync_method: str = "fsync"
    clean: bool = True


@dataclass
class Locales:
    """The settled locale of each category, the encoding and the provider."""

    categories: dict[str, str]
    encoding: int
    encoding_given: bool
    provider: str
    locale: str | None
    text_search: str


def directory_state(path: Path) -> str:
    """ "absent", "empty", "lost+found", "dotfiles" or "filled" (pg_check_dir)."""
    try:
        names = set(os.listdir(path))
    except FileNotFoundError:
        return "absent"
    except OSError as error:
        raise InitdbError(f'could not access directory "{path}": {error.strerror}') from error
    if not names:
        return "empty"
    if names == {"lost+found"}:
        return "lost+found"
    return "dotfiles" if all(name.startswith(".") for name in names) else "filled"


def _check_directory(path: Path, what: str) -> None:
    state = directory_state(path)
    if state in ("absent", "empty"):
        return
    hint = None
    if state == "filled":
        if what == "data":
            hint = (
                "If you want to create a new database system, either remove or empty the directory "
                f'"{path}" or run initdb with an argument other than "{path}".'
            )
        else:
            hint = f'If you want to store the WAL there, either remove or empty the directory "{path}".'
    elif state == "dotfiles":
        hint = "It contains a dot-prefixed/invisible file, perhaps due to it being a mount point."
    else:
        hint = "It contains a lost+found directory, perhaps due to it being a mount point."
    if state != "filled":
        hint += (
            "\nUsing a mount point directly as the data directory is not recommended."
            "\nCreate a subdirectory under the mount point."
        )
    label = "directory" if what == "data" else "WAL directory"
    raise InitdbError(f'{label} "{path}" exists but is not empty', hint)


def settle_locales(options: InitdbOptions) -> Locales:
    """Work out locale, encoding and provider as initdb does."""
    provider = {"libc": "c", "builtin": "b", "icu": "i"}.get(options.locale_provider)
    if provider is None:
        raise InitdbError(f"unrecognized locale provider: {options.locale_provider}")
    if provider == "i":
        raise InitdbError("ICU is not supported in this build")
    if options.builtin_locale is not None and provider != "b":
        raise InitdbError('--builtin-locale cannot be specified unless locale provider "builtin" is chosen')
    categories = {}
    for name in bootstrap_locale.CATEGORIES:
        given = options.categories.get(name, options.locale)
        settled = bootstrap_locale.check_locale(name, given)
        if settled is None:
            if given:
                raise InitdbError(f'invalid locale name "{given}"', None)
            raise InitdbError("invalid locale settings; check LANG and LC_* environment variables")
        categories[name] = settled
    builtin = None
    if provider == "b":
        builtin = options.builtin_locale or options.locale
        if builtin is None:
            raise InitdbError('locale must be specified if provider is "builtin"')
        builtin = {"C.UTF8": "C.UTF-8", "C.utf8": "C.UTF-8"}.get(builtin, builtin)
        if builtin not in ("C", "C.UTF-8", "PG_UNICODE_FAST"):
            raise InitdbError(f'invalid locale name "{builtin}" for builtin provider')
    ctype = categories["lc_ctype"]
    implied = bootstrap_locale.locale_encoding(ctype)
    if options.encoding is not None:
        found = bootstrap_locale.find_encoding(options.encoding)
        if found is None:
            raise InitdbError(f'"{options.encoding}" is not a valid server encoding name')
        encoding = found
    elif implied is None:
        raise InitdbError(
            f'could not find suitable encoding for locale "{ctype}"',
            'Rerun initdb with the -E option.\nTry "initdb --help" for more information.',
        )
    elif provider == "b" and implied == bootstrap_locale.SQL_ASCII:
        encoding = bootstrap_locale.UTF8
    else:
        encoding = implied
    if provider == "b" and builtin != "C" and encoding != bootstrap_locale.UTF8:
        raise InitdbError(f'builtin provider locale "{builtin}" requires encoding "UTF-8"')
    for name in ("lc_ctype", "lc_collate"):
        wanted = bootstrap_locale.locale_encoding(categories[name])
        if wanted not in (encoding, bootstrap_locale.SQL_ASCII, None) and encoding != bootstrap_locale.SQL_ASCII:
            raise InitdbError(
                "encoding mismatch",
                f"The encoding you selected ({bootstrap_locale.ENCODINGS[encoding]}) and the encoding that the "
                f"selected locale uses ({bootstrap_locale.ENCODINGS[wanted or 0]}) do not match. This would lead to "
                "misbehavior in various character string processing functions.\n"
                "Rerun initdb and either do not specify an encoding explicitly, or choose a matching combination.",
            )
    if encoding not in (bootstrap_locale.UTF8, bootstrap_locale.SQL_ASCII):
        raise InitdbError(f'server encoding "{bootstrap_locale.ENCODINGS[encoding]}" is not supported yet')
    search = options.text_search_config or bootstrap_locale.text_search_configuration(ctype)
    return Locales(categories, encoding, options.encoding is not None, provider, builtin, search)


def _check_options(options: InitdbOptions) -> None:
    for method, allowed, what in ((options.auth_local, AUTH_LOCAL, "local"), (options.auth_host, AUTH_HOST, "host")):
        if method not in allowed:
            raise InitdbError(f'invalid authentication method "{method}" for "{what}" connections')
    needs = [m for m in (options.auth_local, options.auth_host) if m in PASSWORD_METHODS]
    if needs and options.password is None:
        raise InitdbError("must specify a password for the superuser to enable password authentication")
    if options.username.startswith("pg_"):
        raise InitdbError(f'superuser name "{options.username}" is disallowed; role names cannot begin with "pg_"')
    if len(options.username.encode()) > 63 or not options.username:
        raise InitdbError("role name is empty or too long")
    size = options.wal_segment_size_mb
    if not 1 <= size <= 1024:
        raise InitdbError("--wal-segsize must be in range 1..1024")
    if size & (size - 1):
        raise InitdbError("argument of --wal-segsize must be a power of two between 1 and 1024")
    for name, value in options.settings.items():
        known = parameter(name)
        if known is None:
            if "." not in name:
                raise InitdbError(f'unrecognized configuration parameter "{name}"')
            continue
        try:
            known.parse(value)
        except SqlError as error:
            raise InitdbError(error.message, error.hint) from error


def configuration(options: InitdbOptions, locales: Locales) -> dict[str, str]:
    """The settings that postgresql.conf of the new cluster sets."""
    zone = bootstrap_locale.system_timezone()
    values = {
        "max_connections": "100",
        "shared_buffers": "128MB",
        "dynamic_shared_memory_type": "posix",
        "max_wal_size": f"{64 * options.wal_segment_size_mb}MB" if options.wal_segment_size_mb != 16 else "1GB",
        "min_wal_size": f"{5 * options.wal_segment_size_mb}MB",
        "autovacuum_worker_slots": "16",
        "log_timezone": zone,
        "timezone": zone,
        "datestyle": "iso, mdy",
        "default_text_search_config": f"pg_catalog.{locales.text_search}",
    }
    for name in ("lc_messages", "lc_monetary", "lc_numeric", "lc_time"):
        values[name] = locales.categories[name]
    if options.allow_group_access:
        values["log_file_mode"] = "0640"
    if "md5" in (options.auth_local, options.auth_host) and "scram-sha-256" not in (
        options.auth_local, options.auth_host
    ):  # fmt: skip
        values["password_encryption"] = "md5"
    by_lower = {name.lower(): name for name in values}
    for name, value in options.settings.items():
        known = parameter(name)
        canonical = by_lower.get(name.lower(), known.name if known is not None else name)
        values[canonical] = value
    by_spelling = {}
    for name, value in values.items():
        known = parameter(name)
        by_spelling[known.name if known is not None else name] = value
    return by_spelling


def create_cluster(
    options: InitdbOptions, locales: Locales | None = None, progress: Callable[[str], None] = lambda _what: None
) -> None:
    """Make the cluster. On failure what was created is removed again. Raises `InitdbError` or OSError.

    ``progress`` is told each step as it ends.
    """
    _check_options(options)
    locales = settle_locales(options) if locales is None else locales
    values = configuration(options, locales)
    data_directory = options.data_directory
    _check_directory(data_directory, "data")
    if options.wal_directory is not None:
        if not options.wal_directory.is_absolute():
            raise InitdbError("WAL directory location must be an absolute path")
        _check_directory(options.wal_directory, "wal")
    existed = data_directory.exists()
    wal_existed = options.wal_directory is not None and options.wal_directory.exists()
    old_umask = os.umask(0o027 if options.allow_group_access else 0o077)
    try:
        _write_cluster(options, locales, values, progress)
    except BaseException:
        if options.clean:
            _remove(data_directory, existed)
            if options.wal_directory is not None:
                _remove(options.wal_directory, wal_existed)
        raise
    finally:
        os.umask(old_umask)


def _write_cluster(
    options: InitdbOptions, locales: Locales, values: dict[str, str], progress: Callable[[str], None]
) -> None:
    data_directory = options.data_directory
    dir_mode, file_mode = (0o750, 0o640) if options.allow_group_access else (0o700, 0o600)
    kind = values.get("password_encryption", "scram-sha-256")
    collate, ctype = locales.categories["lc_collate"], locales.categories["lc_ctype"]
    known = {row.collname for row in builtin_rows("pg_collation")}
    cluster = bootstrap.ClusterOptions(
        superuser=options.username,
        password_secret=None
        if options.password is None else encrypt_password(kind, options.username, options.password),
        encoding=locales.encoding, provider=locales.provider, collate=collate, ctype=ctype, locale=locales.locale,
        collation_version=bootstrap_locale.collation_version(locales.provider, collate),
        checksums=options.data_checksums, dir_mode=dir_mode, file_mode=file_mode,
        extra_collations=bootstrap_locale.system_collations(13500, known),
    )  # fmt: skip
    bootstrap.make_directories(data_directory, dir_mode, options.wal_directory)
    progress("creating subdirectories")
    for name, text in (
        ("postgresql.conf", bootstrap_config.postgresql_conf(values)),
        ("postgresql.auto.conf", bootstrap_config.AUTO_CONF),
        ("pg_hba.conf", bootstrap_config.pg_hba_conf(options.auth_local, options.auth_host)),
        ("pg_ident.conf", bootstrap_config.pg_ident_conf()),
    ):
        bootstrap.write_file(data_directory / name, text.encode(), file_mode)
    progress("creating configuration files")
    loaded = bootstrap.load_catalogs(cluster)
    bootstrap.write_catalogs(data_directory, cluster, loaded)
    bootstrap.write_transaction_files(data_directory, cluster)
    progress("writing system catalogs")
    bootstrap_wal(
        data_directory, make_system_identifier(), checkpoint=CheckPoint(next_oid=loaded.next_oid),
        segment_size=options.wal_segment_size_mb * 1024 * 1024, data_checksums=options.data_checksums,
        sync=options.sync,
    )  # fmt: skip
    if options.allow_group_access:
        for path in (data_directory / "global/pg_control", *(data_directory / "pg_wal").glob("0*")):
            path.chmod(file_mode)
    progress("writing control file and write-ahead log")
    if options.sync:
        bootstrap.sync_directory_tree(
            data_directory, data_files=options.sync_data_files, method=options.sync_method
        )
        progress("syncing data to disk")


def _remove(path: Path, keep_directory: bool) -> None:
    if not keep_directory:
        shutil.rmtree(path, ignore_errors=True)
        return
    for entry in path.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry, ignore_errors=True)
        else:
            entry.unlink()
