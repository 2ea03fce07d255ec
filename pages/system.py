"""The system page: every machine, its last day, who uses its GPUs, and the job queues."""

from __future__ import annotations

import time

import streamlit as st
from markupsafe import Markup

from app.cards import hardware, jobs, kit
from app.cards.draw_html import draw_html
from app.charts.machines import machine_charts
from app.text.html import NOTHING, join, text
from app.ui.chart_box import chart_box
from app.ui.current import monitor
from app.ui.page_files import Page
from app.views.models import GpuStatus, MachineStatus
from app.watch.machine_history import KEPT_S, MINUTE_S
from control_room.history.questions.notes import Note

PAGE = Page(title="System", icon=":material/memory:", order=90)

intervals = monitor().settings.intervals
NO_MINUTES = "The first minute has to pass, and the machine has to tell this."


def main() -> None:
    """Draw the page."""
    _settings()
    for index, machine in enumerate(monitor().views.system.machines):
        left, right = st.columns([2, 3], gap="small")
        with left:
            st.fragment(_now, run_every=intervals.hardware_zone_s)(index)
        with right:
            st.fragment(_last_day, run_every=MINUTE_S)(index, machine.name)
    st.fragment(_jobs, run_every=intervals.hardware_zone_s)()
    st.fragment(_problems, run_every=intervals.hardware_zone_s)()


def _problems() -> None:
    """Of the run directory: what cannot be read there, and what links lead out of it."""
    told = monitor().views.system.problems
    if told:
        with st.container(border=True, key="card-problems"):
            draw_html(kit.card("What is wrong with the run directory", kit.problems(told)))


def _settings() -> None:
    """Drawn once: they are read at the start."""
    left_out = monitor().views.system.settings_problems
    if left_out:
        with st.container(border=True, key="card-settings"):
            draw_html(kit.card("Settings that are not taken", kit.problems(left_out)))


def _now(index: int) -> None:
    machine = monitor().views.system.machines[index]
    with st.container(border=True, key=f"card-machine-{index}"):
        draw_html(
            kit.bare(
                kit.columns(
                    [hardware.machine_html(machine) + _about(machine) + _processes(machine)]
                )
            )
        )


def _about(machine: MachineStatus) -> Markup:
    """What only this page has room for."""
    told = [
        ("Reached", text(" and ".join(_WAYS[way] for way in machine.reached_by))),
        ("Up for", text(kit.duration(machine.uptime_s)) if machine.uptime_s else None),
        ("Load, 1 min", kit.number(machine.load_1m, 2) if machine.load_1m is not None else None),
        ("CPUs", kit.number(machine.cpu_count) if machine.cpu_count else None),
    ]
    shown = [(name, value) for name, value in told if value is not None]
    return kit.rows(shown) if machine.online else NOTHING


_WAYS = {"local": "as this machine", "ssh": "over SSH", "http": "through its server"}


def _processes(machine: MachineStatus) -> Markup:
    parts = [kit.heading("Processes on the GPUs")]
    lines = [
        (
            text(process.name or f"process {process.pid}"),
            text(str(process.pid)),
            text(f"GPU {gpu.index}"),
            kit.number(process.vram_used_gb, 1, "GB"),
        )
        for gpu in machine.gpus
        for process in gpu.processes or ()
    ]
    if lines:
        parts.append(kit.table(("", "PID", "On", "Memory"), lines))
    elif any(_tells_processes(gpu) for gpu in machine.gpus):
        parts.append(kit.note("No process uses a GPU."))
    elif machine.gpus:
        parts.append(kit.note("Its driver does not tell them."))
    else:
        return NOTHING
    return join(parts)


def _tells_processes(gpu: GpuStatus) -> bool:
    return gpu.processes is not None


def _last_day(index: int, name: str) -> None:
    machine = monitor().views.system.machines[index]
    minutes = monitor().machine_history.minutes(name, since=time.time() - KEPT_S)
    drawn = [(title, chart) for title, chart in machine_charts(machine, minutes) if chart.rows]
    if not drawn:
        with st.container(border=True, key=f"card-day-{index}"):
            draw_html(kit.empty(f"{name}: the last 24 hours", "Nothing to show yet.", NO_MINUTES))
        return
    marks = [Note(note.ts, note.step, note.text) for note in monitor().views.live.notes]
    with st.grid(2, min_column_width=320, gap="small"):
        for title, chart in drawn:
            with st.container(border=True, key=f"card-{title.lower()}-{index}"):
                chart_box(
                    f"system-{index}-{title.lower()}",
                    f"{title}, 24 h",
                    chart,
                    NO_MINUTES,
                    notes=marks,
                    axis="time",
                )


def _jobs() -> None:
    with st.container(border=True, key="card-jobs"):
        draw_html(jobs.html(monitor().views.system.job_queues))


main()
