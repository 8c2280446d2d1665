"""An aiohttp server: /echo streams the body back chunked, /digest names it, /refuse says 413, /ws is a WebSocket."""

import asyncio
import hashlib
import sys

from aiohttp import WSMsgType, web


async def refuse_expectation(request):
    raise web.HTTPRequestEntityTooLarge(max_size=1, actual_size=2)


async def echo(request):
    answer = web.StreamResponse()
    answer.enable_chunked_encoding()
    await answer.prepare(request)
    async for piece in request.content.iter_any():
        await answer.write(piece)
    await answer.write_eof()
    return answer


async def digest(request):
    known, size = hashlib.sha256(), 0
    async for piece in request.content.iter_any():
        known.update(piece)
        size += len(piece)
    return web.Response(text=f"{request.method} {size} {known.hexdigest()}")


async def slow(request):
    await asyncio.sleep(float(request.query["seconds"]))
    return web.Response(text="slow")


async def status(request):
    return web.Response(status=int(request.match_info["code"]))


async def peer(request):
    return web.Response(text=f"{request.transport.get_extra_info('peername')[0]}")


async def socket(request):
    answer = web.WebSocketResponse(max_msg_size=0)
    await answer.prepare(request)
    async for message in answer:
        if message.type == WSMsgType.TEXT:
            await answer.send_str(message.data)
        elif message.type == WSMsgType.BINARY:
            await answer.send_bytes(message.data)
    return answer


async def hello(_request):
    return web.Response(text="hello")


application = web.Application(client_max_size=1 << 40)
application.router.add_route("*", "/echo", echo)
application.router.add_route("*", "/digest", digest)
application.router.add_get("/slow", slow)
application.router.add_route("*", "/status/{code}", status)
application.router.add_route("*", "/refuse", hello, expect_handler=refuse_expectation)
application.router.add_get("/peer", peer)
application.router.add_get("/ws", socket)
application.router.add_get("/", hello)
web.run_app(application, host=["0.0.0.0", "::"], port=int(sys.argv[1]), print=None, access_log=None)
