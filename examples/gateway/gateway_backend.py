"""A backend of `shardcast gateway` in one file, to copy into your project. Python 3.8 or later, standard library only. An echo:

    import asyncio
    from gateway_backend import listen

    async def main():
        backend = await listen(9001, on_frame=lambda client, frame_class, body: client.deliver(frame_class, body))
        await backend.closed

    asyncio.run(main())

docs/reference/gateway-backends.md describes all of it, and gateway-protocol.md what passes between a gateway and a backend. gateway-backend.mjs
is the same for Node.
"""

import asyncio
import difflib
import errno
import hashlib
import hmac
import inspect
import ipaddress
import json
import os
import re
import socket
import struct
import sys
import time
import unicodedata
from collections import OrderedDict

# The first byte of each payload. The gateway answers for LINK itself.
LINK, CONTROL, VIDEO, ACK, FILE = range(5)

HEADER = struct.Struct("!III")
EVERYONE = 0
# A gateway that has said hello on one connection opens the other within this time.
PAIR_SECONDS_MAX = 5
ANNOUNCE_EVERY_SECONDS = 5
# `close` waits so long for gateways to take what was sent.
CLOSE_SECONDS_MAX = 5
# Clients that have left and of which frames may still arrive on the other connection. The oldest are forgotten.
LEFT_MAX = 1024


class ProtocolError(Exception):
    """What came is not from a gateway that this file understands."""


def print_problem(error):
    print(f"gateway_backend: {error!r}", file=sys.stderr, flush=True)


def check_frame(frame_class, body, max_frame):
    """A gateway would drop a frame of any other class, and end the connection at one that is too long."""
    if frame_class not in (CONTROL, VIDEO, ACK, FILE):
        raise ValueError(f"there is no class {frame_class!r} to send: it is CONTROL, VIDEO, ACK or FILE")
    if not isinstance(body, (bytes, bytearray, memoryview)):
        raise TypeError("a body is bytes: turn text into them with .encode()")
    length = memoryview(body).nbytes + 1
    if length > max_frame:
        raise ValueError(f"a payload of {length} bytes is longer than max_frame, {max_frame}")


def address_of(text):
    """Of "host:port"; None if it is something else. IPv6 has no broadcasts, so it is not used here."""
    match = re.fullmatch(r"([^\s:]+):([0-9]{1,5})", text) if isinstance(text, str) else None
    return (match[1], int(match[2])) if match and 1 <= int(match[2]) <= 65535 else None


def is_name(value):
    if not isinstance(value, str) or len(value.encode("utf-16-le", "surrogatepass")) > 2 * 64:
        return False
    return not any(unicodedata.category(letter) in ("Cc", "Cf", "Cs", "Zl", "Zp") for letter in value)


def is_machine(value):
    """Not an address of all machines, of a group, or of none."""
    try:
        address = ipaddress.ip_address(value) if isinstance(value, str) and "%" not in value else None
    except ValueError:
        return False
    address = getattr(address, "ipv4_mapped", None) or address
    if address is None or address.is_unspecified or address.is_multicast:
        return False
    return address.version == 6 or 0 < address.packed[0] < 224


CALLBACK = ("a function", lambda value: value is None or callable(value))
POSITIVE = ("a positive whole number", lambda value: isinstance(value, int) and not isinstance(value, bool) and value > 0)

# What each option must be.
RULES = {
    "host": ("text that is not empty", lambda value: isinstance(value, str) and value != ""),
    "on_frame": CALLBACK,
    "on_client_joined": CALLBACK,
    "on_client_left": CALLBACK,
    "on_gateway_up": CALLBACK,
    "on_gateway_down": CALLBACK,
    "on_problem": CALLBACK,
    "max_frame": POSITIVE,
    "queue_bytes": POSITIVE,
    "video_queue_bytes": POSITIVE,
    "announce": ("a dict with any of name, secret, host and to", lambda value: value is None or isinstance(value, dict)),
}
# Gateways ignore an announcement that is otherwise.
ANNOUNCE_RULES = {
    "name": ("text of at most 64 characters, none of them a control character", is_name),
    "secret": (
        "text of at least 16 characters without white space",
        lambda value: value is None or (isinstance(value, str) and len(value) >= 16 and not re.search(r"\s", value)),
    ),
    "host": ("the IP address of one machine", is_machine),
    "to": (
        'a list of "host:port", such as ["127.0.0.1:9999"]',
        lambda value: isinstance(value, (list, tuple)) and len(value) > 0 and all(map(address_of, value)),
    ),
}


def check(given, rules, prefix=""):
    """Raises if a name is unknown or a value wrong, which it does not tell: it may be a secret."""
    for name, value in given.items():
        if name not in rules:
            near = difflib.get_close_matches(str(name), rules, 1)
            hint = f" (did you mean {near[0]}?)" if near else ""
            raise TypeError(f"there is no option {prefix}{name}{hint}; there are {', '.join(rules)}")
        must_be, is_right = rules[name]
        if not is_right(value):
            raise ValueError(f"the option {prefix}{name} must be {must_be}")


class CannotListen(SystemExit):
    """Uncaught, it ends the program with one line on stderr, and status 1."""


async def listen(port, **options):
    """
    Takes gateways on a port (0 = a free one, see `backend.port`). The options are those of `Backend`. Raises TypeError or ValueError if one is
    wrong, and CannotListen if it cannot listen there.
    """
    check(options, RULES)
    check(options.get("announce") or {}, ANNOUNCE_RULES, "announce.")
    backend = Backend(**options)
    await backend.start(port)
    return backend


class Backend:
    """
    on_frame(client, frame_class, body): while the coroutine that it returns runs, nothing more is read from that connection, and so the
        gateway holds the client's frames back. Do not wait in it for another frame, which could not arrive; start a task for such work.
    on_client_joined(client), on_client_left(client)
    on_gateway_up(gateway), on_gateway_down(gateway): it has both of its connections, or has lost them.
    on_problem(error): an error of a handler, or of what a connection sent; the latter is closed.
    max_frame: a longer payload ends its connection. Give the gateway the same limit.
    queue_bytes: once so many bytes wait for a connection of a gateway, it takes no more.
    video_queue_bytes: the same for VIDEO, which is worthless when it is late.
    announce: {"name"?: …, "secret"?: …, "host"?: …, "to"?: ["127.0.0.1:9999"]}: tell gateways with --discover where this backend is. A
        broadcast address will do.

    All of it belongs to one event loop: call nothing here from another thread.
    """

    def __init__(
        self,
        host="127.0.0.1",
        on_frame=None,
        on_client_joined=None,
        on_client_left=None,
        on_gateway_up=None,
        on_gateway_down=None,
        on_problem=print_problem,
        max_frame=8 << 20,
        queue_bytes=4 << 20,
        video_queue_bytes=256 << 10,
        announce=None,
    ):
        self.host = host
        self.on_frame = on_frame
        self.on_client_joined = on_client_joined
        self.on_client_left = on_client_left
        self.on_gateway_up = on_gateway_up
        self.on_gateway_down = on_gateway_down
        self.on_problem = on_problem or print_problem
        self.max_frame = max_frame
        self.queue_bytes = queue_bytes
        self.video_queue_bytes = video_queue_bytes
        self.announce = announce
        self.gateways = {}
        self.is_closing = False
        names = ("frames_in", "frames_out", "refused", "video_dropped", "broken_connections", "handler_errors")
        self.stats = dict.fromkeys(names, 0)
        self._announcer = None
        self._connections = set()
        self._tasks = set()

    async def start(self, port):
        if not isinstance(port, int) or isinstance(port, bool) or not 0 <= port <= 65535:
            raise ValueError(f"the port is {port!r}; give a whole number from 0 (a free one) to 65535")
        try:
            self._server = await asyncio.start_server(self._accept, self.host, port)
        except OSError as error:
            why = "another program listens there" if error.errno == errno.EADDRINUSE else error.strerror
            raise CannotListen(f"gateway_backend: cannot listen on port {port} of {self.host}: {why}") from None
        self.port = self._server.sockets[0].getsockname()[1]
        self.closed = asyncio.get_running_loop().create_future()
        if self.announce is not None:
            self._announcer = Announcer(self.port, **self.announce)

    def send(self, frame_class, body):
        """To all clients of all gateways. False if a gateway has no room (see `Client.send`); then none got it."""
        check_frame(frame_class, body, self.max_frame)
        up = [gateway for gateway in self.gateways.values() if gateway.is_up]
        if not all(gateway.has_room(frame_class) for gateway in up):
            return self.refuse(frame_class)
        for gateway in up:
            gateway.send(EVERYONE, frame_class, body)
        return True

    async def deliver(self, frame_class, body):
        """The same, once all have room."""
        while not self.send(frame_class, body):
            await asyncio.gather(*(gateway.drained(frame_class) for gateway in list(self.gateways.values())))

    async def close(self):
        """
        Says goodbye to --discover, and ends all connections after what was sent. A gateway that has not taken it after 5 seconds does not get the
        rest.
        """
        if self._announcer is not None:
            self._announcer.stop()
        self.is_closing = True
        self._server.close()
        for gateway in list(self.gateways.values()):
            gateway.end(abort=False)
        open_connections = list(self._connections)
        for connection in open_connections:
            connection.writer.transport.write_eof()
        if open_connections:
            await asyncio.wait([connection.ended for connection in open_connections], timeout=CLOSE_SECONDS_MAX)
        for connection in list(self._connections):
            connection.writer.transport.abort()
        await self._server.wait_closed()
        if not self.closed.done():
            self.closed.set_result(None)

    def refuse(self, frame_class):
        self.stats["refused"] += 1
        if frame_class == VIDEO:
            self.stats["video_dropped"] += 1
        return False

    async def _accept(self, reader, writer):
        connection = Connection(reader, writer, self)
        self._connections.add(connection)
        try:
            try:
                await connection.run()
            except EOFError:
                pass
            # The gateway has ended its side, and still reads what was sent.
            if connection.pair is not None:
                connection.pair.end(abort=False)
            await connection.flushed()
        except (OSError, asyncio.TimeoutError, asyncio.CancelledError):
            pass  # A gateway that goes away is no problem, nor is the end of the program.
        except Exception as error:
            self.stats["broken_connections"] += 1
            self.on_problem(error)
        finally:
            self._connections.discard(connection)
            writer.transport.abort()
            if connection.pair is not None:
                connection.pair.end()
            if not connection.ended.done():
                connection.ended.set_result(None)

    def call(self, handler, *given):
        """Calls a handler: an error in it ends neither the program nor a connection. Returns an awaitable if it is not finished."""
        if handler is None:
            return None
        try:
            result = handler(*given)
        except Exception as error:
            self.failed(error)
            return None
        return self._finish(result) if inspect.isawaitable(result) else None

    def start_call(self, handler, *given):
        """The same for a handler that nothing waits for."""
        pending = self.call(handler, *given)
        if pending is not None:
            task = asyncio.ensure_future(pending)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _finish(self, pending):
        try:
            await pending
        except Exception as error:
            self.failed(error)

    def failed(self, error):
        self.stats["handler_errors"] += 1
        self.on_problem(error)


class Connection:
    """One TCP connection of a gateway."""

    def __init__(self, reader, writer, backend):
        self.reader = reader
        self.writer = writer
        self.backend = backend
        self.pair = None
        self.ended = asyncio.get_running_loop().create_future()
        # So that `drain` waits whenever `has_room` says no.
        least = min(backend.queue_bytes, backend.video_queue_bytes)
        writer.transport.set_write_buffer_limits(high=least - 1, low=least // 2)
        writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._draining = asyncio.Lock()

    @property
    def waiting_bytes(self):
        return self.writer.transport.get_write_buffer_size()

    async def run(self):
        try:
            await asyncio.wait_for(self._become_pair(), PAIR_SECONDS_MAX)
        except asyncio.TimeoutError:
            raise ProtocolError("a connection did not become a pair in time") from None
        while self.pair.is_up:
            client_id, frame_class, body = await self._frame()
            if self.backend.is_closing:
                break
            pending = self.pair.handle(client_id, frame_class, body)
            if pending is not None:
                await pending
        # Bytes that nobody reads would break the connection, and with it what was sent.
        while await self.reader.read(65536):
            pass

    async def flushed(self):
        """Ends it once all has been written. Raises TimeoutError after 5 seconds."""
        self.writer.close()
        await asyncio.wait_for(self.writer.wait_closed(), CLOSE_SECONDS_MAX)

    async def _become_pair(self):
        _, frame_class, body = await self._frame()
        if self.backend.is_closing:
            raise EOFError
        hello = json.loads(body) if frame_class == LINK else {}
        link, gateway_id = hello.get("link"), hello.get("gateway")
        if hello.get("type") != "hello" or link not in ("control", "data") or not isinstance(gateway_id, str):
            raise ProtocolError("a connection did not begin with a hello; is it a gateway?")
        if hello.get("version") != 1:
            raise ProtocolError(f"a gateway speaks version {hello.get('version')}, and this backend version 1")
        pair = self.backend.gateways.get(gateway_id)
        if pair is None or pair.connections.get(link) is not None:
            # A second one of the kind: the gateway has lost the first, even if that is not known here yet.
            if pair is not None:
                pair.end()
            pair = self.backend.gateways[gateway_id] = Gateway(gateway_id, self.backend)
        self.pair = pair
        pair.add(link, self)
        # Until then a frame might name a client of which the other connection has not spoken, and could not be answered.
        await pair.complete.wait()

    async def _frame(self):
        length, client_id, _ = HEADER.unpack(await self.reader.readexactly(HEADER.size))
        if not 1 <= length <= self.backend.max_frame:
            raise ProtocolError(f"a frame with a payload of {length} bytes; from 1 to {self.backend.max_frame} are allowed (max_frame)")
        payload = await self.reader.readexactly(length)
        return client_id, payload[0], payload[1:]

    async def drained(self):
        # Python before 3.11 permits one task at a time in `drain`.
        async with self._draining:
            await self.writer.drain()


class Gateway:
    """One gateway: its two connections, and the clients that are connected to it."""

    def __init__(self, gateway_id, backend):
        self.id = gateway_id
        self.backend = backend
        self.connections = {"control": None, "data": None}
        # Those that are there, by id. An id says nothing about the clients of another gateway.
        self.clients = {}
        self.complete = asyncio.Event()
        self._left = OrderedDict()
        self._ended = False

    @property
    def is_up(self):
        return not self._ended and None not in self.connections.values()

    def add(self, link, connection):
        self.connections[link] = connection
        if self.is_up:
            self.complete.set()
            self.backend.start_call(self.backend.on_gateway_up, self)

    def handle(self, client_id, frame_class, body):
        """Returns an awaitable if the next frame must wait."""
        if frame_class == LINK:
            self._link_message(json.loads(body))
            return None
        self.backend.stats["frames_in"] += 1
        return self.backend.call(self.backend.on_frame, self._client(client_id), frame_class, body)

    def _link_message(self, message):
        kind = message.get("type")
        if kind == "ping":
            self._write(self.connections["control"], EVERYONE, LINK, b'{"type":"pong"}')
        elif kind == "client_joined":
            self._client(message["client"])
        elif kind == "clients":
            for client_id in message["clients"]:
                self._client(client_id)
        elif kind == "client_left":
            self._leave(message["client"])
        # What it does not know is from a newer gateway.

    def _client(self, client_id):
        """A frame on one connection may be faster than the news of its client on the other."""
        known = self.clients.get(client_id) or self._left.get(client_id)
        if known is not None:
            return known
        client = self.clients[client_id] = Client(client_id, self)
        self.backend.start_call(self.backend.on_client_joined, client)
        return client

    def _leave(self, client_id):
        client = self.clients.pop(client_id, None)
        if client is None:
            return
        client.is_here = False
        self._left[client_id] = client
        if len(self._left) > LEFT_MAX:
            self._left.popitem(last=False)
        self.backend.start_call(self.backend.on_client_left, client)

    def end(self, abort=True):
        """A gateway that has lost one of the two opens both again."""
        if self._ended:
            return
        was_up = self.is_up
        self._ended = True
        if self.backend.gateways.get(self.id) is self:
            del self.backend.gateways[self.id]
        for connection in self.connections.values():
            if connection is None:
                continue
            if abort:
                connection.writer.transport.abort()
            else:
                connection.writer.transport.write_eof()
        self.complete.set()
        for client_id in list(self.clients):
            self._leave(client_id)
        if was_up:
            self.backend.start_call(self.backend.on_gateway_down, self)

    def _connection_for(self, frame_class):
        return self.connections["data" if frame_class in (VIDEO, FILE) else "control"]

    def has_room(self, frame_class):
        most = self.backend.video_queue_bytes if frame_class == VIDEO else self.backend.queue_bytes
        return self._connection_for(frame_class).waiting_bytes < most

    def send(self, client_id, frame_class, body):
        """For `Backend` and `Client`, which have checked the frame, whether there is room, and whether the client is there."""
        self.backend.stats["frames_out"] += 1
        self._write(self._connection_for(frame_class), client_id, frame_class, body)

    async def drained(self, frame_class):
        """Once there is room again, or the gateway has gone."""
        if not self.is_up:
            return
        try:
            await self._connection_for(frame_class).drained()
        except OSError:
            self.end()

    def _write(self, connection, client_id, frame_class, body):
        length = memoryview(body).nbytes + 1
        connection.writer.write(b"".join((HEADER.pack(length, client_id, 0), bytes((frame_class,)), body)))


class Client:
    def __init__(self, client_id, gateway):
        self.id = client_id
        self.gateway = gateway
        # False once it has left. What is sent to it then goes nowhere.
        self.is_here = True
        # For you.
        self.data = {}

    def send(self, frame_class, body):
        """
        Takes `body` (bytes) for this client. False if so much waits for the gateway that there is no room, or if the client has left: then
        nothing was taken. Slow down, skip it, or use `deliver`.
        """
        check_frame(frame_class, body, self.gateway.backend.max_frame)
        if not self.is_here or not self.gateway.is_up:
            return False
        if not self.gateway.has_room(frame_class):
            return self.gateway.backend.refuse(frame_class)
        self.gateway.send(self.id, frame_class, body)
        return True

    async def deliver(self, frame_class, body):
        """The same, once there is room. False if the client has left before."""
        check_frame(frame_class, body, self.gateway.backend.max_frame)
        while self.is_here and self.gateway.is_up:
            if self.send(frame_class, body):
                return True
            await self.gateway.drained(frame_class)
        return False


class Announcer:
    """Tells gateways over UDP where this backend is."""

    def __init__(self, port, name="", secret=None, host="", to=("127.0.0.1:9999",)):
        self._port, self._name, self._secret, self._host = port, name, secret, host
        self._targets = [address_of(target) for target in to]
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        self._socket.setblocking(False)
        self._task = asyncio.ensure_future(self._announce())

    async def _announce(self):
        while True:
            self._send(False)
            await asyncio.sleep(ANNOUNCE_EVERY_SECONDS)

    def stop(self):
        self._task.cancel()
        self._send(True)
        self._socket.close()

    def _send(self, leaving):
        datagram = announcement_of(self._port, self._name, self._secret, self._host, leaving)
        for target in self._targets:
            try:
                self._socket.sendto(datagram, target)
            except OSError as error:
                print_problem(error)


def announcement_of(port, name, secret, host, leaving):
    """The datagram, signed if there is a secret: an HMAC of the values, one per line."""
    now, nonce = int(time.time() * 1000), os.urandom(16).hex()
    values = ["shardcast backend 1", host, port, name, now, nonce, "true" if leaving else "false"]
    announcement = {"shardcast": "backend", "version": 1, "port": port, "name": name, "time": now, "nonce": nonce}
    if host:
        announcement["host"] = host
    if leaving:
        announcement["leaving"] = True
    if secret is not None:
        signed = "\n".join(map(str, values)).encode()
        announcement["signature"] = hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
    return json.dumps(announcement).encode()
