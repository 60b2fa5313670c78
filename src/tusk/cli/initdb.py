"""``tusk initdb``: make a new database cluster. Options and messages are those of PostgreSQL's initdb."""

from __future__ import annotations

import getpass
import os
import pwd
import shlex
import sys
import time
from pathlib import Path

import click

from tusk.catalog import bootstrap_locale
from tusk.catalog.bootstrap import sync_directory_tree
from tusk.catalog.initdb import InitdbError, InitdbOptions, Locales, create_cluster, settle_locales

_TRY_HELP = 'Try "tusk initdb --help" for more information.'


def fail(message: str, hint: str | None = None) -> None:
    """Print an error as initdb does and exit with 1."""
    print(f"initdb: error: {message}", file=sys.stderr)
    for line in (hint or "").splitlines():
        print(f"initdb: hint: {line}", file=sys.stderr)
    sys.exit(1)


def read_password_file(path: Path) -> str:
    """The first line of the file."""
    try:
        with open(path, encoding="utf-8") as file:
            line = file.readline()
    except OSError as error:
        fail(f'could not open file "{path}" for reading: {error.strerror}')
    password = line.rstrip("\r\n")
    if not password:
        fail(f'password file "{path}" is empty')
    return password


def ask_password() -> str:
    """Ask twice on the terminal."""
    first = getpass.getpass("Enter new superuser password: ")
    if getpass.getpass("Enter it again: ") != first:
        print("Passwords didn't match.", file=sys.stderr)
        sys.exit(1)
    return first


def describe(user: str, locales: Locales, options: InitdbOptions) -> None:
    """Say what the cluster will be like."""
    print(f'The files belonging to this database system will be owned by user "{user}".')
    print("This user must also own the server process.\n")
    categories = locales.categories
    if len(set(categories.values())) == 1 and locales.provider == "c":
        print(f'The database cluster will be initialized with locale "{categories["lc_ctype"]}".')
    else:
        print("The database cluster will be initialized with this locale configuration:")
        print(f"  locale provider:   {options.locale_provider}")
        if locales.locale is not None:
            print(f"  default collation: {locales.locale}")
        for name in ("lc_collate", "lc_ctype", "lc_messages", "lc_monetary", "lc_numeric", "lc_time"):
            print(f"  {name.upper() + ':':<12} {categories[name]}")
    ctype = categories["lc_ctype"]
    fitting = bootstrap_locale.text_search_configuration(ctype)
    if options.text_search_config and options.text_search_config != fitting:
        print(
            f'initdb: warning: specified text search configuration "{options.text_search_config}" might not match '
            f'locale "{ctype}"',
            file=sys.stderr,
        )
    if not locales.encoding_given:
        encoding = bootstrap_locale.ENCODINGS[locales.encoding]
        print(f'The default database encoding has accordingly been set to "{encoding}".')
    print(f'The default text search configuration will be set to "{locales.text_search}".\n')
    print(f"Data page checksums are {'enabled' if options.data_checksums else 'disabled'}.\n")


class _Program(click.Command):
    """A command that answers mistakes in its arguments as PostgreSQL's programs do, with status 1."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse; leave with status 1 on an error."""
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            fail(error.format_message(), _TRY_HELP)
            raise


@click.command(name="initdb", cls=_Program, context_settings={"help_option_names": ["-?", "--help"]})
@click.argument("datadir", required=False, type=click.Path(path_type=Path))
@click.option("-D", "--pgdata", type=click.Path(path_type=Path), help="location for this database cluster")
@click.option("-U", "--username", help="database superuser name")
@click.option("-A", "--auth", help="default authentication method for local connections")
@click.option("--auth-local", help="default authentication method for local-socket connections")
@click.option("--auth-host", help="default authentication method for local TCP/IP connections")
@click.option("--pwfile", type=click.Path(path_type=Path), help="read password for the new superuser from file")
@click.option("-W", "--pwprompt", is_flag=True, help="prompt for a password for the new superuser")
@click.option("-k", "--data-checksums/--no-data-checksums", default=True, help="use data page checksums")
@click.option("-E", "--encoding", help="set default encoding for new databases")
@click.option("--locale", help="set default locale for new databases")
@click.option("--lc-collate", help="set default locale in this category")
@click.option("--lc-ctype", help="set default locale in this category")
@click.option("--lc-messages", help="set default locale in this category")
@click.option("--lc-monetary", help="set default locale in this category")
@click.option("--lc-numeric", help="set default locale in this category")
@click.option("--lc-time", help="set default locale in this category")
@click.option("--locale-provider", type=click.Choice(["builtin", "libc", "icu"]), default="libc",
              help="set default locale provider for new databases")
@click.option("--builtin-locale", help="set builtin locale name for new databases")
@click.option("--no-locale", is_flag=True, help="equivalent to --locale=C")
@click.option("-T", "--text-search-config", help="default text search configuration")
@click.option("-X", "--waldir", type=click.Path(path_type=Path), help="location for the write-ahead log directory")
@click.option("--wal-segsize", type=int, default=16, help="size of WAL segments, in megabytes")
@click.option("-g", "--allow-group-access", is_flag=True, help="allow group read/execute on data directory")
@click.option("-c", "--set", "settings", multiple=True, metavar="NAME=VALUE",
              help="override default setting for server parameter")
@click.option("-N", "--no-sync", is_flag=True, help="do not wait for changes to be written safely to disk")
@click.option("--no-sync-data-files", is_flag=True, help="do not sync files within database directories")
@click.option("-S", "--sync-only", is_flag=True, help="only sync database files to disk, then exit")
@click.option("-n", "--no-clean", is_flag=True, help="do not clean up after errors")
@click.option("--no-instructions", is_flag=True, help="do not print instructions for next steps")
@click.option("--sync-method", default="fsync", help="set method for syncing files to disk")
@click.option("--icu-locale", help="set ICU locale ID for new databases")
@click.option("--icu-rules", help="set additional ICU collation rules for new databases")
@click.option("-d", "--debug", is_flag=True, help="generate lots of debugging output (not supported)")
@click.option("--discard-caches", is_flag=True, help="set debug_discard_caches=1 (not supported)")
@click.option("-L", "input_files", metavar="DIRECTORY", help="where to find the input files (not supported)")
@click.option("-s", "--show", is_flag=True, help="show internal settings, then exit (not supported)")
@click.version_option("18.4", "-V", "--version", message="initdb (PostgreSQL) %(version)s")
def initdb(
    datadir: Path | None, pgdata: Path | None, username: str | None, auth: str | None, auth_local: str | None,
    auth_host: str | None, pwfile: Path | None, pwprompt: bool, data_checksums: bool, encoding: str | None,
    locale: str | None, lc_collate: str | None, lc_ctype: str | None, lc_messages: str | None,
    lc_monetary: str | None, lc_numeric: str | None, lc_time: str | None, locale_provider: str,
    builtin_locale: str | None, no_locale: bool, text_search_config: str | None, waldir: Path | None,
    wal_segsize: int, allow_group_access: bool, settings: tuple[str, ...], no_sync: bool, no_sync_data_files: bool,
    sync_only: bool, no_clean: bool, no_instructions: bool, sync_method: str, icu_locale: str | None,
    icu_rules: str | None, debug: bool, discard_caches: bool, input_files: str | None, show: bool,
) -> None:  # fmt: skip
    """Initialize a PostgreSQL database cluster."""
    for name, is_given in (("--debug", debug), ("--discard-caches", discard_caches), ("-L", input_files),
                           ("--show", show)):  # fmt: skip
        if is_given:
            fail(f"option {name} is not supported")
    if pgdata and datadir:
        fail(f'too many command-line arguments (first is "{datadir}")', _TRY_HELP)
    for name, value in (("--icu-locale", icu_locale), ("--icu-rules", icu_rules)):
        if value and locale_provider != "icu":
            fail(f'{name} cannot be specified unless locale provider "icu" is chosen')
    if sync_method not in ("fsync", "syncfs"):
        fail(f"unrecognized sync method: {sync_method}")
    directory = pgdata or datadir or (Path(os.environ["PGDATA"]) if os.environ.get("PGDATA") else None)
    if directory is None:
        fail(
            "no data directory specified",
            "You must identify the directory where the data for this database system will reside.  Do this with "
            "either the invocation option -D or the environment variable PGDATA.")
    assert directory is not None
    if os.geteuid() == 0:
        fail(
            "cannot be run as root",
            'Please log in (using, e.g., "su") as the (unprivileged) user that will own the server process.')
    directory = directory.absolute()
    if sync_only:
        print("syncing data to disk ... ", end="", flush=True)
        sync_directory_tree(directory, data_files=not no_sync_data_files, method=sync_method)
        print("ok")
        return
    if pwfile is not None and pwprompt:
        fail("password prompt and password file cannot be specified together")
    given: dict[str, str] = {}
    for item in settings:
        name, equals, value = item.partition("=")
        if not equals:
            fail(f"-c {item} requires a value")
        given[name] = value
    user = pwd.getpwuid(os.geteuid()).pw_name
    named = {"lc_collate": lc_collate, "lc_ctype": lc_ctype, "lc_messages": lc_messages, "lc_monetary": lc_monetary,
             "lc_numeric": lc_numeric, "lc_time": lc_time}  # fmt: skip
    options = InitdbOptions(
        data_directory=directory, username=username or user, auth_local=auth_local or auth or "trust",
        auth_host=auth_host or auth or "trust", data_checksums=data_checksums, encoding=encoding,
        locale="C" if no_locale else locale, categories={name: value for name, value in named.items() if value},
        locale_provider=locale_provider, builtin_locale=builtin_locale, text_search_config=text_search_config,
        wal_directory=waldir, wal_segment_size_mb=wal_segsize, allow_group_access=allow_group_access, settings=given,
        sync=not no_sync, sync_data_files=not no_sync_data_files, clean=not no_clean,
        sync_method=sync_method,
    )  # fmt: skip
    # "-A ident" over sockets is what is called peer, and peer has no meaning over TCP.
    if auth_local is None and options.auth_local == "ident":
        options.auth_local = "peer"
    if auth_host is None and options.auth_host == "peer":
        options.auth_host = "ident"
    try:
        locales = settle_locales(options)
        describe(user, locales, options)
        if pwfile is not None:
            options.password = read_password_file(pwfile)
        elif pwprompt:
            options.password = ask_password()
        started = time.monotonic()
        create_cluster(options, locales, lambda step: print(f"{step} ... ok", flush=True))
    except InitdbError as error:
        fail(str(error), error.hint)
    except OSError as error:
        fail(f'could not write "{error.filename}": {error.strerror}')
    if no_sync:
        print("\nSync to disk skipped.\nThe data directory might become corrupt if the operating system crashes.\n")
    if auth is None and (auth_local is None or auth_host is None):
        print('initdb: warning: enabling "trust" authentication for local connections', file=sys.stderr)
        print("initdb: hint: You can change this by editing pg_hba.conf or using the option -A, or --auth-local and "
              "--auth-host, the next time you run initdb.", file=sys.stderr)
    if not no_instructions:
        print(f"\nSuccess in {time.monotonic() - started:.2f} s. You can now start the database server using:\n")
        print(f"    tusk ctl -D {shlex.quote(str(directory))} -l logfile start\n")
