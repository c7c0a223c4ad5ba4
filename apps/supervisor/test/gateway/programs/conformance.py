"""A backend that does what a test asks of it, for examples/gateway/gateway_backend.py; conformance.mjs is the same for the library in Node.

python3 conformance.py [announce-to] [secret]
"""

import asyncio
import json
import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../../../../../examples/gateway"))
from gateway_backend import CONTROL, FILE, listen  # noqa: E402

to, secret = (sys.argv[1:] + [None, None])[:2]
seen = {"joined": [], "left": [], "up": 0, "down": 0, "problems": []}


def reply(client, value):
    return client.deliver(CONTROL, json.dumps(value).encode())


def count(name):
    def add(_):
        seen[name] += 1

    return add


async def main():
    held = asyncio.Event()
    held.set()

    async def report(client, _):
        names = {"frames_in": "framesIn", "frames_out": "framesOut", "video_dropped": "videoDropped"}
        names.update({"broken_connections": "brokenConnections", "handler_errors": "handlerErrors", "refused": "refused"})
        stats = {names[name]: value for name, value in backend.stats.items()}
        clients = [client_id for gateway in backend.gateways.values() for client_id in gateway.clients]
        await reply(client, {**seen, "stats": stats, "clients": clients, "gateways": len(backend.gateways)})

    async def flood(client, order):
        for number in range(order["count"]):
            await client.deliver(order["frameClass"], str(number).encode())

    async def flood_all(_, order):
        for number in range(order["count"]):
            await backend.deliver(order["frameClass"], str(number).encode())

    async def fill(client, order):
        taken = 0
        while client.send(order["frameClass"], bytes(order["bytes"])):
            taken += 1
        await reply(client, {"taken": taken})
        await client.deliver(order["frameClass"], b"there was room again")

    async def hold(*_):
        held.clear()

    async def release(*_):
        held.set()

    async def text(client, _):
        client.send(CONTROL, "größe")

    async def mistakes(client, order):
        problems = []
        for frame_class, body in ((99, b"x"), (CONTROL, "text"), (CONTROL, bytes(1 << 20))):
            for method in ("send", "deliver"):
                try:
                    result = getattr(known[order["to"]], method)(frame_class, body)
                    problems.append(str(await result if asyncio.iscoroutine(result) else result))
                except Exception as error:
                    problems.append(str(error))
        await reply(client, problems)

    async def fail(*_):
        raise RuntimeError("the handler has failed")

    async def close(*_):
        closing.append(asyncio.ensure_future(backend.close()))

    async def farewell(client, order):
        for number in range(order["count"]):
            body = number.to_bytes(4, "big") + bytes(order["bytes"] - 4)
            client.send(CONTROL, body)
            client.send(FILE, body)
        await close()
        # As soon as the task has run.
        asyncio.get_running_loop().call_soon(lambda: print("closing", flush=True))

    closing = []
    known = {}
    orders = {"report": report, "flood": flood, "floodAll": flood_all, "fill": fill}
    orders.update({"hold": hold, "release": release, "text": text, "mistakes": mistakes})
    orders.update({"fail": fail, "close": close, "farewell": farewell})

    def on_client_joined(client):
        seen["joined"].append(client.id)
        known[client.id] = client

    async def on_frame(client, frame_class, body):
        if frame_class == FILE:
            await held.wait()
        if frame_class != CONTROL or body[:1] != b"{":
            await client.deliver(frame_class, body)
            return
        order = json.loads(body)
        await orders[order["do"]](client, order)

    backend = await listen(
        0,
        on_frame=on_frame,
        on_client_joined=on_client_joined,
        on_client_left=lambda client: seen["left"].append(client.id),
        on_gateway_up=count("up"),
        on_gateway_down=count("down"),
        on_problem=lambda error: seen["problems"].append(str(error)),
        max_frame=1 << 20,
        announce=None if to is None else {"name": "conformance", "to": [to], "secret": secret},
    )
    print(f"listening on {backend.port}", flush=True)
    await backend.closed
    print("closed", flush=True)


asyncio.run(main())
