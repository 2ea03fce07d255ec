"""The last day of a machine over the API."""

from __future__ import annotations

import httpx


def test_minutes_of_the_first_machine_or_of_the_one_named(client: httpx.Client) -> None:
    whole = client.get("/api/system/history").json()
    assert whole["count"] == len(whole["minutes"])
    named = client.get("/api/system/history", params={"machine": whole["machine"], "hours": 1})
    assert named.json()["machine"] == whole["machine"]


def test_a_machine_that_is_not_there_is_named_with_those_that_are(client: httpx.Client) -> None:
    answer = client.get("/api/system/history", params={"machine": "nobody"})
    assert answer.status_code == 404
    assert "nobody" in answer.json()["detail"]


def test_hours_are_those_that_are_kept(client: httpx.Client) -> None:
    for hours in ("0", "25", "x", "1.5"):
        assert client.get("/api/system/history", params={"hours": hours}).status_code == 422
