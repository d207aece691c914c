"""A service of a multi-instance task's master, and its client: run by a task, not by pytest."""

from __future__ import annotations

import os
import socket
import sys


def serve(address: tuple[str, int]) -> None:
    """Returns when it serves: a child answers on."""
    with socket.create_server(address) as listener:
        if os.fork():
            return
        while True:
            connection, _ = listener.accept()
            with connection:
                connection.sendall(os.environ["AZ_BATCH_NODE_ID"].encode())


def main() -> None:
    host, port = os.environ["AZ_BATCH_MASTER_NODE"].split(":")
    if sys.argv[1] == "ask":
        with socket.create_connection((host, int(port)), 10) as peer:
            sys.stdout.write(peer.makefile().read())
    elif os.environ["AZ_BATCH_IS_CURRENT_NODE_MASTER"] == "true":
        serve((host, int(port)))


if __name__ == "__main__":
    main()
