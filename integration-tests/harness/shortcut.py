"""What tests of the shortcut ask of a mesh."""

import contextlib

from .legs import legs
from .poll import wait_for

ON, AUTO, OFF = ({"shortcut": {"mode": mode}} for mode in ("on", "auto", "off"))


def decisions(mesh, reason, pod="client"):
    return mesh.weftd.metrics().sum("weft_shortcut_decisions_total", reason=reason, pod=pod)


def state(mesh, client, key="app_leg"):
    """What weft says of the leg of this client's connection."""

    def told():
        # getsockname() tells what a direct dial would have had; the port is the socket's own
        ending_with = f":{client.getsockname()[1]}"
        found = mesh.weftd.json("/connections.json")["connections"]
        return [one[key] for one in found if one["app"].endswith(ending_with) and key in one]

    return wait_for(told, f"the connection's {key}")[0]


@contextlib.contextmanager
def ends(mesh, service, listener):
    """Both ends of a fresh connection that is known to be a tunnel."""
    with mesh.dial(service) as client:
        client.sendall(b"\x00")
        server, _ = listener.accept()
        server.settimeout(10)
        with server:
            assert server.recv(1) == b"\x00"
            yield client, server


def know(mesh, service, listener):
    """A server in the pod is known by what it accepted before; until then it is dialled by TCP."""

    def is_known():
        with ends(mesh, service, listener) as (client, server):
            for _ in range(2):
                server.sendall(b"a")
                assert client.recv(1) == b"a"
                client.sendall(b"q")
                assert server.recv(1) == b"q"
            return state(mesh, client, "endpoint_leg") == "shortcut"

    wait_for(is_known, f"{service} to be known")
    wait_no_legs(mesh)


def wait_no_legs(mesh, seconds=10):
    wait_for(lambda: not legs(mesh.weftd), "all legs to end", seconds)
