"""Answers leave at once on connections that are kept open."""

from __future__ import annotations

import socket

from app.serving.nodelay import answer_at_once
from tests.support import free_port


def test_connections_accepted_from_now_on_do_not_wait() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        assert answer_at_once(listener.getsockname()[1])
        with socket.create_connection(listener.getsockname()) as client:
            accepted, _ = listener.accept()
            with accepted:
                assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0
            assert client


def test_where_nothing_listens_nothing_is_done() -> None:
    assert not answer_at_once(free_port())
