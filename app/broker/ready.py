"""Ports, and whether a broker really answers at one."""

import random
import socket
import struct

HOST = "127.0.0.1"
ANSWER_SECONDS = 2.0
# Below the ports that systems hand out to clients: a client that reconnects while the broker restarts might be given
# the broker's own port, connect to itself, and keep the broker from it.
SERVER_PORTS = range(20_000, 32_000)

# A Metadata request, version 7, for no topic at all: api, version, correlation, client, topics, may create topics.
_CLIENT = b"tidemark"
_REQUEST = struct.pack(f">hhih{len(_CLIENT)}si?", 3, 7, 1, len(_CLIENT), _CLIENT, 0, False)
# Its answer begins: size, correlation, throttle time, number of brokers.
_ANSWER = struct.Struct(">iiii")


def is_ready(port: int) -> bool:
    """Say whether a broker answers at this port and counts itself among the living.

    An open port is not enough: it answers some time before the controller lets it lead partitions, and a topic
    created in between fails. Only then does its own metadata list it.
    """
    try:
        with socket.create_connection((HOST, port), timeout=ANSWER_SECONDS) as connection:
            connection.sendall(struct.pack(">i", len(_REQUEST)) + _REQUEST)
            with connection.makefile("rb") as stream:
                answer = stream.read(_ANSWER.size)
    except OSError:
        return False
    return len(answer) == _ANSWER.size and bool(_ANSWER.unpack(answer)[3] > 0)


def is_free(port: int) -> bool:
    """Say whether a server could listen at this port."""
    with socket.socket() as probe:
        # As Java does: without it a port whose last connections are still closing would seem taken.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except (OSError, OverflowError):
            return False
    return True


def free_port() -> int:
    """Return a port that is free now, for a server that starts in a moment."""
    while not is_free(port := random.choice(SERVER_PORTS)):  # noqa: S311 -- no secret
        continue
    return port
