"""One program run twice, from a pod outside the mesh and from a pod inside: both must see the same."""

import array
import contextlib
import errno
import fcntl
import hashlib
import select
import socket
import struct
import termios
import threading

from .mesh import SHORTCUTS, Mesh, Service
from .poll import wait_for

# For the modules that use the fixture `truth`: "plain" dials the endpoints without any weft.
SERVICES = [
    Service("tcp", ["server:9000"], port=9000),
    Service("opaque", ["server:9000"], port=9001, protocol="opaque"),
    Service("tcp6", ["server:9000"], port=9002, family=6),
    Service("bulk", ["server:9010"], port=9010),
    Service("bulk-opaque", ["server:9010"], port=9011, protocol="opaque"),
]
ENROLLED = ("client", "server")
TUNNELS = ("tcp", "opaque")

EVENTS = {
    "IN": select.POLLIN,
    "PRI": select.POLLPRI,
    "RDHUP": select.POLLRDHUP,
    "ERR": select.POLLERR,
    "HUP": select.POLLHUP,
}


class Way:
    """One of the two runs: who dials, and what is dialled."""

    def __init__(self, truth, mesh, pod, service):
        self.mesh, self.pod, self.service = mesh, pod, service
        self.listener = truth.listener

    def address(self, family=4):
        return self.mesh.address(self.service, family)

    def new_socket(self, family=socket.AF_INET):
        made = self.pod.new_socket(family)
        made.settimeout(10)
        return made

    def accept(self):
        server, seen = self.listener.accept()
        server.settimeout(10)
        return server, seen

    @contextlib.contextmanager
    def ends(self, family=4):
        """Both ends of a fresh connection."""
        with self.mesh.dial(self.service, family, self.pod) as client:
            server, _ = self.accept()
            with server:
                yield client, server

    def seen_by_client(self, address):
        """A name from getpeername or getsockname as its role; the two runs differ in addresses only."""
        return self._role(address, {self.address(4)[0]: "dialled", self.address(6)[0]: "dialled"})

    def seen_by_server(self, address):
        server = self.mesh.pod("server")
        return self._role(address, {server.address: "server pod", server.address6: "server pod"})

    def _role(self, address, roles):
        host = address[0].removeprefix("::ffff:")
        mapped = "mapped " if host != address[0] else ""
        roles = {self.pod.address: "client pod", self.pod.address6: "client pod", **roles}
        return f"{mapped}IPv{6 if ':' in host else 4} of the {roles.get(host, 'unknown ' + host)}"


class Truth:
    def __init__(self, mesh):
        self.mesh = mesh
        self.direct = Mesh("direct", mesh.cluster, SERVICES)
        self.plain = mesh.pod("plain")
        self.listener = mesh.pod("server").listen(9000, socket.AF_INET6, before_bind=_allow_fast_open)

    def close(self):
        self.listener.close()

    def _fresh(self):
        """Nothing is queued from an earlier program that failed."""
        self.listener.settimeout(0)
        with contextlib.suppress(BlockingIOError):
            while True:
                self.listener.accept()[0].close()
        self.listener.settimeout(10)

    def same(self, service, program, differs=None, past_tcp=None, **traffic):
        """
        program(way) returns a record of what it saw. `differs`: what the record says through weft
        where it does not say what a direct run says; every entry has to be needed. `past_tcp`: lists
        of what it may say besides where the mesh has the shortcut.
        """
        self._fresh()
        seen_direct = program(Way(self, self.direct, self.plain, service))
        self._fresh()
        with self.mesh.traffic(service, **traffic):
            seen_meshed = program(Way(self, self.mesh, self.mesh.client, service))
        assert seen_direct, "a record that says nothing"
        if self.mesh.mode in SHORTCUTS:
            for key, values in (past_tcp or {}).items():
                if seen_meshed[key] in values:
                    seen_meshed[key] = (differs or {}).get(key, seen_direct[key])
        for key, value in (differs or {}).items():
            assert seen_direct[key] != value, f"{key} does not differ any more"
        wanted = {**seen_direct, **differs} if differs else seen_direct
        assert seen_meshed == wanted, f"through weft {_differing(seen_meshed, wanted)}"

    def same_ends(self, service, program, differs=None, family=4, speaks=True, past_tcp=None, **traffic):
        """program(first, second) once with the client and once with the server as the first."""

        def run(way):
            record = {}
            for by in ("client", "server"):
                with way.ends(family) as (client, server):
                    if speaks:  # a byte makes it a tunnel for sure, whatever the program does then
                        client.sendall(b"\x00")
                        assert server.recv(1) == b"\x00"
                    seen = program(*((client, server) if by == "client" else (server, client)))
                record.update({f"{by} first: {key}": value for key, value in seen.items()})
            return record

        both = {
            f"{by} first: {key}": value for key, value in (differs or {}).items() for by in ("client", "server")
        }
        if speaks:
            traffic.setdefault("tunnels", 2)
        self.same(service, run, both, past_tcp, **{"captured": 2, **traffic})


def _differing(seen, wanted):
    """What of a record is not as it should be."""
    if not isinstance(seen, dict):
        return f"{seen!r} instead of {wanted!r}"
    keys = [key for key in {**seen, **wanted} if seen.get(key) != wanted.get(key)]
    return "; ".join(f"{key}: {seen.get(key)!r} instead of {wanted.get(key)!r}" for key in keys)


def _allow_fast_open(server):
    server.setsockopt(socket.IPPROTO_TCP, socket.TCP_FASTOPEN, 16)


# ---- what a program can see ----


def outcome(call):
    """What a system call answered: its value, or the name of its error."""
    try:
        return call()
    except TimeoutError:
        return "nothing in time"
    except OSError as error:
        return errno.errorcode[error.errno]


def digest(content):
    """Many bytes as a short word for a record."""
    return f"{len(content)} bytes {hashlib.sha256(content).hexdigest()[:16]}"


def events(end):
    """What poll() says, but for writability."""
    poll = select.poll()
    poll.register(end, sum(EVENTS.values()))
    answer = dict(poll.poll(0)).get(end.fileno(), 0)
    return {name for name, bit in EVENTS.items() if answer & bit}


def ending(end):
    """How the stream ends for a reader that has taken all its bytes: answer after answer."""
    first = outcome(lambda: end.recv(1))
    return {
        "recv": first,
        "SO_ERROR": end.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR),
        "recv again": outcome(lambda: end.recv(1)),
        "poll": events(end),
        "getpeername": isinstance(outcome(end.getpeername), tuple) or outcome(end.getpeername),
    }


def peeked_bytes(reader):
    """As FIONREAD, but of the bytes that a read would give; that does not count what came by TCP after a shortcut."""
    before = reader.gettimeout()
    reader.settimeout(0)  # MSG_DONTWAIT would still wait for poll()
    answer = outcome(lambda: reader.recv(1 << 20, socket.MSG_PEEK))
    reader.settimeout(before)
    return len(answer) if isinstance(answer, bytes) else 0


def readable_bytes(reader):
    return _count(reader, termios.FIONREAD)


def unsent_bytes(sender):
    return _count(sender, termios.TIOCOUTQ)  # SIOCOUTQ


def _count(end, request):
    count = array.array("i", [0])
    fcntl.ioctl(end, request, count)
    return count[0]


def wait_readable(end, size):
    wait_for(lambda: readable_bytes(end) == size, f"{size} bytes to be readable")


def wait_event(end, name):
    wait_for(lambda: name in events(end), f"poll() to say {name}")


# ---- what a program does ----


def read_all(reader):
    pieces = []
    while piece := reader.recv(1 << 16):
        pieces.append(piece)
    return b"".join(pieces)


def read_exactly(reader, size):
    got = bytearray()
    while len(got) < size:
        piece = reader.recv(size - len(got))
        assert piece, f"ended after {len(got)} of {size} bytes"
        got += piece
    return bytes(got)


def reset(end):
    """Closes with RST."""
    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    end.close()


def in_background(function):
    thread = threading.Thread(target=function, daemon=True)
    thread.start()
    return thread
