"""A program that uses aiohttp as a client: 100 requests at once over 20 connections, or a WebSocket."""

import asyncio
import json
import os
import sys

import aiohttp


async def parallel(base):
    async def one(session, number):
        body = f"{number}:".encode() + os.urandom(number * 500)
        async with session.post(base + "/echo", data=body) as answer:
            return answer.status == 200 and await answer.read() == body

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=20)) as session:
        return {"right": sum(await asyncio.gather(*(one(session, number) for number in range(100))))}


async def websocket(url):
    told = {"texts": 0, "bytes": 0}
    async with aiohttp.ClientSession() as session:
        async with session.ws_connect(url, max_msg_size=0) as socket:
            for number in range(100):
                await socket.send_str(f"message {number}")
            for number in range(100):
                told["texts"] += await socket.receive_str() == f"message {number}"
            large = os.urandom(3_000_000)
            await socket.send_bytes(large)
            answer = await socket.receive_bytes()
            told["bytes"] = len(answer) if answer == large else -1
            await socket.close()
            told["closed"] = socket.close_code
    return told


print(json.dumps(asyncio.run({"parallel": parallel, "websocket": websocket}[sys.argv[1]](sys.argv[2]))))
