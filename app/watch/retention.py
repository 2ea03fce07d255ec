"""Old days of the run's logs, compressed and deleted by the app where the settings say so."""

from __future__ import annotations

import logging
from datetime import datetime

from app.settings import Settings
from app.views.readings import RetentionReading
from control_room.logs.retention import carry_out, left_alone, plan

log = logging.getLogger(__name__)

EVERY_S = 3600.0


def retain(settings: Settings) -> RetentionReading:
    """Do what is due. Never raises for what the disk does: the reading says."""
    limits = settings.retention
    run = settings.run
    steps = plan(
        run,
        datetime.now().astimezone().date(),
        compress_after_days=limits.compress_after_days,
        delete_after_days=limits.delete_after_days,
        form=limits.form,
    )
    done = [carry_out(step) for step in steps]
    for each in done:
        if each.problem is None:
            log.info("retention: %s", each.step)
    problems = tuple(each.problem for each in done if each.problem is not None)
    return RetentionReading(len(done) - len(problems), (*left_alone(run), *problems))
