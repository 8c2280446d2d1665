"""HTTP/1.1 replicas in one process: replica.py NAME:PORT[:LATENCY_MS[:FAILING_PERCENT]]...

Each reads the whole request, waits for its latency, and answers with its name and the body's SHA-256, or 503 with
its name at so many of a hundred requests, drawn with a seed of its name. From SIGUSR1 to SIGUSR2 all
requests fail."""

import asyncio
import hashlib
import random
import signal
import sys

IS_ILL = asyncio.Event()


async def read_body(reader, head):
    fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:] if b": " in line)
    if b"chunked" in fields.get(b"transfer-encoding", b""):
        body = b""
        while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
            body += (await reader.readexactly(size + 2))[:-2]
        while await reader.readuntil(b"\r\n") != b"\r\n":
            pass
        return body
    return await reader.readexactly(int(fields.get(b"content-length", 0)))


def replica(name, latency_s, failing):
    drawn = random.Random(name)

    async def serve(reader, writer):
        try:
            while True:
                body = await read_body(reader, await reader.readuntil(b"\r\n\r\n"))
                await asyncio.sleep(latency_s)
                fails = IS_ILL.is_set() or drawn.random() < failing
                status = "503 Service Unavailable" if fails else "200 OK"
                text = f"{name} {hashlib.sha256(body).hexdigest()}".encode()
                writer.write(f"HTTP/1.1 {status}\r\nContent-Length: {len(text)}\r\n\r\n".encode() + text)
                await writer.drain()
        except (asyncio.IncompleteReadError, OSError):
            pass
        finally:
            writer.close()

    return serve


async def main():
    servers = []
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, IS_ILL.set)
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR2, IS_ILL.clear)
    for word in sys.argv[1:]:
        name, port, latency_ms, failing, *_ = [*word.split(":"), "0", "0"]
        serve = replica(name, float(latency_ms) / 1e3, float(failing) / 100)
        servers.append(await asyncio.start_server(serve, "0.0.0.0", int(port), backlog=512))
    await asyncio.gather(*(server.serve_forever() for server in servers))


asyncio.run(main())
