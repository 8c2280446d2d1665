"""A DNS server for tests, UDP and TCP at one port of loopback, that says what it is told to say."""

import socket
import struct
import threading

TYPES = {"A": 1, "SOA": 6, "AAAA": 28, "SRV": 33}


def pack_name(name):
    labels = [label.encode() for label in name.rstrip(".").split(".") if label]
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


class DnsDouble:
    """records[(name, type)]: a list of addresses, or of (priority, weight, port, target) for SRV; None: SERVFAIL.
    Names that have no records at all are NXDOMAIN."""

    def __init__(self, ttl=0):
        self.ttl = ttl
        self.records = {}
        self.silent = False
        self.truncates = False
        self.questions = []  # (name, type, by TCP)
        self.closing = False

    def __enter__(self):
        for _ in range(50):
            self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            self.udp.bind(("127.0.0.1", 0))
            self.port = self.udp.getsockname()[1]
            try:
                self.tcp.bind(("127.0.0.1", self.port))
                break
            except OSError:
                self.udp.close()
                self.tcp.close()
        self.tcp.listen()
        self.threads = [threading.Thread(target=loop, daemon=True) for loop in (self._udp_loop, self._tcp_loop)]
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *failure):
        self.closing = True
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as wake:
            wake.sendto(b"", ("127.0.0.1", self.port))
        socket.create_connection(("127.0.0.1", self.port)).close()
        for thread in self.threads:
            thread.join(5)
        self.udp.close()
        self.tcp.close()

    def namers(self, **more):
        return {"kind": "dns", "servers": ["127.0.0.1"], "server_port": self.port, "ttl_min": "100ms", **more}

    def asked(self, name):
        return sum(question[0] == name for question in self.questions)

    def _data(self, kind, value):
        if kind == "A":
            return socket.inet_pton(socket.AF_INET, value)
        if kind == "AAAA":
            return socket.inet_pton(socket.AF_INET6, value)
        priority, weight, port, target = value
        return struct.pack(">HHH", priority, weight, port) + pack_name(target)

    def _answer(self, query, by_tcp):
        labels, at = [], 12
        while query[at]:
            labels.append(query[at + 1 : at + 1 + query[at]].decode().lower())
            at += 1 + query[at]
        name = ".".join(labels)
        number = struct.unpack(">H", query[at + 1 : at + 3])[0]
        kind = next((key for key, value in TYPES.items() if value == number), "?")
        question = query[12 : at + 5]
        self.questions.append((name, kind, by_tcp))
        records = self.records.get((name, kind), [])
        code = 0 if any(key[0] == name for key in self.records) else 3
        if records is None:
            records, code = [], 2
        cut = self.truncates and not by_tcp
        body = b"".join(
            pack_name(name) + struct.pack(">HHIH", number, 1, self.ttl, len(data)) + data
            for data in (self._data(kind, value) for value in ([] if cut else records))
        )
        flags = 0x8180 | code | (0x0200 if cut else 0)
        return query[:2] + struct.pack(">HHHHH", flags, 1, 0 if cut else len(records), 0, 0) + question + body

    def _udp_loop(self):
        while not self.closing:
            query, peer = self.udp.recvfrom(4096)
            if len(query) > 12 and not self.silent:
                self.udp.sendto(self._answer(query, False), peer)

    def _tcp_loop(self):
        while not self.closing:
            connection, _ = self.tcp.accept()
            with connection:
                connection.settimeout(2)
                while len(head := connection.recv(2)) == 2:
                    query = connection.recv(struct.unpack(">H", head)[0])
                    reply = self._answer(query, True)
                    connection.sendall(struct.pack(">H", len(reply)) + reply)
