"""A bad road to the API server: a TLS relay that passes everything, until a test tells it not to."""

import contextlib
import json
import select
import socket
import ssl
import struct
import threading

from harness.pod import in_netns

from . import layout

STATUS = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}


def _answer(status, body):
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


GONE = json.dumps({**STATUS, "code": 410, "reason": "Expired", "message": "too old resource version"}).encode()
BROKEN = json.dumps({**STATUS, "code": 500, "reason": "InternalError", "message": "etcd is away"}).encode()
# What a request is answered with while the relay is in that mode; the connection ends with it.
ANSWERS = {
    "410": _answer("410 Gone", GONE),
    "410 in the stream": _answer("200 OK", b'{"type":"ERROR","object":' + GONE + b"}\n"),
    "500": _answer("500 Internal Server Error", BROKEN),
    "garbage": b"\x00\xffSSH-2.0-no\r\n\r\n",
    "garbage in the body": _answer("200 OK", b'{"type":"ADDED","object":{"kind":[}}]\n{{{{' * 20),
    "half an answer": _answer("200 OK", b"{" * 1000)[:200],
}
MODES = ("pass", "reset", "stall", *ANSWERS)


class BadRoad:
    """url is what weftd is told. mode may be set at any time."""

    def __init__(self, cluster):
        signed = cluster.authority
        self.netns = cluster.netns
        self.to_server = ssl.create_default_context(cafile=signed.certificate("ca"))
        self.to_client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.to_client.load_cert_chain(signed.certificate("apiserver"), signed.key("apiserver"))
        self.listener = in_netns(self.netns, socket.socket)
        self.listener.bind((layout.CONTROL_ADDRESS, 0))
        self.listener.listen(64)
        self.url = f"https://{layout.CONTROL_ADDRESS}:{self.listener.getsockname()[1]}"
        self.mode = "pass"
        self.lock = threading.Lock()
        self.closing = threading.Event()
        self.clients = set()
        threading.Thread(target=self._accept_forever, daemon=True).start()

    def set_mode(self, mode):
        """Connections that there are stay in "pass" and "stall" and end in all others."""
        assert mode in MODES
        self.mode = mode
        if mode not in ("pass", "stall"):
            with self.lock:
                for client in self.clients:
                    self._reset(client)

    @staticmethod
    def _reset(client):
        with contextlib.suppress(OSError):
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.shutdown(socket.SHUT_RDWR)

    def _accept_forever(self):
        with contextlib.suppress(OSError):  # closed
            while True:
                client, _ = self.listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        with contextlib.suppress(OSError), client:
            if self.mode == "reset":
                self._reset(client)
                return
            client.settimeout(30)
            with self.to_client.wrap_socket(client, server_side=True) as near:
                with self.lock:
                    self.clients.add(near)
                try:
                    self._relay(near)
                finally:
                    with self.lock:
                        self.clients.discard(near)

    def _relay(self, near):
        while self.mode == "stall":
            self.closing.wait(0.05)
        if self.mode in ANSWERS:
            near.recv(65536)
            near.sendall(ANSWERS[self.mode])
            return
        plain = in_netns(self.netns, socket.socket)
        plain.connect((layout.CONTROL_ADDRESS, layout.API_PORT))
        with self.to_server.wrap_socket(plain, server_hostname=layout.CONTROL_ADDRESS) as far:
            self._pump(near, far)

    def _pump(self, near, far):
        """Bytes both ways, as long as the mode allows."""
        while self.mode in ("pass", "stall"):
            if self.mode == "stall":
                self.closing.wait(0.05)
                continue
            ready = [end for end in (near, far) if end.pending()] or select.select([near, far], [], [], 0.05)[0]
            for end in ready:
                data = end.recv(65536)
                if not data:
                    return
                (far if end is near else near).sendall(data)

    def close(self):
        self.closing.set()
        self.set_mode("reset")
        self.listener.close()
