"""pg_hba.conf and pg_ident.conf: reading, checking, and finding the line that decides.

Source: manual, "The pg_hba.conf File" and "User Name Maps". The postmaster reads the files at start and on SIGHUP;
a backend inherits the rules by fork.
"""

from __future__ import annotations

import ipaddress
import pwd
import re
import socket
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tusk.errors import Severity, errcode, report

METHODS = ("trust", "reject", "password", "scram-sha-256", "peer")
LATER_METHODS = ("md5", "gss", "sspi", "ident", "ldap", "radius", "cert", "pam", "bsd", "oauth")
CONNECTION_TYPES = ("local", "host", "hostssl", "hostnossl", "hostgssenc", "hostnogssenc")
_MAX_DEPTH = 10
_TOKEN = re.compile(r'\s*(?:(#.*)|(,)|((?:"(?:[^"]|"")*"|[^\s,"#])+))')


@dataclass(slots=True, frozen=True)
class Token:
    """A word of the file; quoting takes the special meaning of keywords away."""

    text: str
    quoted: bool = False

    def is_keyword(self, word: str) -> bool:
        """Whether this is that keyword, unquoted."""
        return not self.quoted and self.text == word


@dataclass(slots=True)
class HbaLine:
    """One rule, or one line that is wrong (``error``): a row of pg_hba_file_rules."""

    file: str
    line_number: int
    connection_type: str = ""
    databases: list[Token] = field(default_factory=list)
    users: list[Token] = field(default_factory=list)
    address: str | None = None
    netmask: str | None = None
    network: ipaddress.IPv4Network | ipaddress.IPv6Network | None = None
    method: str = ""
    options: dict[str, str] = field(default_factory=dict)
    error: str | None = None
    rule_number: int | None = None
    raw: str = ""


@dataclass(slots=True)
class IdentLine:
    """One user name mapping, or one line that is wrong: a row of pg_ident_file_mappings."""

    file: str
    line_number: int
    map_name: str = ""
    system_user: Token = Token("")
    database_user: Token = Token("")
    error: str | None = None
    map_number: int | None = None


def _tokenize(line: str) -> list[list[Token]]:
    """The fields of a line; each is a list, since commas join tokens into one field."""
    fields: list[list[Token]] = []
    joining = False
    position = 0
    while position < len(line):
        match = _TOKEN.match(line, position)
        if match is None or match[1]:
            break
        position = match.end()
        if match[2]:
            joining = True
            continue
        raw = match[3]
        token = Token(raw.replace('""', "\0").replace('"', "").replace("\0", '"'), raw.startswith('"'))
        if joining and fields:
            fields[-1].append(token)
        else:
            fields.append([token])
        joining = False
    return fields


def _lines(path: Path, depth: int = 0) -> list[tuple[str, int, str, str | None]]:
    """(file, line number, text, error) of a file with its includes and continued lines."""
    try:
        text = path.read_text(errors="surrogateescape")
    except OSError as error:
        return [(str(path), 0, "", f'could not open file "{path}": {error.strerror}')]
    found: list[tuple[str, int, str, str | None]] = []
    pending, start = "", 0
    for number, line in enumerate(text.splitlines(), 1):
        start = start or number
        if line.endswith("\\"):
            pending += line[:-1]
            continue
        whole, first = pending + line, start
        pending, start = "", 0
        words = _tokenize(whole)
        if not words:
            continue
        keyword = words[0][0]
        if len(words) == 2 and not keyword.quoted and keyword.text in ("include", "include_if_exists", "include_dir"):
            found += _included(path, keyword.text, words[1][0].text, depth, first)
        else:
            found.append((str(path), first, whole, None))
    return found


def _included(path: Path, keyword: str, name: str, depth: int, line: int) -> list[tuple[str, int, str, str | None]]:
    target = path.parent / name
    if depth >= _MAX_DEPTH:
        return [(str(path), line, "", f'could not open file "{target}": maximum nesting depth exceeded')]
    if keyword == "include_dir":
        if not target.is_dir():
            return [(str(path), line, "", f'could not open directory "{target}": No such file or directory')]
        entries = sorted(e for e in target.iterdir() if e.name.endswith(".conf") and not e.name.startswith("."))
        return [row for entry in entries for row in _lines(entry, depth + 1)]
    if keyword == "include_if_exists" and not target.exists():
        return []
    return _lines(target, depth + 1)


def _expand_file_references(tokens: list[Token], base: Path) -> list[Token]:
    expanded: list[Token] = []
    for token in tokens:
        if token.text.startswith("@") and not token.quoted and len(token.text) > 1:
            names = (base / token.text[1:]).read_text().splitlines()
            expanded += [item for line in names for group in _tokenize(line) for item in group]
        else:
            expanded.append(token)
    return expanded


def parse_hba_file(path: Path) -> list[HbaLine]:
    """All rules of the file in order; a wrong line has ``error`` set and no rule number."""
    rules: list[HbaLine] = []
    number = 0
    for file, line_number, text, error in _lines(path):
        rule = HbaLine(file, line_number, error=error, raw=text)
        if error is None:
            try:
                _parse_rule(rule, _tokenize(text), path.parent)
            except _LineError as problem:
                rule.error = str(problem)
            except OSError as problem:
                rule.error = f'could not open file "{problem.filename}": {problem.strerror}'
        if rule.error is None:
            number += 1
            rule.rule_number = number
        rules.append(rule)
    return rules


class _LineError(Exception):
    """What is wrong with a line."""


def _parse_rule(rule: HbaLine, fields: list[list[Token]], base: Path) -> None:
    it = iter(fields)
    rule.connection_type = _single(next(it), "connection type")
    if rule.connection_type not in CONNECTION_TYPES:
        raise _LineError(f'invalid connection type "{rule.connection_type}"')
    for wanted, attribute in (("database", "databases"), ("role", "users")):
        tokens = next(it, None)
        if tokens is None:
            raise _LineError(f"end-of-line before {wanted} specification")
        setattr(rule, attribute, _expand_file_references(tokens, base))
    if rule.connection_type != "local":
        _parse_address(rule, it)
    method = next(it, None)
    if method is None:
        raise _LineError("end-of-line before authentication method")
    rule.method = _single(method, "authentication type")
    if rule.method in LATER_METHODS:
        raise _LineError(f'invalid authentication method "{rule.method}": not supported by this build')
    if rule.method not in METHODS:
        raise _LineError(f'invalid authentication method "{rule.method}"')
    if rule.method == "peer" and rule.connection_type != "local":
        raise _LineError("peer authentication is only supported on local sockets")
    if rule.connection_type in ("hostssl", "hostgssenc"):
        raise _LineError(f'connection type "{rule.connection_type}" is not supported by this build')
    for option in (token for tokens in it for token in tokens):
        name, separator, value = option.text.partition("=")
        if not separator:
            raise _LineError(f"authentication option not in name=value format: {option.text}")
        if name != "map" or rule.method != "peer":
            raise _LineError(f'authentication option "{name}" is not valid for method "{rule.method}"')
        rule.options[name] = value


def _single(tokens: list[Token], what: str) -> str:
    if len(tokens) != 1:
        raise _LineError(f"multiple values specified for {what}")
    return tokens[0].text


def _parse_address(rule: HbaLine, it: object) -> None:
    tokens = next(it, None)  # type: ignore[call-overload]
    if tokens is None:
        raise _LineError("end-of-line before IP address specification")
    if len(tokens) != 1:
        raise _LineError("multiple values specified for host address")
    token = tokens[0]
    rule.address = token.text
    if not token.quoted and token.text in ("all", "samehost", "samenet"):
        return
    address, slash, prefix = token.text.partition("/")
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        if slash:
            raise _LineError(f'specifying both host name and CIDR mask is invalid: "{token.text}"') from None
        return
    if slash:
        if not prefix.isdigit() or int(prefix) > ip.max_prefixlen:
            raise _LineError(f'invalid CIDR mask in address "{token.text}"')
        mask = prefix
    else:
        following = next(it, None)  # type: ignore[call-overload]
        if following is None:
            raise _LineError("end-of-line before netmask specification")
        mask = _single(following, "netmask")
        try:
            if ipaddress.ip_address(mask).version != ip.version:
                raise _LineError("IP address and mask do not match")
        except ValueError:
            raise _LineError(f'invalid IP mask "{mask}"') from None
    rule.address = address
    rule.network = ipaddress.ip_network(f"{address}/{mask}", strict=False)
    rule.netmask = str(rule.network.netmask)


def load_rules(path: Path) -> list[HbaLine] | None:
    """The rules, or None (with the reasons in the log) where the file has any error or no rule."""
    rules = parse_hba_file(path)
    for rule in rules:
        if rule.error is not None:
            report(
                Severity.LOG,
                rule.error,
                sqlstate=errcode.CONFIG_FILE_ERROR,
                context=f'line {rule.line_number} of configuration file "{rule.file}"',
            )
    if any(rule.error is not None for rule in rules):
        return None
    if not rules:
        report(
            Severity.LOG,
            f'configuration file "{path}" contains no entries',
            sqlstate=errcode.CONFIG_FILE_ERROR,
        )
        return None
    return rules


def parse_ident_file(path: Path) -> list[IdentLine]:
    """All mappings of pg_ident.conf in order."""
    mappings: list[IdentLine] = []
    number = 0
    for file, line_number, text, error in _lines(path):
        mapping = IdentLine(file, line_number, error=error)
        fields = _tokenize(text)
        if error is None:
            if len(fields) != 3 or any(len(tokens) != 1 for tokens in fields):
                mapping.error = "missing entry at end of line" if len(fields) < 3 else "multiple values in ident field"
            else:
                mapping.map_name = fields[0][0].text
                mapping.system_user, mapping.database_user = fields[1][0], fields[2][0]
                number += 1
                mapping.map_number = number
        mappings.append(mapping)
    return mappings


def find_rule(
    rules: Sequence[HbaLine],
    *,
    client_address: str | None,
    database: str,
    user: str,
    is_physical_replication: bool,
    is_member: Callable[[str, str], bool],
) -> HbaLine | None:
    """The first rule that fits, or None. ``is_member(user, role)`` answers for ``+role`` and ``samerole``."""
    for rule in rules:
        if (rule.connection_type == "local") != (client_address is None):
            continue
        if client_address is not None and not _address_fits(rule, client_address):
            continue
        if not _database_fits(rule.databases, database, user, is_physical_replication, is_member):
            continue
        if _role_fits(rule.users, user, is_member):
            return rule
    return None


def _address_fits(rule: HbaLine, client_address: str) -> bool:
    ip = ipaddress.ip_address(client_address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped:
        ip = ip.ipv4_mapped
    if rule.network is not None:
        return ip.version == rule.network.version and ip in rule.network
    if rule.address == "all":
        return True
    if rule.address in ("samehost", "samenet"):
        return _is_own_network(ip, whole_net=rule.address == "samenet")
    return _host_name_fits(str(rule.address), str(ip))


def _is_own_network(ip: ipaddress.IPv4Address | ipaddress.IPv6Address, *, whole_net: bool) -> bool:
    for addresses in psutil.net_if_addrs().values():
        for item in addresses:
            if item.family not in (socket.AF_INET, socket.AF_INET6):
                continue
            own = ipaddress.ip_address(item.address.partition("%")[0])
            if own == ip:
                return True
            if whole_net and own.version == ip.version and item.netmask:
                mask = bin(int(ipaddress.ip_address(item.netmask))).count("1")
                if ip in ipaddress.ip_network(f"{own}/{mask}", strict=False):
                    return True
    return False


def _host_name_fits(pattern: str, ip: str) -> bool:
    """Reverse lookup, then forward lookup to check that the name is the address's own."""
    try:
        name = socket.gethostbyaddr(ip)[0]
    except OSError:
        return False
    matches = name.lower().endswith(pattern.lower()) if pattern.startswith(".") else name.lower() == pattern.lower()
    if not matches:
        return False
    try:
        return any(info[4][0] == ip for info in socket.getaddrinfo(name, None))
    except OSError:
        return False


def _database_fits(
    tokens: list[Token], database: str, user: str, is_physical: bool, is_member: Callable[[str, str], bool]
) -> bool:
    for token in tokens:
        if is_physical:
            if token.is_keyword("replication"):
                return True
            continue
        if (
            token.is_keyword("all")
            or (token.is_keyword("sameuser") and database == user)
            or ((token.is_keyword("samerole") or token.is_keyword("samegroup")) and is_member(user, database))
        ):
            return True
        if token.is_keyword("replication"):
            continue
        if not token.quoted and token.text.startswith("/"):
            if re.search(token.text[1:], database):
                return True
        elif token.text == database:
            return True
    return False


def _role_fits(tokens: list[Token], user: str, is_member: Callable[[str, str], bool]) -> bool:
    for token in tokens:
        if not token.quoted and token.text.startswith("+"):
            if is_member(user, token.text[1:]):
                return True
        elif token.is_keyword("all") or token.text == user:  # noqa: SIM114
            return True
        elif not token.quoted and token.text.startswith("/") and re.search(token.text[1:], user):
            return True
    return False


def check_user_map(
    mappings: Sequence[IdentLine], map_name: str, system_user: str, user: str, is_member: Callable[[str, str], bool]
) -> bool:
    """Whether the map lets ``system_user`` of the operating system be ``user``; without a map the names must agree."""
    if not map_name:
        if system_user == user:
            return True
        report(Severity.LOG, f"provided user name ({user}) and authenticated user name ({system_user}) do not match")
        return False
    for mapping in mappings:
        if mapping.error is not None or mapping.map_name != map_name:
            continue
        wanted = mapping.database_user
        if mapping.system_user.text.startswith("/") and not mapping.system_user.quoted:
            match = re.search(mapping.system_user.text[1:], system_user)
            if match is None:
                continue
            if "\\1" in wanted.text:
                if match.lastindex is None:
                    continue
                wanted = Token(wanted.text.replace("\\1", match[1], 1), wanted.quoted)
        elif mapping.system_user.text != system_user:
            continue
        if _role_fits([wanted], user, is_member):
            return True
    report(
        Severity.LOG, f'no match in usermap "{map_name}" for user "{user}" authenticated as "{system_user}"'
    )
    return False


def peer_user_name(sock: socket.socket) -> str:
    """The name of the operating-system user at the other end of a Unix socket."""
    credentials = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    uid = int.from_bytes(credentials[4:8], sys.byteorder)
    return pwd.getpwuid(uid).pw_name
