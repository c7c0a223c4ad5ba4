#!/usr/bin/env python3
"""A WebSocket client of nothing but Python's standard library: prints what it hears, sends the lines that it reads.

    python3 examples/client.py ws://127.0.0.1:3005 [channel,channel]

For programs in earnest take a library (websockets, aiohttp); this one shows how little the raw endpoint asks for.
"""

import base64
import hashlib
import os
import random
import socket
import struct
import sys
import threading
import time
from urllib.parse import quote, urlsplit

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


class Connection:
    """One WebSocket. `read` belongs to one thread; `send` may be called from any."""

    def __init__(self, host, port, path):
        self.tcp = socket.create_connection((host, port), timeout=5)
        self.tcp.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = self.tcp.makefile("rb")
        self.lock = threading.Lock()
        key = base64.b64encode(os.urandom(16)).decode()
        self.tcp.sendall(
            f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        status = self.buffer.readline().decode().strip()
        headers = dict(self.header_lines())
        if " 101 " not in f"{status} ":
            length = int(headers.get("content-length", 0))
            raise ConnectionError(f"{status} {self.buffer.read(length).decode()}")
        accept = hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()
        if headers.get("sec-websocket-accept") != base64.b64encode(accept).decode():
            raise ConnectionError("this is no WebSocket server")
        # The server pings an idle client; three minutes of silence mean a dead connection.
        self.tcp.settimeout(180)

    def header_lines(self):
        while line := self.buffer.readline().decode().strip():
            name, _, value = line.partition(":")
            yield name.strip().lower(), value.strip()

    def send(self, data, opcode=TEXT):
        payload = data.encode() if isinstance(data, str) else data
        mask = os.urandom(4)
        size = len(payload)
        if size < 126:
            head = struct.pack("!BB", 0x80 | opcode, 0x80 | size)
        elif size < 65536:
            head = struct.pack("!BBH", 0x80 | opcode, 0x80 | 126, size)
        else:
            head = struct.pack("!BBQ", 0x80 | opcode, 0x80 | 127, size)
        masked = bytes(byte ^ mask[index & 3] for index, byte in enumerate(payload))
        with self.lock:
            self.tcp.sendall(head + mask + masked)

    def exactly(self, count):
        data = self.buffer.read(count)
        if len(data) < count:
            raise ConnectionError("the connection broke")
        return data

    def messages(self):
        """Yields text as str and binary messages as bytes until the server closes."""
        while True:
            first, second = self.exactly(2)
            size = second & 0x7F
            if size == 126:
                (size,) = struct.unpack("!H", self.exactly(2))
            elif size == 127:
                (size,) = struct.unpack("!Q", self.exactly(8))
            payload = self.exactly(size)
            opcode = first & 0x0F
            if opcode == TEXT:
                yield payload.decode()
            elif opcode == BINARY:
                yield payload
            elif opcode == PING:
                self.send(payload, PONG)
            elif opcode == CLOSE:
                self.send(payload, CLOSE)
                code = struct.unpack("!H", payload[:2])[0] if len(payload) >= 2 else 1005
                # 3500 to 3999: do not reconnect, the result would be the same; 3507, for example, means that clients only receive.
                if 3500 <= code <= 3999:
                    sys.exit(f"closed: {code} {payload[2:].decode()}")
                raise ConnectionError(f"closed: {code} {payload[2:].decode()}")


def main():
    try:
        _, server, *channels = sys.argv
        scheme, host, port = (url := urlsplit(server)).scheme, url.hostname, url.port or 80
    except ValueError:
        scheme, host = None, None
    if scheme != "ws" or host is None:
        sys.exit("usage: python3 examples/client.py ws://127.0.0.1:3005 [channel,channel]")
    path = f"/?channels={quote(channels[0])}" if channels else "/"
    current = []

    def send_lines():
        for line in sys.stdin:
            if current:
                current[0].send(line.rstrip("\n"))

    threading.Thread(target=send_lines, daemon=True).start()
    pause = 0.25
    while True:
        try:
            connection = Connection(host, port, path)
            current[:] = [connection]
            pause = 0.25
            print("connected", file=sys.stderr, flush=True)
            for message in connection.messages():
                print(message if isinstance(message, str) else f"<{len(message)} bytes>", flush=True)
        except OSError as error:
            current.clear()
            wait = pause * (1 + random.random())
            print(f"{error}; again in {wait:.1f} s", file=sys.stderr, flush=True)
            time.sleep(wait)
            pause = min(pause * 2, 15)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        pass
