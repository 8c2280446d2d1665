"""The API server by HTTP, as the cluster's administrator: fast, and no kubectl is started."""

import http.client
import json
import socket
import ssl

from harness.pod import in_netns

from . import layout

MERGE = "application/merge-patch+json"


class ApiError(AssertionError):
    def __init__(self, method, path, status, answer):
        super().__init__(f"{method} {path}: {status} {answer[:500]}")
        self.status = status


class _Connection(http.client.HTTPSConnection):
    """Dials from the control plane's network."""

    def __init__(self, netns, context, timeout):
        super().__init__(layout.CONTROL_ADDRESS, layout.API_PORT, timeout=timeout, context=context)
        self.netns = netns
        self.tls = context

    def connect(self):
        plain = in_netns(self.netns, socket.socket)
        plain.settimeout(self.timeout)
        # Head and body are two writes: the second would wait 40 ms for the other side's delayed acknowledgement.
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        plain.connect((self.host, self.port))
        self.sock = self.tls.wrap_socket(plain, server_hostname=self.host)


class Api:
    def __init__(self, netns_path, authority, user="admin"):
        self.netns = netns_path
        self.tls = ssl.create_default_context(cafile=authority.certificate("ca"))
        self.tls.load_cert_chain(authority.certificate(user), authority.key(user))
        self.connection = None

    def _ask(self, method, path, body, content_type, seconds):
        if self.connection is None:
            self.connection = _Connection(self.netns, self.tls, seconds)
        self.connection.request(method, path, body, {"Content-Type": content_type, "Accept": "application/json"})
        answer = self.connection.getresponse()
        return answer.status, answer.read().decode()

    def ask(self, method, path, body=None, content_type="application/json", seconds=20):
        """(status, text). A connection that the server closed while it was idle is opened anew, once."""
        text = json.dumps(body) if body is not None else None
        for is_last in (self.connection is None, True):
            try:
                return self._ask(method, path, text, content_type, seconds)
            except (OSError, http.client.HTTPException):
                self.connection = None
                if is_last:
                    raise

    def call(self, method, path, body=None, **options):
        """The object that the API server answers with; raises ApiError."""
        status, text = self.ask(method, path, body, **options)
        if status >= 300:
            raise ApiError(method, path, status, text)
        return json.loads(text) if text.startswith("{") else text

    def get(self, path):
        return self.call("GET", path)

    def find(self, path):
        """The object, or None where there is none."""
        try:
            return self.get(path)
        except ApiError as error:
            if error.status != 404:
                raise
            return None

    def create(self, path, body):
        return self.call("POST", path, body)

    def replace(self, path, body):
        return self.call("PUT", path, body)

    def patch(self, path, body):
        return self.call("PATCH", path, body, content_type=MERGE)

    def delete(self, path, grace=None):
        query = "" if grace is None else f"?gracePeriodSeconds={grace}"
        return self.call("DELETE", path + query)

    def is_up(self):
        try:
            return self.ask("GET", "/readyz", seconds=2)[0] == 200
        except (OSError, http.client.HTTPException):
            return False
