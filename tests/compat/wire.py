"""A protocol client that sends what it is told to, so that tests can misbehave."""

import socket
import struct

PROTOCOL_3_0 = 3 << 16
PROTOCOL_3_2 = 3 << 16 | 2
SSL_REQUEST, GSS_REQUEST, CANCEL_REQUEST = 80877103, 80877104, 80877102


class Wire:
    """A connection of raw messages."""

    def __init__(self, server, timeout_s=10):
        self.sock = socket.create_connection((server.host, server.port), timeout_s)
        self.user = server.superuser
        self.buffer = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def raw(self, data):
        """Send bytes."""
        self.sock.sendall(data)

    def packet(self, code, body=b""):
        """Send a packet without a type byte."""
        self.raw(struct.pack("!ii", 8 + len(body), code) + body)

    def send(self, kind, body=b""):
        """Send a message."""
        self.raw(message(kind, body))

    def startup(self, version=PROTOCOL_3_0, **options):
        """Send the startup packet, and nothing else."""
        pairs = {"user": self.user, "database": "postgres", **options}
        self.packet(version, b"".join(cstring(part) for pair in pairs.items() for part in pair) + b"\0")

    def login(self, version=PROTOCOL_3_0, **options):
        """Start a session; returns all messages up to ReadyForQuery."""
        self.startup(version, **options)
        return self.until(b"Z")

    def take(self, count):
        """That many bytes, or fewer at the end of the connection."""
        while len(self.buffer) < count:
            try:
                more = self.sock.recv(65536)
            except ConnectionResetError:
                more = b""
            if not more:
                break
            self.buffer += more
        taken, self.buffer = self.buffer[:count], self.buffer[count:]
        return taken

    def receive(self):
        """The next message as (kind, body); None at the end of the connection."""
        head = self.take(5)
        if len(head) < 5:
            return None
        return head[:1], self.take(struct.unpack("!i", head[1:])[0] - 4)

    def until(self, kind):
        """All messages up to one of a kind, or to the end of the connection."""
        found = []
        while (one := self.receive()) is not None:
            found.append(one)
            if one[0] == kind:
                break
        return found

    def query(self, text):
        """A simple query's messages, ReadyForQuery included."""
        self.send(b"Q", cstring(text))
        return self.until(b"Z")


def message(kind, body=b""):
    """A message's bytes."""
    return kind + struct.pack("!i", 4 + len(body)) + body


def cstring(text):
    """A string with its terminator."""
    return text.encode() + b"\0"


def fields(body):
    """The fields of an ErrorResponse or NoticeResponse."""
    return {part[:1].decode(): part[1:].decode() for part in body.split(b"\0") if part}


def errors(messages):
    """Fields of the errors among messages."""
    return [fields(body) for kind, body in messages if kind == b"E"]


def kinds(messages):
    """The type bytes of messages, as a string."""
    return b"".join(kind for kind, _ in messages).decode()


def row(body):
    """The values of a DataRow."""
    (count,) = struct.unpack_from("!h", body)
    values, at = [], 2
    for _ in range(count):
        (size,) = struct.unpack_from("!i", body, at)
        at += 4
        values.append(None if size < 0 else body[at : at + size])
        at += max(size, 0)
    return values


def parse(query, name="", types=()):
    """A Parse message."""
    return message(b"P", cstring(name) + cstring(query) + struct.pack(f"!h{len(types)}I", len(types), *types))


def bind(values=(), name="", portal="", formats=(), results=()):
    """A Bind message."""
    body = cstring(portal) + cstring(name) + struct.pack(f"!h{len(formats)}h", len(formats), *formats)
    body += struct.pack("!h", len(values))
    for value in values:
        body += struct.pack("!i", -1) if value is None else struct.pack("!i", len(value)) + value
    return message(b"B", body + struct.pack(f"!h{len(results)}h", len(results), *results))


def describe(what, name=""):
    """A Describe message for a statement (S) or portal (P)."""
    return message(b"D", what + cstring(name))


def execute(rows=0, portal=""):
    """An Execute message."""
    return message(b"E", cstring(portal) + struct.pack("!i", rows))


def close(what, name=""):
    """A Close message."""
    return message(b"C", what + cstring(name))


SYNC = message(b"S")
FLUSH = message(b"H")
