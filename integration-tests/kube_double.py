#!/usr/bin/python3
"""A double of the Kubernetes API server: lists in pages, watches with bookmarks, Events, and every
fault that a real one has shown. In a test: `with KubeDouble() as api: api.put("services", {...})`.
By itself, `kube_double.py --services 5000 --endpoints 50000 --changes 100` prints its URL and serves."""

import argparse
import asyncio
import collections
import contextlib
import itertools
import json
import sys
import threading
import time
import urllib.parse

KINDS = {  # resource -> (path, kind)
    "pods": ("/api/v1/pods", "Pod"),
    "namespaces": ("/api/v1/namespaces", "Namespace"),
    "nodes": ("/api/v1/nodes", "Node"),
    "services": ("/api/v1/services", "Service"),
    "endpointslices": ("/apis/discovery.k8s.io/v1/endpointslices", "EndpointSlice"),
}
RESOURCES = {path: resource for resource, (path, _) in KINDS.items()}
HISTORY = 20000  # events that a watch may still begin before
BOOKMARK_S = 60
REFUSALS = {  # faults that are an answer: status, reason of the Status, fields
    "unauthorized": (401, "Unauthorized", ""),
    "forbidden": (403, "Forbidden", ""),
    "gone": (410, "Expired", ""),
    "busy": (429, "TooManyRequests", "Retry-After: 1\r\n"),
    "error": (500, "InternalError", ""),
}
FAULTS = (*REFUSALS, "garbage", "cut", "stall", "reset", "close")

Event = collections.namedtuple("Event", "version resource object line")


def key_of(item):
    meta = item["metadata"]
    return meta.get("namespace", ""), meta["name"]


def matches(item, selector):
    """A fieldSelector of at most one equation."""
    if not selector:
        return True
    path, wanted = selector.split("=", 1)
    for name in path.split("."):
        item = item.get(name, {})
    return item == wanted


def line_of(kind, item):
    return json.dumps({"type": kind, "object": item}).encode() + b"\n"


def status_body(code, reason):
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "code": code, "reason": reason, "message": f'the double says "{reason}"'}


class Request:
    def __init__(self, head, body):
        first, *lines = head.decode().split("\r\n")
        self.method, target, _ = first.split(" ")
        url = urllib.parse.urlsplit(target)
        self.path, self.body = url.path, body
        self.query = dict(urllib.parse.parse_qsl(url.query))
        self.fields = {name.lower(): value for name, value in
                       (line.split(": ", 1) for line in lines if line)}


class Watch(asyncio.Queue):
    """One open stream: events, and faults by name."""

    def __init__(self, resource, selector):
        super().__init__()
        self.resource, self.selector = resource, selector

    def wants(self, event):
        return event.resource == self.resource and matches(event.object, self.selector)


class KubeDouble:
    """Objects, and a server for them in a thread of its own. Methods without a leading underscore
    may be called from any thread."""

    def __init__(self, tls=None, token=None):
        self.fault = None  # of FAULTS, for every request while it is set
        self.token = token
        self.requests = collections.Counter()  # "list services", "watch services", …
        self.version = 1000
        self.notes = {}  # (namespace, name) -> Event that was posted
        self._objects = {resource: {} for resource in KINDS}
        self._history = collections.deque(maxlen=HISTORY)
        self._oldest = self.version  # a watch may begin at this version or later
        self._pages, self._page_ids = {}, itertools.count()
        self._watches, self._writers = set(), set()
        self._tls, self._port = tls, 0
        self._lock = threading.RLock()
        self._loop = asyncio.new_event_loop()
        self._is_ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self._thread.start()
        self._is_ready.wait()
        return self

    def __exit__(self, *_):
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    @property
    def url(self):
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self._port}"

    # ---- what a test does ----

    def put(self, resource, item):
        """Creates or replaces."""
        with self._lock:
            known = self._objects[resource].get(key_of(item))
            meta = item["metadata"]
            meta.setdefault("uid", known["metadata"]["uid"] if known else f"uid-{self.version}")
            self._stamp(item)
            self._objects[resource][key_of(item)] = item
            self._tell("MODIFIED" if known else "ADDED", resource, item)

    def delete(self, resource, namespace, name):
        with self._lock:
            item = self._objects[resource].pop((namespace, name))
            item = {**item, "metadata": dict(item["metadata"])}
            self._stamp(item)
            self._tell("DELETED", resource, item)

    def items(self, resource):
        with self._lock:
            return dict(self._objects[resource])

    def compact(self):
        """Versions and pages until now are too old to go on from."""
        with self._lock:
            self._oldest = self.version
            self._history.clear()
            self._pages.clear()

    def break_watches(self, how):
        """One of FAULTS, or "end", happens to the streams that are open."""
        self._soon(lambda: [watch.put_nowait(how) for watch in self._watches])

    def reset_connections(self):
        self._soon(lambda: [writer.transport.abort() for writer in self._writers])

    def watch_count(self):
        return len(self._watches)

    def _soon(self, do):
        self._loop.call_soon_threadsafe(do)

    def _stamp(self, item):
        self.version += 1
        item["metadata"]["resourceVersion"] = str(self.version)

    def _tell(self, kind, resource, item):
        event = Event(self.version, resource, item, line_of(kind, item))
        if len(self._history) == HISTORY:
            self._oldest = self._history[0].version
        self._history.append(event)
        self._soon(lambda: [watch.put_nowait(event) for watch in self._watches
                            if watch.wants(event)])

    # ---- the server ----

    def _run(self):
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(
            asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls))
        self._port = server.sockets[0].getsockname()[1]
        self._is_ready.set()
        self._loop.run_forever()
        server.close()
        tasks = asyncio.all_tasks(self._loop)
        for task in tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self._loop.close()

    async def _serve(self, reader, writer):
        self._writers.add(writer)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while await self._answer(await self._read(reader), reader, writer):
                await writer.drain()
        self._writers.discard(writer)
        writer.close()

    @staticmethod
    async def _read(reader):
        head = await reader.readuntil(b"\r\n\r\n")
        request = Request(head[:-4], b"")
        request.body = await reader.readexactly(int(request.fields.get("content-length", 0)))
        return request

    async def _answer(self, request, reader, writer):
        """False when the connection is over."""
        fault = self.fault
        if not fault and self.token and request.fields.get("authorization") != f"Bearer {self.token}":
            fault = "unauthorized"
        if fault:
            return await self._misbehave(fault, writer)
        if request.method == "POST":
            return self._note(request, writer)
        resource = RESOURCES.get(request.path)
        if not resource:
            return self._send(writer, 404, status_body(404, "NotFound"))
        is_watch = "watch" in request.query
        self.requests[f"{'watch' if is_watch else 'list'} {resource}"] += 1
        if is_watch:
            return await self._watch(resource, request, reader, writer)
        return self._list(resource, request, writer)

    @staticmethod
    def _send(writer, code, body, fields=""):
        text = body if isinstance(body, bytes) else json.dumps(body).encode()
        head = f"HTTP/1.1 {code} {code}\r\n{fields}Content-Type: application/json\r\nContent-Length: {len(text)}\r\n\r\n"
        writer.write(head.encode() + text)
        return True

    async def _misbehave(self, fault, writer):
        if fault in REFUSALS:
            code, reason, fields = REFUSALS[fault]
            return self._send(writer, code, status_body(code, reason), fields)
        if fault == "garbage":
            return self._send(writer, 200, b"<html>please log in</html>")
        if fault == "cut":
            return self._send(writer, 200, b'{"kind":"ServiceList","items":[{"metadata"')
        if fault == "stall":
            while self.fault == "stall":
                await asyncio.sleep(0.05)
        elif fault == "reset":
            writer.transport.abort()
        return False

    def _note(self, request, writer):
        body = json.loads(request.body)
        key = body["metadata"]["namespace"], body["metadata"]["name"]
        if key in self.notes:
            return self._send(writer, 409, status_body(409, "AlreadyExists"))
        self.notes[key] = body
        return self._send(writer, 201, body)

    def _list(self, resource, request, writer):
        """A page; the rest stays as it was at the first one."""
        with self._lock:
            token = request.query.get("continue")
            if token and token not in self._pages:
                return self._send(writer, 410, status_body(410, "Expired"))
            if token:
                version, items = self._pages.pop(token)
            else:
                selector = request.query.get("fieldSelector")
                version = self.version
                items = [item for item in self._objects[resource].values() if matches(item, selector)]
            limit = int(request.query.get("limit", 0)) or len(items)
            meta = {"resourceVersion": str(version)}
            if len(items) > limit:
                meta.update({"continue": f"page-{next(self._page_ids)}", "remainingItemCount": len(items) - limit})
                self._pages[meta["continue"]] = version, items[limit:]
        return self._send(writer, 200, {"kind": KINDS[resource][1] + "List", "apiVersion": "v1",
                                        "metadata": meta, "items": items[:limit]})

    async def _watch(self, resource, request, reader, writer):
        watch = Watch(resource, request.query.get("fieldSelector"))
        with self._lock:
            since = int(request.query["resourceVersion"])
            if since < self._oldest:
                return self._send(writer, 410, status_body(410, "Expired"))
            for event in self._history:
                if event.version > since and watch.wants(event):
                    watch.put_nowait(event)
            self._watches.add(watch)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
        gone = asyncio.ensure_future(reader.read(1))
        try:
            return await self._stream(watch, float(request.query["timeoutSeconds"]), gone, writer)
        finally:
            gone.cancel()
            self._watches.discard(watch)

    async def _stream(self, watch, timeout_s, gone, writer):
        end = time.monotonic() + timeout_s
        while time.monotonic() < end and not gone.done():
            await writer.drain()
            wait = asyncio.ensure_future(watch.get())
            await asyncio.wait({wait, gone}, timeout=min(BOOKMARK_S, end - time.monotonic()),
                               return_when=asyncio.FIRST_COMPLETED)
            if not wait.done():
                wait.cancel()
                self._chunk(writer, self._bookmark(watch))
            elif isinstance(wait.result(), Event):
                self._chunk(writer, wait.result().line)
            elif not await self._break(wait.result(), writer):
                return wait.result() == "end"
        writer.write(b"0\r\n\r\n")
        return not gone.done()

    def _bookmark(self, watch):
        return line_of("BOOKMARK", {"kind": KINDS[watch.resource][1],
                                    "metadata": {"resourceVersion": str(self.version)}})

    @staticmethod
    def _chunk(writer, line):
        writer.write(b"%x\r\n%s\r\n" % (len(line), line))

    async def _break(self, how, writer):
        """False: nothing more comes. A stream that stalls stays open until its client gives up."""
        if how in REFUSALS:
            code, reason, _ = REFUSALS[how]
            self._chunk(writer, line_of("ERROR", status_body(code, reason)))
        elif how == "garbage":
            self._chunk(writer, b"<html>\n")
        elif how == "cut":
            self._chunk(writer, b'{"type":"ADDED","object":{"metadata"')
        elif how == "stall":
            await asyncio.sleep(3600)
        elif how == "reset":
            writer.transport.abort()
            return False
        if how != "close":
            writer.write(b"0\r\n\r\n")
        return False


# ---- objects ----

def service(namespace, name, ip, port=80, **spec):
    return {"metadata": {"namespace": namespace, "name": name,
                         "creationTimestamp": "2024-05-01T12:00:00Z"},
            "spec": {"type": "ClusterIP", "clusterIP": ip, "clusterIPs": [ip], "selector": {"app": name},
                     "ports": [{"name": "http", "port": port, "targetPort": 8080, "protocol": "TCP"}], **spec}}


def endpoint(ip, pod, ready=True, **more):
    return {"addresses": [ip], "nodeName": "node-1", "zone": "zone-1",
            "conditions": {"ready": ready, "serving": ready, "terminating": False},
            "targetRef": {"kind": "Pod", "namespace": "shop", "name": pod, "uid": f"uid-of-{pod}"}, **more}


def endpoint_slice(namespace, name, service_name, endpoints):
    return {"metadata": {"namespace": namespace, "name": name,
                         "labels": {"kubernetes.io/service-name": service_name}},
            "addressType": "IPv4", "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
            "endpoints": endpoints}


def address(network, number):
    return f"{network}.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"


def slice_of(number, per_service, generation):
    """Its addresses move with every generation."""
    first = (number * per_service + generation) % (1 << 24)
    return endpoint_slice("shop", f"web-{number}-a", f"web-{number}",
                          [endpoint(address("10", (first + i) % (1 << 24)), f"web-{number}-{generation + i}")
                           for i in range(per_service)])


def fill(api, services, endpoints):
    api.put("namespaces", {"metadata": {"name": "shop", "labels": {"weft.io/mesh": "enabled"}}})
    for number in range(services):
        api.put("services", service("shop", f"web-{number}", address("172", (16 << 16) + number)))
        api.put("endpointslices", slice_of(number, endpoints // services, 0))


def change(api, services, endpoints, per_second, is_over, first=0):
    """One slice after the other gets other endpoints, until is_over(). Goes on where it stopped
    with what it returned the last time as `first`."""
    began, done = time.monotonic(), first
    while not is_over():
        while done - first < (time.monotonic() - began) * per_second:
            api.put("endpointslices", slice_of(done % services, endpoints // services, 1 + done // services))
            done += 1
        time.sleep(0.005)
    return done


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--services", type=int, default=10)
    parser.add_argument("--endpoints", type=int, default=100)
    parser.add_argument("--changes", type=float, default=0, help="a second")
    options = parser.parse_args()
    with KubeDouble() as api:
        fill(api, options.services, options.endpoints)
        print(json.dumps({"url": api.url}), flush=True)
        closed = threading.Event()
        threading.Thread(target=lambda: (sys.stdin.read(), closed.set()), daemon=True).start()
        with contextlib.suppress(KeyboardInterrupt):
            change(api, options.services, options.endpoints, options.changes, closed.is_set)


if __name__ == "__main__":
    main()
