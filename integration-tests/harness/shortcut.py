"""What tests of the shortcut ask of a mesh."""

import contextlib

from .legs import legs
from .poll import wait_for
from .truth import read_exactly

ON, AUTO, OFF = ({"shortcut": {"mode": mode}} for mode in ("on", "auto", "off"))


def decisions(mesh, reason, pod="client"):
    return mesh.weftd.metrics().sum("weft_shortcut_decisions_total", reason=reason, pod=pod)


def state(mesh, client, key="app_leg", pod=None):
    """What weft says of the leg of this client's connection; ports of several pods may be the same."""

    def told():
        # getsockname() tells what a direct dial would have had; the port is the socket's own
        ending_with = f":{client.getsockname()[1]}"
        found = mesh.weftd.json("/connections.json")["connections"]
        ours = [one for one in found if pod in (None, one["pod"])]
        return [one for one in ours if one["app"].endswith(ending_with) and key in one]

    # one that its server has not closed may be listed still, and its port be used again
    return min(wait_for(told, f"the connection's {key}"), key=lambda one: one["age_seconds"])[key]


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


def learn(mesh, service, listener):
    """Until the kernel has seen that this server of the client's own pod does not block."""

    def is_known():
        with ends(mesh, service, listener) as (client, server):
            for _ in range(2):  # what the server sends is acknowledged
                server.sendall(b"a")
                read_exactly(client, 1)
                client.sendall(b"b")
                read_exactly(server, 1)
            return state(mesh, client, "endpoint_leg") != "tcp"

    wait_for(is_known, "the server to be known")
    wait_no_legs(mesh)


def wait_no_legs(mesh, seconds=10):
    wait_for(lambda: not legs(mesh.weftd), "all legs to end", seconds)
