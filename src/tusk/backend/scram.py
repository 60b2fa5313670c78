"""SCRAM-SHA-256 (RFC 5802, RFC 7677): verifiers, and the server's side of the exchange, without any I/O."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import secrets
import stringprep
import unicodedata
from dataclasses import dataclass

from tusk.errors import Fatal, errcode

MECHANISM = "SCRAM-SHA-256"
DEFAULT_ITERATIONS = 4096
SALT_LENGTH = 16
_NONCE_LENGTH = 18
_VERIFIER = re.compile(r"SCRAM-SHA-256\$(\d+):([A-Za-z0-9+/=]+)\$([A-Za-z0-9+/=]+):([A-Za-z0-9+/=]+)")


@dataclass(slots=True, frozen=True)
class Verifier:
    """What pg_authid.rolpassword keeps of a password."""

    iterations: int
    salt: bytes
    stored_key: bytes
    server_key: bytes

    def __str__(self) -> str:
        salt, stored, server = (base64.b64encode(b).decode() for b in (self.salt, self.stored_key, self.server_key))
        return f"SCRAM-SHA-256${self.iterations}:{salt}${stored}:{server}"


def parse_verifier(text: str) -> Verifier | None:
    """The verifier in pg_authid's text form, or None where the text is something else."""
    match = _VERIFIER.fullmatch(text)
    if match is None:
        return None
    try:
        salt, stored, server = (base64.b64decode(part, validate=True) for part in match.groups()[1:])
    except binascii.Error:
        return None
    if len(stored) != 32 or len(server) != 32:
        return None
    return Verifier(int(match[1]), salt, stored, server)


def saslprep(password: str) -> str:
    """RFC 4013 preparation; a password that it forbids is used as it is, as PostgreSQL does."""
    mapped = "".join(
        " " if stringprep.in_table_c12(char) else char for char in password if not stringprep.in_table_b1(char)
    )
    prepared = unicodedata.normalize("NFKC", mapped)
    forbidden = (
        stringprep.in_table_c12, stringprep.in_table_c21_c22, stringprep.in_table_c3, stringprep.in_table_c4,
        stringprep.in_table_c5, stringprep.in_table_c6, stringprep.in_table_c7, stringprep.in_table_c8,
        stringprep.in_table_c9, stringprep.in_table_a1,
    )  # fmt: skip
    if not prepared or any(test(char) for char in prepared for test in forbidden):
        return password
    if any(stringprep.in_table_d1(char) for char in prepared) and (
        any(stringprep.in_table_d2(char) for char in prepared)
        or not (stringprep.in_table_d1(prepared[0]) and stringprep.in_table_d1(prepared[-1]))
    ):
        return password
    return prepared


def _hmac(key: bytes, data: bytes) -> bytes:
    return hmac.digest(key, data, "sha256")


def make_verifier(password: str, iterations: int = DEFAULT_ITERATIONS, salt: bytes | None = None) -> Verifier:
    """The verifier of a password under a fresh salt."""
    salt = secrets.token_bytes(SALT_LENGTH) if salt is None else salt
    salted = hashlib.pbkdf2_hmac("sha256", saslprep(password).encode("utf-8", "surrogateescape"), salt, iterations)
    stored = hashlib.sha256(_hmac(salted, b"Client Key")).digest()
    return Verifier(iterations, salt, stored, _hmac(salted, b"Server Key"))


def verify_password(password: str, verifier: Verifier) -> bool:
    """Whether the clear-text password is the one behind the verifier."""
    computed = make_verifier(password, verifier.iterations, verifier.salt)
    return hmac.compare_digest(computed.server_key, verifier.server_key)


def _malformed(detail: str) -> Fatal:
    return Fatal(errcode.PROTOCOL_VIOLATION, "malformed SCRAM message", detail=detail)


class ScramServer:
    """One exchange. With ``verifier`` None it goes through all steps and fails, so that a client cannot tell an
    unknown role from a wrong password."""

    def __init__(self, verifier: Verifier | None, role: str) -> None:
        self.doomed = verifier is None
        if verifier is None:
            # The same salt every time for the same role, as a real one would be.
            salt = hashlib.sha256(b"tusk mock salt" + role.encode("utf-8", "surrogateescape")).digest()[:SALT_LENGTH]
            verifier = Verifier(DEFAULT_ITERATIONS, salt, secrets.token_bytes(32), secrets.token_bytes(32))
        self.verifier = verifier
        self._client_first_bare = ""
        self._server_first = ""
        self._nonce = ""
        self._gs2_header = ""

    def first(self, message: bytes) -> bytes:
        """Take client-first-message, give server-first-message."""
        try:
            text = message.decode("ascii")
        except UnicodeDecodeError as error:
            raise _malformed("The message contains characters that are not ASCII.") from error
        match = re.fullmatch(
            r"((?:n|y|p=[^,]*),([^,]*),)((?:(m=[^,]*),)?n=([^,]*),r=([\x21-\x2b\x2d-\x7e]+)(?:,.*)?)", text
        )
        if match is None:
            raise _malformed("The client-first-message is not understood.")
        header, authzid, bare, extension, _, nonce = match.groups()
        if header.startswith("p="):
            raise Fatal(
                errcode.PROTOCOL_VIOLATION,
                "malformed SCRAM message",
                detail="The client selected SCRAM-SHA-256 without channel binding, but the SCRAM message includes "
                "channel binding data.",
            )
        if authzid:
            raise Fatal(errcode.FEATURE_NOT_SUPPORTED, "client uses authorization identity, but it is not supported")
        if extension:
            raise Fatal(errcode.FEATURE_NOT_SUPPORTED, "client requires an unsupported SCRAM extension")
        self._gs2_header = header
        self._client_first_bare = bare
        self._nonce = nonce + base64.b64encode(secrets.token_bytes(_NONCE_LENGTH)).decode()
        salt = base64.b64encode(self.verifier.salt).decode()
        self._server_first = f"r={self._nonce},s={salt},i={self.verifier.iterations}"
        return self._server_first.encode()

    def final(self, message: bytes) -> bytes | None:
        """Take client-final-message; give server-final-message, or None where the proof is wrong."""
        text = message.decode("ascii", "replace")
        match = re.fullmatch(r"(c=([A-Za-z0-9+/=]*),r=([^,]*)(?:,.*)?),p=([A-Za-z0-9+/=]+)", text)
        if match is None:
            raise _malformed("The client-final-message is not understood.")
        without_proof, binding, nonce, proof_text = match.groups()
        if binding != base64.b64encode(self._gs2_header.encode()).decode():
            raise Fatal(
                errcode.PROTOCOL_VIOLATION, "unexpected SCRAM channel-binding attribute in client-final-message"
            )
        if nonce != self._nonce:
            raise Fatal(errcode.PROTOCOL_VIOLATION, "invalid SCRAM response", detail="Nonce does not match.")
        try:
            proof = base64.b64decode(proof_text, validate=True)
        except binascii.Error as error:
            raise _malformed("The proof is not in base64.") from error
        if len(proof) != 32:
            raise _malformed("The proof has the wrong length.")
        auth_message = f"{self._client_first_bare},{self._server_first},{without_proof}".encode()
        signature = _hmac(self.verifier.stored_key, auth_message)
        client_key = bytes(a ^ b for a, b in zip(proof, signature, strict=True))
        matches = hmac.compare_digest(hashlib.sha256(client_key).digest(), self.verifier.stored_key)
        if self.doomed or not matches:
            return None
        return b"v=" + base64.b64encode(_hmac(self.verifier.server_key, auth_message))
