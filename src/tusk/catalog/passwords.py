"""Secrets of pg_authid.rolpassword: SCRAM-SHA-256 verifiers and md5 hashes (libpq/crypt.h, common/scram-common.h)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import re
import stringprep
import unicodedata

SCRAM_ITERATIONS = 4096
SALT_LENGTH = 16
_SCRAM = re.compile(r"SCRAM-SHA-256\$(\d+):([A-Za-z0-9+/=]+)\$([A-Za-z0-9+/=]{44}):([A-Za-z0-9+/=]{44})\Z")
_MD5 = re.compile(r"md5[0-9a-f]{32}\Z")
_PROHIBITED = (
    stringprep.in_table_c12, stringprep.in_table_c21_c22, stringprep.in_table_c3, stringprep.in_table_c4,
    stringprep.in_table_c5, stringprep.in_table_c6, stringprep.in_table_c7, stringprep.in_table_c8,
    stringprep.in_table_c9,
)  # fmt: skip


def saslprep(password: str) -> str:
    """The password normalised as RFC 4013 wants; unchanged if it cannot be."""
    mapped = "".join(
        " " if stringprep.in_table_c12(c) else c for c in password if not stringprep.in_table_b1(c)
    )
    text = unicodedata.normalize("NFKC", mapped)
    if not text or any(check(c) for c in text for check in _PROHIBITED) or any(
        stringprep.in_table_a1(c) for c in text
    ):
        return password
    if any(stringprep.in_table_d1(c) for c in text) and (
        any(stringprep.in_table_d2(c) for c in text)
        or not (stringprep.in_table_d1(text[0]) and stringprep.in_table_d1(text[-1]))
    ):
        return password
    return text


def scram_secret(password: str, iterations: int = SCRAM_ITERATIONS, salt: bytes | None = None) -> str:
    """The verifier to store for a password."""
    salt = os.urandom(SALT_LENGTH) if salt is None else salt
    salted = hashlib.pbkdf2_hmac("sha256", saslprep(password).encode(), salt, iterations)
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    server_key = hmac.digest(salted, b"Server Key", "sha256")
    stored_key = hashlib.sha256(client_key).digest()
    parts = [base64.b64encode(data).decode() for data in (salt, stored_key, server_key)]
    return f"SCRAM-SHA-256${iterations}:{parts[0]}${parts[1]}:{parts[2]}"


def md5_secret(password: str, role: str) -> str:
    """The md5 hash to store for a password of a role."""
    return "md5" + hashlib.md5((password + role).encode(), usedforsecurity=False).hexdigest()


def password_kind(secret: str) -> str:
    """"scram-sha-256", "md5" or "plaintext": what a stored or given password is."""
    if _MD5.match(secret):
        return "md5"
    return "scram-sha-256" if _SCRAM.match(secret) else "plaintext"


def encrypt_password(kind: str, role: str, password: str, iterations: int = SCRAM_ITERATIONS) -> str:
    """What to store for a password that a user gave; a secret that is one already stays as it is."""
    if password_kind(password) != "plaintext":
        return password
    return md5_secret(password, role) if kind == "md5" else scram_secret(password, iterations)
