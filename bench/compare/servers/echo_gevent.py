#!/usr/bin/python3
"""Echo on gevent: a greenlet for each connection."""

import argparse
import signal
import socket
import sys

try:
    import gevent
    from gevent.server import StreamServer
except ImportError as error:
    sys.exit(f"echo-gevent: gevent is not installed ({error}); ./dev run --peers installs it")

BUFFER_BYTES = 8192


def echo(peer, _address):
    peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        while data := peer.recv(BUFFER_BYTES):
            peer.sendall(data)
    except OSError:
        pass  # the peer has gone; that is its own affair


def main():
    parser = argparse.ArgumentParser(prog="echo-gevent", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=25000, help="0 picks a free one")
    parser.add_argument("--quiet", action="store_true", help="nothing is printed in any case")
    options = parser.parse_args()

    server = StreamServer((options.host, options.port), echo, backlog=4096)
    for number in (signal.SIGINT, signal.SIGTERM):
        gevent.signal_handler(number, server.stop, 0)
    try:
        server.start()
    except OSError as error:
        sys.exit(f"echo-gevent: cannot listen: {error}")
    print(f"listening on {server.server_host}:{server.server_port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
