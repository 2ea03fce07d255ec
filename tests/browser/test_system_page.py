"""Machines in a real browser: one well, one hot, one gone."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.looks import SCREENSHOTS, Scheme, every_look, looking, overflows
from tests.collectors.machines.http_stand_in import HttpServer
from tests.collectors.machines.ssh import outputs
from tests.collectors.machines.ssh.sshd import Sshd, sshd_missing
from tests.collectors.machines.test_inference_server import native
from tests.support import free_port, serving_app

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(sshd_missing() is not None, reason=sshd_missing() or ""),
]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    directory = tmp_path_factory.mktemp("machines")
    well, hot = Sshd(directory / "well"), Sshd(directory / "hot")
    web = HttpServer(native())
    try:
        well.gpus(outputs.RTX_4090, processes=outputs.PROCESSES)
        hot.gpus(outputs.RTX_3090.replace("41, 52,", "91, 2,"))
        run = directory / "run"
        run.mkdir()
        machines: list[tuple[str, str, dict[str, object]]] = [
            ("trainer", "training", {"ssh": ssh(well)}),
            ("inference", "inference", {"ssh": ssh(hot), "http": {"url": web.url}}),
            ("spare", "inference", {"ssh": ssh(hot) | {"port": free_port()}}),
        ]
        told = [{"name": name, "role": role, **how} for name, role, how in machines]
        toml = json.dumps(told).replace('": ', '" = ')
        own = directory / "control_room.toml"
        own.write_text(f"machines = {toml}\n")
        with serving_app(run, directory / "app.log", "--config", str(own)) as served:
            yield served
    finally:
        well.stop()
        hot.stop()
        web.stop()


def ssh(server: Sshd) -> dict[str, object]:
    return {
        "host": "127.0.0.1",
        "port": server.port,
        "key_file": str(server.key),
        "known_hosts_file": str(server.known_hosts),
    }


@every_look
def test_the_card_tells_well_hot_and_gone_apart_without_colour(
    browser: Browser, address: str, size: str, scheme: Scheme
) -> None:
    with looking(browser, size, scheme) as page:
        page.goto(address)
        card = page.locator(".st-key-card-hardware")
        expect(card).to_contain_text("▲ 91 / 93 °C", timeout=30_000)
        expect(card).to_contain_text("75 / 84 °C")
        expect(card).to_contain_text("offline")
        expect(card).to_contain_text("refused")
        expect(card).to_contain_text("Quiet")
        assert card.evaluate("element => element.scrollWidth <= element.clientWidth + 1")
        card.screenshot(path=SCREENSHOTS / f"hardware-{size}-{scheme}.png")
        page.goto(f"{address}/system")
        expect(page.locator(".st-key-card-machine-0")).to_contain_text(
            "with a comma", timeout=30_000
        )
        expect(page.locator(".st-key-card-machine-2")).to_contain_text("offline")
        expect(page.locator(".st-key-card-jobs")).to_contain_text("Evaluation")
        assert not overflows(page)
