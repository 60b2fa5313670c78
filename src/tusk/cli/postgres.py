"""``tusk postgres``: the postmaster in the foreground. Options are those of PostgreSQL's ``postgres``."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from tusk.config import Context, Source, set_option, settings, show
from tusk.config.files import load_config_files
from tusk.errors import Fatal, Panic, SqlError, as_fatal
from tusk.stats import serverlog

_ROOT_MESSAGE = """"root" execution of the PostgreSQL server is not permitted.
The server must be started under an unprivileged user ID to prevent
possible system security compromise.  See the documentation for
more information on how to properly start the server.
"""
# Options that stand for one setting.
_SHORT = (
    ("-B", "shared_buffers", "number of shared buffers"),
    ("-h", "listen_addresses", "host name or IP address to listen on"),
    ("-k", "unix_socket_directories", "Unix-domain socket location"),
    ("-N", "max_connections", "maximum number of allowed connections"),
    ("-p", "port", "port number to listen on"),
    ("-S", "work_mem", "amount of memory for sorts (in kB)"),
    ("-d", "log_min_messages", "debugging level 0 to 5"),
)


def _options(command: Callable[..., Any]) -> Callable[..., Any]:
    for flag, setting, text in reversed(_SHORT):
        command = click.option(flag, setting, help=text)(command)
    return command


@click.command(name="postgres", context_settings={"ignore_unknown_options": True, "help_option_names": ["--help"]})
@click.option("-D", "datadir", type=click.Path(path_type=Path), help="database directory")
@click.option("-c", "pairs", multiple=True, metavar="NAME=VALUE", help="set run-time parameter")
@click.option("-C", "show_name", metavar="NAME", help="print value of run-time parameter, then exit")
@click.option("-F", "no_fsync", is_flag=True, help="turn fsync off")
@click.option("-i", "listen_all", is_flag=True, help="enable TCP/IP connections")
@click.option("-V", "--version", "version", is_flag=True, help="output version information, then exit")
@_options
@click.argument("long_options", nargs=-1, type=click.UNPROCESSED)
def postgres(
    datadir: Path | None,
    pairs: tuple[str, ...],
    show_name: str | None,
    no_fsync: bool,
    listen_all: bool,
    version: bool,
    long_options: tuple[str, ...],
    **short: str | None,
) -> None:
    """Run the PostgreSQL server."""
    if version:
        print("postgres (PostgreSQL) 18.4")
        return
    given: list[tuple[str, str]] = []
    for name, value in short.items():
        if value is not None:
            given.append((name, _debug_level(value) if name == "log_min_messages" else value))
    if no_fsync:
        given.append(("fsync", "off"))
    if listen_all:
        given.append(("listen_addresses", "*"))
    given += [_pair(text, "-c ") for text in pairs]
    given += [_pair(text.removeprefix("--"), "--") for text in long_options]
    sys.exit(run_postmaster(datadir, given, show_name=show_name))


def _debug_level(value: str) -> str:
    return f"debug{value}" if value.isdigit() and value != "0" else "notice"


def _pair(text: str, prefix: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not separator:
        print(f"postgres: {prefix}{text} requires a value", file=sys.stderr)
        sys.exit(1)
    return name.replace("-", "_"), value


def run_postmaster(datadir: Path | None, given: list[tuple[str, str]], *, show_name: str | None = None) -> int:
    """Read the settings and run the server until it stops; returns the exit status.

    The process must not be root. Status 2: no usable data directory was named.
    """
    if os.geteuid() == 0 and show_name is None:
        print(_ROOT_MESSAGE, file=sys.stderr, end="")
        return 1
    if datadir is None and "PGDATA" in os.environ:
        datadir = Path(os.environ["PGDATA"])
    if datadir is None:
        print(
            "postgres does not know where to find the server configuration file.\n"
            "You must specify the --config-file or -D invocation option or set the PGDATA environment variable.",
            file=sys.stderr,
        )
        return 2
    try:
        directory, config_file = _load_settings(datadir, given)
        if show_name is not None:
            print(show(show_name))
            return 0
        return _supervise(directory, config_file)
    except StartRefused as refusal:
        print(f"postgres: {refusal}", file=sys.stderr)
        return refusal.status
    except (Fatal, SqlError) as error:
        serverlog.log_error(as_fatal(error))
        return 1
    except Panic as error:
        serverlog.log_error(error)
        sys.stderr.flush()
        os.abort()


class StartRefused(Exception):
    """What is said plainly, not through the log, since there is no log yet."""

    def __init__(self, text: str, status: int) -> None:
        super().__init__(text)
        self.status = status


def _load_settings(datadir: Path, given: list[tuple[str, str]]) -> tuple[Path, Path]:
    """Apply command line, then files; returns the data directory and the configuration file."""
    from_command_line = dict(given)
    for name, value in given:
        set_option(name, value, Context.POSTMASTER, Source.ARGV)
    directory = datadir.absolute()
    config_file = Path(from_command_line.get("config_file", directory / "postgresql.conf"))
    if not config_file.exists():
        if not directory.exists():
            raise StartRefused(
                f'could not access directory "{directory}": No such file or directory\n'
                "Run initdb or pg_basebackup to initialize a PostgreSQL data directory.",
                2,
            )
        raise StartRefused(
            f'could not access the server configuration file "{config_file}": No such file or directory', 2
        )
    load_config_files(directory, config_file, is_reload=False)
    data = Path(settings.data_directory or directory).absolute()
    for name, path in (
        ("data_directory", data),
        ("config_file", config_file),
        ("hba_file", Path(settings.hba_file or directory / "pg_hba.conf")),
        ("ident_file", Path(settings.ident_file or directory / "pg_ident.conf")),
    ):
        set_option(name, str(path), Context.POSTMASTER, Source.OVERRIDE)
    return data, config_file


def _check_reserved_connections() -> None:
    reserved, for_superusers = settings.reserved_connections, settings.superuser_reserved_connections
    if reserved + for_superusers >= settings.max_connections:
        raise StartRefused(
            f'"superuser_reserved_connections" ({for_superusers}) plus "reserved_connections" ({reserved}) must be '
            f'less than "max_connections" ({settings.max_connections})',
            1,
        )


def _supervise(directory: Path, config_file: Path) -> int:
    # The server proper is imported only now: asking for a setting or a mistake in the options stays quick.
    from tusk.errors import set_report_sink
    from tusk.postmaster import lockfile
    from tusk.postmaster.postmaster import Postmaster
    from tusk.postmaster.settings import (
        check_settings,
        settle_computed_settings,
        warn_of_settings_without_effect,
    )

    set_report_sink(serverlog.log_message)
    lockfile.check_data_directory(directory)
    control_file = directory / "global" / "pg_control"
    try:
        control_file.open("rb").close()
    except OSError as error:
        raise StartRefused(
            f'could not find the database system\nExpected to find it in the directory "{directory}",\n'
            f'but could not open file "{control_file}": {error.strerror}',
            2,
        ) from error
    os.chdir(directory)
    _check_reserved_connections()
    check_settings()
    settle_computed_settings(directory)
    warn_of_settings_without_effect()
    arguments = [os.path.abspath(sys.argv[0]), *sys.argv[1:]]
    return Postmaster(directory, config_file, arguments).run()
