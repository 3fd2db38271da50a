#!/usr/bin/python3
"""Echo on asyncio with uvloop: a protocol object for each connection."""

import argparse
import asyncio
import signal
import sys

try:
    import uvloop
except ImportError as error:
    sys.exit(f"echo-uvloop: uvloop is not installed ({error}); ./dev run --peers installs it")

BUFFER_BYTES = 8192
BUFFER = memoryview(bytearray(BUFFER_BYTES))  # of all connections: one is served at a time


class Echo(asyncio.BufferedProtocol):
    __slots__ = ("transport",)

    def connection_made(self, transport):
        self.transport = transport  # with TCP_NODELAY: uvloop sets it

    def get_buffer(self, _sizehint):
        return BUFFER

    def buffer_updated(self, size):
        self.transport.write(bytes(BUFFER[:size]))

    def pause_writing(self):
        self.transport.pause_reading()

    def resume_writing(self):
        self.transport.resume_reading()


async def serve(options):
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    try:
        server = await loop.create_server(Echo, options.host, options.port, backlog=4096)
    except OSError as error:
        sys.exit(f"echo-uvloop: cannot listen: {error}")
    host, port = server.sockets[0].getsockname()[:2]
    print(f"listening on {host}:{port}", flush=True)
    await stopped.wait()


def main():
    parser = argparse.ArgumentParser(prog="echo-uvloop", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=25000, help="0 picks a free one")
    parser.add_argument("--quiet", action="store_true", help="nothing is printed in any case")
    options = parser.parse_args()
    uvloop.install()
    asyncio.run(serve(options))


if __name__ == "__main__":
    main()
