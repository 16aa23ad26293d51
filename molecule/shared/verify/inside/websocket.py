"""Echo text and bytes over wss; run by the release's own Python, which has `websockets`.

Why it is asyncio's client: see hold_open.py.
"""

import asyncio
import json
import ssl

from websockets.asyncio.client import connect

trust = ssl.create_default_context(cafile="/root/pebble-root.pem")


async def echoes():
    async with connect("wss://notes.example.com/echo", ssl=trust, open_timeout=10, close_timeout=5) as connection:
        for message in ("grüße", "x" * 70000, b"\x00\xff"):
            await connection.send(message)
            yield await asyncio.wait_for(connection.recv(), 10) == message


async def main():
    print(json.dumps([echo async for echo in echoes()]))


asyncio.run(main())
