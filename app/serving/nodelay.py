"""Lets answers leave at once.

Streamlit's listening socket is made such that asyncio leaves Nagle's algorithm on: on a kept-open
connection the body of an answer then waits some 40 ms for the client to acknowledge the headers.
"""

from __future__ import annotations

import logging
import os
import socket

import psutil

log = logging.getLogger(__name__)


def answer_at_once(port: int) -> bool:
    """Switch the algorithm off for connections that this process accepts on ``port`` from now on.

    They take the option from the listening socket, on Linux. False when there is no such socket.
    """
    found = False
    try:
        listening = psutil.Process().net_connections(kind="tcp")
    except (psutil.Error, OSError) as error:
        log.debug("the listening socket cannot be looked up: %s", error)
        return False
    for connection in listening:
        if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port:
            with socket.socket(fileno=os.dup(connection.fd)) as listener:
                listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            found = True
    return found
