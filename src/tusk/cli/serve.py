"""``tusk serve``: a server for one's own work, with a data directory made on the first run."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
from pathlib import Path

import click

_USERS = ("tusk", "postgres", "nobody")


def default_data_directory() -> Path:
    """Where the server's data lives unless -D says otherwise."""
    if "PGDATA" in os.environ:
        return Path(os.environ["PGDATA"])
    if os.geteuid() == 0:
        return Path("/var/lib/tusk/data")
    base = os.environ.get("XDG_DATA_HOME")
    return (Path(base) if base else Path.home() / ".local/share") / "tusk/data"


def unprivileged_user() -> pwd.struct_passwd | None:
    """The user that servers started by root run as: the first of a few names that exists."""
    for name in _USERS:
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    return None


def _give_up_root(directory: Path) -> None:
    """As root: own the data directory to an unprivileged user and start over as that user. Does not return."""
    user = unprivileged_user()
    if user is None:
        users = ", ".join(_USERS)
        print(f"tusk: the server must not run as root, and none of the users {users} exists", file=sys.stderr)
        sys.exit(1)
    if not directory.exists():
        directory.mkdir(parents=True, mode=0o700)
        os.chown(directory, user.pw_uid, user.pw_gid)
    print(f'tusk: started by root; the server runs as the unprivileged user "{user.pw_name}"', flush=True)
    os.setgroups([])
    os.setgid(user.pw_gid)
    os.setuid(user.pw_uid)
    os.environ["HOME"] = str(directory.parent)
    os.execv(sys.executable, [sys.executable, "-m", "tusk.cli", "serve", *sys.argv[sys.argv.index("serve") + 1 :]])


@click.command(name="serve", context_settings={"help_option_names": ["-h", "--help"]})
@click.option("-D", "--data", "datadir", type=click.Path(path_type=Path), help="data directory; made if need be")
@click.option("-p", "--port", type=int, help="port to listen on (5432)")
def serve(datadir: Path | None, port: int | None) -> None:
    """Run a server in the foreground, making its data directory on the first run."""
    directory = (datadir or default_data_directory()).absolute()
    if os.geteuid() == 0:
        _give_up_root(directory)
    if not (directory / "PG_VERSION").exists():
        print(f"tusk: making a database cluster in {directory}", flush=True)
        subprocess.run(
            [sys.executable, "-m", "tusk.cli", "initdb", "-D", str(directory), "-U", "postgres", "--no-instructions"],
            check=True,
            stdout=subprocess.DEVNULL,
        )
    number = port or int(os.environ.get("PGPORT", "5432"))
    print(f"tusk: postgresql://postgres@localhost:{number}/postgres   (stop with Ctrl-C)", flush=True)
    # The socket goes where clients look for it, or into the data directory where that is not allowed.
    socket_directory = next(
        (path for path in ("/var/run/postgresql", "/tmp") if os.access(path, os.W_OK)), str(directory)
    )
    os.execv(
        sys.executable,
        [sys.executable, "-m", "tusk.cli", "postgres", "-D", str(directory), "-p", str(number), "-k", socket_directory],
    )
