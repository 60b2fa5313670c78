"""COPY data over the client's connection: copy-in and copy-out modes of the protocol.

`commands.copy` reads from and writes to these; errors leave the mode (the client's leftover CopyData is skipped by the
command loop).
"""

from __future__ import annotations

from tusk.backend import client_text, protocol
from tusk.backend.connection import ClientConnection, ConnectionLost
from tusk.commands._copy_parse import split_messages
from tusk.errors import SqlError, errcode

_DATA, _DONE, _FAIL, _FLUSH, _SYNC = ord("d"), ord("c"), ord("f"), ord("H"), ord("S")


class CopyIn:
    """Data of COPY FROM STDIN."""

    def __init__(self, connection: ClientConnection, is_binary: bool, ncolumns: int) -> None:
        self.connection = connection
        connection.send(protocol.copy_response(b"G", is_binary, ncolumns))
        connection.flush()

    def read(self) -> bytes | None:
        """What has arrived, at least one message's worth; None once the client is done."""
        try:
            data = self.connection.take_many(split_messages)
            if data:
                return data
            return self._read_other()
        except ConnectionLost as lost:
            # What was sent may still be heard by a client that has only stopped sending.
            self.connection.is_out_of_sync = True
            self.connection.lost = False
            raise SqlError(
                errcode.CONNECTION_FAILURE, "unexpected EOF on client connection with an open transaction"
            ) from lost

    def _read_other(self) -> bytes | None:
        while True:
            kind, body = self.connection.read_message()
            if kind == _DATA:
                return body
            if kind == _DONE:
                return None
            if kind == _FAIL:
                text = client_text.to_text(protocol.MessageReader(body).cstring())
                raise SqlError(errcode.QUERY_CANCELED, f"COPY from stdin failed: {text}")
            if kind not in (_FLUSH, _SYNC):
                self.connection.is_out_of_sync = True
                raise SqlError(
                    errcode.PROTOCOL_VIOLATION, f"unexpected message type 0x{kind:02X} during COPY from stdin"
                )


class CopyOut:
    """Data of COPY TO STDOUT."""

    def __init__(self, connection: ClientConnection, is_binary: bool, ncolumns: int) -> None:
        self.connection = connection
        self.is_binary = is_binary
        connection.send(protocol.copy_response(b"H", is_binary, ncolumns))

    def write(self, data: bytes) -> None:
        """Send rows: framed as messages already in text formats, bare in binary."""
        if data:
            self.connection.send(protocol.message(b"d", data) if self.is_binary else data)

    def finish(self) -> None:
        """Leave copy-out mode."""
        self.connection.send(protocol.COPY_DONE)
