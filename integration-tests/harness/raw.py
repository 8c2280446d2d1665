"""HTTP/1.1 by hand: a connection that reads heads and chunks as they are on the wire, and a scripted upstream."""

import contextlib
import socket
import threading

from .poll import wait_for


class Closed(AssertionError):
    """The peer ended the connection before the message was complete."""


class Message:
    """A head and what came after it."""

    def __init__(self, raw):
        self.raw = raw
        lines = raw.decode("latin-1").split("\r\n")
        self.start = lines[0]
        self.fields = [tuple(part.strip() for part in line.split(":", 1)) for line in lines[1:] if line]
        self.body = b""
        self.trailers = []

    def get(self, name, default=None):
        values = self.all(name)
        return values[0] if values else default

    def all(self, name):
        return [value for field, value in self.fields if field.lower() == name.lower()]

    @property
    def status(self):
        return int(self.start.split()[1])

    @property
    def method(self):
        return self.start.split()[0]

    def __repr__(self):
        return f"<{self.start} {self.fields} {len(self.body)} bytes>"


class Connection:
    """One end of a TCP connection; `heard` keeps every byte that came."""

    def __init__(self, sock):
        self.socket = sock
        self.buffer = b""
        self.heard = bytearray()

    def __enter__(self):
        return self

    def __exit__(self, *failure):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data if isinstance(data, bytes) else data.encode("latin-1"))

    def _more(self):
        piece = self.socket.recv(1 << 18)
        self.heard += piece
        self.buffer += piece
        return piece

    def read_until(self, mark):
        while mark not in self.buffer:
            if not self._more():
                raise Closed(f"closed before {mark!r}, after {bytes(self.buffer)!r}")
        found, self.buffer = self.buffer.split(mark, 1)
        return found

    def read(self, size):
        pieces, missing = [self.buffer[:size]], size - len(self.buffer[:size])
        self.buffer = self.buffer[size:]
        while missing:
            piece = self.socket.recv(min(missing, 1 << 18))
            if not piece:
                raise Closed(f"closed {missing} bytes early")
            self.heard += piece
            pieces.append(piece)
            missing -= len(piece)
        return b"".join(pieces)

    def read_to_end(self):
        while self._more():
            pass
        found, self.buffer = self.buffer, b""
        return found

    def read_head(self):
        return Message(self.read_until(b"\r\n\r\n"))

    def read_body(self, message, answers=None):
        """Reads the body that the head announces; `answers`: the request's method when it is a response."""
        is_response = message.start.startswith("HTTP/")
        if is_response and (answers == "HEAD" or message.status in (204, 304) or message.status < 200):
            return message
        if "chunked" in message.get("Transfer-Encoding", "").lower():
            pieces = []
            while True:
                size = int(self.read_until(b"\r\n").split(b";")[0], 16)
                if not size:
                    break
                pieces.append(self.read(size))
                assert self.read(2) == b"\r\n"
            message.body = b"".join(pieces)
            while line := self.read_until(b"\r\n"):
                message.trailers.append(tuple(part.strip() for part in line.decode("latin-1").split(":", 1)))
        elif message.get("Content-Length") is not None:
            message.body = self.read(int(message.get("Content-Length")))
        elif is_response:
            message.body = self.read_to_end()
        return message

    def read_request(self):
        """The next request, or None when the client closed between requests."""
        try:
            head = self.read_head()
        except Closed:
            if self.buffer:
                raise
            return None
        return self.read_body(head)

    def read_response(self, answers="GET"):
        return self.read_body(self.read_head(), answers)

    def ask(self, data, answers="GET"):
        self.send(data)
        return self.read_response(answers)

    def is_closed(self, seconds=5):
        """The peer ends the connection (FIN or RST) without another byte."""
        self.socket.settimeout(seconds)
        try:
            return self._more() == b""
        except ConnectionResetError:
            return True
        except TimeoutError:
            return False


class Upstream:
    """Listens in a pod; each connection runs script(connection, number) in a thread of its own."""

    def __init__(self, pod, port, script, family=socket.AF_INET6):
        self.listener = pod.listen(port, family)
        self.listener.settimeout(None)
        self.script = script
        self.connections = []
        self.failures = []
        self.threads = []
        self.thread = threading.Thread(target=self._loop, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, kind, *failure):
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for connection in self.connections:
            with contextlib.suppress(OSError):
                connection.socket.shutdown(socket.SHUT_RDWR)
        for thread in [self.thread, *self.threads]:
            thread.join(5)
        for connection in self.connections:
            connection.socket.close()
        if kind is None and self.failures:
            raise self.failures[0]

    def _loop(self):
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self.listener.accept()
                sock.settimeout(20)
                connection = Connection(sock)
                self.connections.append(connection)
                thread = threading.Thread(target=self._one, args=(connection, len(self.connections)), daemon=True)
                self.threads.append(thread)
                thread.start()

    def _one(self, connection, number):
        try:
            self.script(connection, number)
        except (Closed, OSError):
            pass  # the test's client sees what it needs to see
        except BaseException as error:
            self.failures.append(error)
        connection.ended = True
        connection.socket.close()

    def wait_connections(self, count, seconds=5):
        wait_for(lambda: len(self.connections) >= count, f"{count} connections at the upstream", seconds)
        return self.connections


def answer(status="200 OK", body=b"", *fields):
    """A response with a length."""
    body = body if isinstance(body, bytes) else body.encode()
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *fields, "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


def echo(connection, _number):
    """A script that sends back whatever comes."""
    while piece := connection.socket.recv(1 << 16):
        connection.send(piece)


def serve(respond):
    """A script that answers every request by respond(request) -> bytes."""

    def script(connection, _number):
        while (request := connection.read_request()) is not None:
            connection.send(respond(request))

    return script
