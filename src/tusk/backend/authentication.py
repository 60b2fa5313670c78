"""Who is the client? The conversation that pg_hba.conf asks for, held inside the backend.

Source: manual, "Client Authentication" and "Protocol Flow: Start-up".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tusk.backend import protocol, scram
from tusk.backend.connection import ClientConnection, ConnectionLost
from tusk.backend.hba import HbaLine, IdentLine, check_user_map, find_rule, peer_user_name
from tusk.errors import Fatal, Severity, errcode, report


@dataclass(slots=True)
class RoleLookup:
    """What authentication asks of the catalogs."""

    is_member: Callable[[str, str], bool]
    password_of: Callable[[str], str | None]


def authenticate(
    connection: ClientConnection,
    *,
    user: str,
    database: str,
    client_address: str | None,
    is_physical_replication: bool,
    rules: Sequence[HbaLine],
    mappings: Sequence[IdentLine],
    roles: RoleLookup,
) -> tuple[HbaLine, str]:
    """Find the rule and carry it out; return it and the authenticated identity. AuthenticationOk is not sent here.

    Errors: FATAL 28000 (no rule, reject, peer), 28P01 (password).
    """
    rule = find_rule(
        rules,
        client_address=client_address,
        database=database,
        user=user,
        is_physical_replication=is_physical_replication,
        is_member=roles.is_member,
    )
    host = "[local]" if client_address is None else client_address
    target = f'host "{host}", user "{user}"'
    if rule is None or rule.method == "reject":
        what = "replication connection from " if is_physical_replication else ""
        tail = "no encryption" if is_physical_replication else f'database "{database}", no encryption'
        if rule is None:
            message = f"no pg_hba.conf entry for {what}{target}, {tail}"
        else:
            message = f"pg_hba.conf rejects {what.replace(' from', ' for') or 'connection for '}{target}, {tail}"
        raise Fatal(errcode.INVALID_AUTHORIZATION_SPECIFICATION, message)
    match rule.method:
        case "trust":
            return rule, ""
        case "peer":
            identity = peer_user_name(connection.socket)
            if not check_user_map(mappings, rule.options.get("map", ""), identity, user, roles.is_member):
                raise _failed(
                    rule, errcode.INVALID_AUTHORIZATION_SPECIFICATION, f'Peer authentication failed for user "{user}"'
                )
            return rule, identity
        case "password":
            _check_password(connection, user, rule, roles)
        case "scram-sha-256":
            _check_scram(connection, user, rule, roles)
        case other:
            raise AssertionError(other)
    return rule, user


def _failed(rule: HbaLine, sqlstate: str, message: str, reason: str = "") -> Fatal:
    where = f'Connection matched file "{rule.file}" line {rule.line_number}: "{rule.raw}"'
    return Fatal(sqlstate, message, detail_log=f"{reason}\n{where}" if reason else where)


def _receive(connection: ClientConnection) -> bytes:
    kind, body = connection.read_message(max_length=65536)
    if kind == ord("X"):
        raise ConnectionLost("client closed the connection during authentication")
    if kind != ord("p"):
        raise Fatal(errcode.PROTOCOL_VIOLATION, f"expected password response, got message type {kind}")
    return body


def _verifier(user: str, roles: RoleLookup) -> tuple[scram.Verifier | None, str]:
    stored = roles.password_of(user)
    if stored is None:
        return None, f'User "{user}" has no usable password.'
    verifier = scram.parse_verifier(stored)
    return verifier, "" if verifier else f'User "{user}" does not have a valid SCRAM secret.'


def _check_password(connection: ClientConnection, user: str, rule: HbaLine, roles: RoleLookup) -> None:
    connection.send(protocol.authentication(protocol.AUTH_CLEARTEXT))
    connection.flush()
    body = _receive(connection)
    if not body.endswith(b"\0") or b"\0" in body[:-1]:
        raise Fatal(errcode.PROTOCOL_VIOLATION, "invalid password packet size")
    failure = f'password authentication failed for user "{user}"'
    password = body[:-1].decode("utf-8", "surrogateescape")
    if not password:
        raise Fatal(errcode.INVALID_PASSWORD, "empty password returned by client")
    verifier, reason = _verifier(user, roles)
    if verifier is None or not scram.verify_password(password, verifier):
        raise _failed(rule, errcode.INVALID_PASSWORD, failure, reason or f'Password does not match for user "{user}".')


def _check_scram(connection: ClientConnection, user: str, rule: HbaLine, roles: RoleLookup) -> None:
    connection.send(protocol.authentication(protocol.AUTH_SASL, protocol.cstring(scram.MECHANISM) + b"\0"))
    connection.flush()
    reader = protocol.MessageReader(_receive(connection))
    mechanism = reader.cstring().decode("ascii", "replace")
    if mechanism != scram.MECHANISM:
        raise Fatal(errcode.PROTOCOL_VIOLATION, "client selected an invalid SASL authentication mechanism")
    length = reader.int32()
    if length < 0:
        raise Fatal(errcode.PROTOCOL_VIOLATION, "client did not send an initial SASL response")
    verifier, reason = _verifier(user, roles)
    exchange = scram.ScramServer(verifier, user)
    connection.send(protocol.authentication(protocol.AUTH_SASL_CONTINUE, exchange.first(reader.take(length))))
    connection.flush()
    final = exchange.final(_receive(connection))
    if final is None:
        raise _failed(rule, errcode.INVALID_PASSWORD, f'password authentication failed for user "{user}"', reason)
    connection.send(protocol.authentication(protocol.AUTH_SASL_FINAL, final))


def log_connection_authenticated(rule: HbaLine, identity: str, user: str) -> None:
    """The line of ``log_connections = authentication``."""
    method = rule.method
    where = f"({rule.file}:{rule.line_number})"
    shown = f'identity="{identity}" method={method} {where}' if identity else f'user="{user}" method={method} {where}'
    report(Severity.LOG, f"connection authenticated: {shown}")
