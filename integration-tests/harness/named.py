"""Servers of pod "server" that answer with their name and what they were asked, and who of them answers."""

import contextlib

from .raw import Connection, Upstream, answer, serve


def told(name):
    def reply(request):
        fields = "".join(f"{key}: {value}\n" for key, value in request.fields)
        return answer("200 OK", f"{name} {request.start}\n{fields}")

    return serve(reply)


@contextlib.contextmanager
def serving(mesh, ports):
    """ports: {name: port}"""
    with contextlib.ExitStack() as stack:
        for name, port in ports.items():
            stack.enter_context(Upstream(mesh.pod("server"), port, told(name)))
        yield mesh


def get(mesh, path="/", service="web", **headers):
    """The answer over a new connection; X_Name: value is a header of the request."""
    with contextlib.closing(mesh.dial(service)) as dialler:
        fields = "".join(f"{key.replace('_', '-')}: {value}\r\n" for key, value in headers.items())
        return Connection(dialler).ask(f"GET {path} HTTP/1.1\r\nHost: web\r\n{fields}\r\n")


def name_of(got):
    """Who gave this answer, or its status."""
    return got.body.split()[0].decode() if got.status == 200 else str(got.status)


def who(mesh, path="/", service="web", **headers):
    return name_of(get(mesh, path, service, **headers))
