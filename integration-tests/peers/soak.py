"""Clients and servers that behave at random, and check every byte of what they complete.

soak.py serve HTTP_PORT TUNNEL_PORT        soak.py dial SEED SECONDS NAME:ADDRESS:PORT…
"""

import asyncio
import contextlib
import hashlib
import json
import random
import struct
import sys

LIMIT = 1 << 20


def content(seed, size):
    """Bytes that depend on both, cheap to make."""
    block = hashlib.sha256(seed.to_bytes(8, "big")).digest()
    return (block * (size // 32 + 1))[:size]


def reset(writer):
    with contextlib.suppress(Exception):
        writer.get_extra_info("socket").setsockopt(1, 13, struct.pack("ii", 1, 0))
    writer.transport.abort()


# ---- servers: the path /KIND/SEED/SIZE says what to answer ----


async def read_head(reader):
    lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:] if line)}
    return lines[0], fields


async def read_body(reader, fields):
    if fields.get("transfer-encoding") == "chunked":
        pieces = []
        while size := int(await reader.readuntil(b"\r\n"), 16):
            pieces.append(await reader.readexactly(size))
            await reader.readexactly(2)
        await reader.readuntil(b"\r\n")
        return b"".join(pieces)
    return await reader.readexactly(int(fields.get("content-length", 0)))


def chunks(data, rng):
    out, at = [], 0
    while at < len(data):
        size = rng.randint(1, 60_000)
        piece = data[at : at + size]
        out.append(b"%x\r\n%s\r\n" % (len(piece), piece))
        at += size
    return b"".join(out) + b"0\r\n\r\n"


async def serve_http(reader, writer):
    with contextlib.suppress(OSError, asyncio.IncompleteReadError, ValueError):
        while True:
            start, fields = await read_head(reader)
            body = await read_body(reader, fields)
            _, kind, seed, size = start.split()[1].split("/")
            rng = random.Random(f"{seed}{kind}")
            data = content(int(seed), int(size))
            digest = f"X-Body: {hashlib.sha256(body).hexdigest()}\r\n".encode()
            if kind == "slow":
                await asyncio.sleep(rng.random() / 20)
            if kind == "reset":
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (len(data) + 1) + data[: len(data) // 2])
                await asyncio.sleep(rng.random() / 50)
                reset(writer)
                return
            if kind == "chunked":
                writer.write(b"HTTP/1.1 200 OK\r\n" + digest + b"Transfer-Encoding: chunked\r\n\r\n" + chunks(data, rng))
            elif kind == "close":
                writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n" + digest + b"\r\n" + data)
            else:
                writer.write(b"HTTP/1.1 200 OK\r\n" + digest + b"Content-Length: %d\r\n\r\n" % len(data) + data)
            await writer.drain()
            if kind == "close":
                break
    with contextlib.suppress(OSError):
        writer.close()


async def serve_tunnel(reader, writer):
    """Eight bytes of size, then everything comes back; ends with the client's FIN or at once."""
    with contextlib.suppress(OSError, asyncio.IncompleteReadError):
        while piece := await reader.read(1 << 16):
            writer.write(piece)
            await writer.drain()
    with contextlib.suppress(OSError):
        writer.close()


async def serve(http_port, tunnel_port):
    servers = [
        await asyncio.start_server(serve_http, "0.0.0.0", http_port, backlog=1000, limit=LIMIT),
        await asyncio.start_server(serve_tunnel, "0.0.0.0", tunnel_port, backlog=1000, limit=LIMIT),
    ]
    await asyncio.gather(*(server.serve_forever() for server in servers))


# ---- clients ----

TOLD = {"right": 0, "cut": 0, "wrong": []}


def wrong(what):
    if len(TOLD["wrong"]) < 5:
        TOLD["wrong"].append(what)


def request(rng, seed, kind, size):
    body = content(seed + 1, rng.choice((0, 0, 1, 100, 5000, 300_000)))
    head = f"POST /{kind}/{seed}/{size} HTTP/1.1\r\nHost: soak\r\n".encode()
    if rng.random() < 0.5:
        return body, head + b"Transfer-Encoding: chunked\r\n\r\n" + chunks(body, rng)
    return body, head + b"Content-Length: %d\r\n\r\n" % len(body) + body


async def read_answer(reader, kind, seed, size, body):
    start, fields = await read_head(reader)
    if kind == "reset":
        await reader.readexactly(size + 1)
        wrong("an answer that was cut arrived whole")
        return
    if not start.startswith("HTTP/1.1 200"):
        wrong(f"{kind}: {start}")
        return
    if kind == "close" and "transfer-encoding" not in fields and "content-length" not in fields:
        data = await reader.read(-1)
    else:
        data = await read_body(reader, fields)
    if data != content(seed, size):
        wrong(f"{kind}: {len(data)} bytes instead of {size}, or others")
    elif fields.get("x-body") != hashlib.sha256(body).hexdigest():
        wrong(f"{kind}: the server saw another body")
    else:
        TOLD["right"] += 1


async def http_client(rng, address, port):
    reader, writer = await asyncio.open_connection(address, port, limit=LIMIT)
    try:
        for _ in range(rng.randint(1, 6)):
            asked = []
            for _ in range(rng.choice((1, 1, 1, 3))):  # sometimes pipelined
                kind = rng.choice(("plain", "plain", "slow", "chunked", "chunked"))
                asked.append((kind, rng.getrandbits(40), rng.choice((0, 1, 300, 20_000, 500_000))))
            if len(asked) == 1 and rng.random() < 0.2:
                asked = [(rng.choice(("close", "reset")), *asked[0][1:])]
            bodies = []
            for kind, seed, size in asked:
                body, data = request(rng, seed, kind, size)
                bodies.append(body)
                writer.write(data)
            if rng.random() < 0.08:  # leaves without waiting
                await asyncio.sleep(rng.random() / 50)
                if rng.random() < 0.5:
                    reset(writer)
                return
            for (kind, seed, size), body in zip(asked, bodies):
                try:
                    await read_answer(reader, kind, seed, size, body)
                except (asyncio.IncompleteReadError, ConnectionError):
                    if kind != "reset":
                        raise
                    TOLD["cut"] += 1
            if asked[0][0] in ("close", "reset"):
                return
    finally:
        writer.close()


async def tunnel_client(rng, address, port):
    reader, writer = await asyncio.open_connection(address, port, limit=LIMIT)
    try:
        sent = content(rng.getrandbits(40), rng.choice((1, 1000, 100_000, 800_000)))
        leaves = rng.random()

        async def send():
            at = 0
            while at < len(sent):
                step = rng.randint(1, 200_000)
                writer.write(sent[at : at + step])
                at += step
                await writer.drain()
            writer.write_eof()

        sending = asyncio.ensure_future(send())
        if leaves < 0.15:
            await asyncio.sleep(rng.random() / 50)
            sending.cancel()
            reset(writer)
            return
        got = await reader.read(-1)
        await sending
        if got == sent:
            TOLD["right"] += 1
        else:
            wrong(f"tunnel: {len(got)} of {len(sent)} bytes, or others")
    finally:
        writer.close()


async def client(rng, targets, until):
    loop = asyncio.get_running_loop()
    while loop.time() < until and not TOLD["wrong"]:
        name, address, port = rng.choice(targets)
        run = tunnel_client if name == "tunnel" else http_client
        try:
            await asyncio.wait_for(run(rng, address, int(port)), 20)
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            wrong(f"{name}: cut: {error!r}")
        except asyncio.TimeoutError:
            wrong(f"{name}: nothing for 20 s")


async def dial(seed, seconds, targets):
    until = asyncio.get_running_loop().time() + seconds
    targets = [target.split(":") for target in targets]
    await asyncio.gather(*(client(random.Random(seed * 1000 + number), targets, until) for number in range(40)))
    print(json.dumps(TOLD))


if sys.argv[1] == "serve":
    asyncio.run(serve(int(sys.argv[2]), int(sys.argv[3])))
else:
    asyncio.run(dial(int(sys.argv[2]), float(sys.argv[3]), sys.argv[4:]))
