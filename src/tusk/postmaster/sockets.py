"""The listening sockets: TCP addresses and Unix sockets with their lock files."""

from __future__ import annotations

import grp
import os
import socket
import time
from pathlib import Path

from tusk.config import settings
from tusk.errors import Fatal, Severity, errcode, report
from tusk.postmaster.lockfile import LockFile, create_lock_file

_BACKLOG_FLOOR = 200


def split_list(text: str) -> list[str]:
    """The items of a comma-separated setting; double quotes protect commas and blanks."""
    items: list[str] = []
    current, quoted = "", False
    for char in text:
        if char == '"':
            quoted = not quoted
        elif char == "," and not quoted:
            items.append(current.strip())
            current = ""
        else:
            current += char
    items.append(current.strip())
    return [item for item in items if item]


class Listeners:
    """All sockets the postmaster accepts from."""

    def __init__(self) -> None:
        self.sockets: list[socket.socket] = []
        self.lock_files: list[LockFile] = []
        self.socket_paths: list[Path] = []
        self.first_address = ""
        self.first_directory = ""

    def open(self, data_directory: Path) -> None:
        """Open what ``listen_addresses`` and ``unix_socket_directories`` ask for.

        Errors: FATAL where none of the addresses, or none of the directories, could be used.
        """
        addresses = split_list(settings.listen_addresses)
        opened = [address for address in addresses if self._open_tcp(address)]
        if addresses and not opened:
            raise Fatal(errcode.INTERNAL_ERROR, "could not create any TCP/IP sockets")
        self.first_address = opened[0] if opened else ""
        directories = split_list(settings.unix_socket_directories)
        usable = [directory for directory in directories if self._open_unix(Path(directory), data_directory)]
        if directories and not usable:
            raise Fatal(errcode.INTERNAL_ERROR, "could not create any Unix-domain sockets")
        self.first_directory = usable[0] if usable else ""
        if not self.sockets:
            raise Fatal(errcode.INTERNAL_ERROR, "no socket created for listening")

    def _open_tcp(self, host: str) -> bool:
        port = settings.port
        try:
            found = socket.getaddrinfo(
                None if host == "*" else host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )
        except socket.gaierror as error:
            report(
                Severity.LOG,
                f'could not translate host name "{host}", service "{port}" to address: {error.strerror}',
            )
            report(Severity.WARNING, f'could not create listen socket for "{host}"')
            return False
        made = False
        for family, _, _, _, address in found:
            if family not in (socket.AF_INET, socket.AF_INET6):
                continue
            name = "IPv4" if family == socket.AF_INET else "IPv6"
            try:
                sock = socket.socket(family, socket.SOCK_STREAM)
            except OSError as error:
                report(Severity.LOG, f'could not create {name} socket for address "{address[0]}": {error.strerror}')
                continue
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            try:
                sock.bind(address)
            except OSError as error:
                sock.close()
                in_use = error.errno == 98
                report(
                    Severity.LOG,
                    f'could not bind {name} address "{address[0]}": {error.strerror}',
                    hint=f"Is another postmaster already running on port {port}? If not, wait a few seconds and retry."
                    if in_use
                    else None,
                )
                continue
            self._listen(sock)
            report(Severity.LOG, f'listening on {name} address "{address[0]}", port {port}')
            made = True
        if not made:
            report(Severity.WARNING, f'could not create listen socket for "{host}"')
        return made

    def _open_unix(self, directory: Path, data_directory: Path) -> bool:
        path = directory / f".s.PGSQL.{settings.port}"
        if len(str(path)) >= 107:
            report(Severity.LOG, f'Unix-domain socket path "{path}" is too long (maximum 107 bytes)')
            report(Severity.WARNING, f'could not create Unix-domain socket in directory "{directory}"')
            return False
        lines = [str(os.getpid()), str(data_directory), str(int(time.time())), str(settings.port), str(directory)]
        lock = create_lock_file(
            Path(f"{path}.lock"),
            lines,
            in_use_hint=f'Is another postmaster (PID {{pid}}) using socket file "{path}"?',
        )
        path.unlink(missing_ok=True)
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.bind(str(path))
        except OSError as error:
            sock.close()
            lock.remove()
            report(Severity.LOG, f'could not bind Unix address "{path}": {error.strerror}')
            report(Severity.WARNING, f'could not create Unix-domain socket in directory "{directory}"')
            return False
        if settings.unix_socket_group:
            os.chown(path, -1, _group_id(settings.unix_socket_group))
        path.chmod(settings.unix_socket_permissions)
        self.lock_files.append(lock)
        self.socket_paths.append(path)
        self._listen(sock)
        report(Severity.LOG, f'listening on Unix socket "{path}"')
        return True

    def _listen(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        sock.listen(max(_BACKLOG_FLOOR, settings.max_connections * 2))
        self.sockets.append(sock)

    def touch(self) -> None:
        """Keep cleaners of /tmp away from the sockets and their lock files."""
        for lock in self.lock_files:
            lock.touch()
        for path in self.socket_paths:
            os.utime(path)

    def close(self) -> None:
        """Close the sockets: in a child, or when the server stops."""
        for sock in self.sockets:
            sock.close()
        self.sockets.clear()

    def remove_files(self) -> None:
        """Remove sockets and lock files."""
        for path in self.socket_paths:
            path.unlink(missing_ok=True)
        for lock in self.lock_files:
            lock.remove()


def _group_id(name: str) -> int:
    if name.isdigit():
        return int(name)
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        raise Fatal(errcode.INVALID_PARAMETER_VALUE, f'group "{name}" does not exist') from None
