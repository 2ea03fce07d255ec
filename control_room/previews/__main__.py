"""``python -m control_room.previews``: ask the model behind each checkpoint, log its answers."""

from __future__ import annotations

import argparse
import fcntl
import logging
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from control_room.commands.ending import ended
from control_room.commands.options import may_follow_links, run_of
from control_room.extra import MissingExtra, load_extra
from control_room.rundir import RunDir
from control_room.security.inside import LeadsOut
from control_room.security.quiet_logs import keep_secrets_out_of_logs

OPTION = "or pass it as --follow-links"
_NEEDED = ("huey", "httpx", "tenacity", "pydantic")


class AlreadyRunning(RuntimeError):
    """Another runner works on this run."""


def main(
    argv: Sequence[str] | None = None, *, prog: str = "python -m control_room.previews"
) -> int:
    """Run until stopped (or, with ``--once``, until nothing is due). Returns the exit status."""
    arguments = _parser(prog).parse_args(argv)
    keep_secrets_out_of_logs()
    run = run_of(arguments)
    try:
        for module in _NEEDED:
            load_extra(module, extra="previews")
    except MissingExtra as error:
        print(f"control room: {error}", file=sys.stderr)
        return 2
    # Only now: they need what has just been found.
    from control_room.previews.config import ConfigError, load_config_for
    from control_room.previews.runner import Runner, run_until_stopped

    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    for chatty in ("httpx", "huey"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    try:
        config, left_out = load_config_for(run, arguments.config)
        for each in left_out:
            logging.getLogger(__name__).warning(each)
        with _alone(run, shared=config.queue.redis_url is not None):
            runner = Runner(run, config, left_out)
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, lambda *_: runner.stop())
            print(f"Asking {config.server.url} for the checkpoints of {run.path}", flush=True)
            if not arguments.once:
                run_until_stopped(runner)
                return 0
            runner.look()
            while not runner.stopped.is_set() and runner.work():
                runner.look()
            runner.close()
    except (ConfigError, AlreadyRunning) as error:
        print(f"control room: {error}", file=sys.stderr)
        return 2
    except LeadsOut as error:
        print(f"control room: {error.filename}: {error.strerror}, {OPTION}.", file=sys.stderr)
        return 2
    return 0


def _parser(prog: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=prog, description="Ask the model behind each checkpoint, and log its answers."
    )
    parser.add_argument("--run-dir", required=True, type=Path, metavar="DIR")
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="your own settings; default: previews.toml where you stand, over that in "
        "~/.config/control-room. The run's own says what is asked, and what counts as right",
    )
    may_follow_links(parser)
    parser.add_argument("--once", action="store_true", help="do what is due now, then end")
    return parser


@contextmanager
def _alone(run: RunDir, *, shared: bool) -> Iterator[None]:
    """Of runners with a queue of their own, only one may work on a run."""
    if shared:
        yield
        return
    file = run.cache / "previews.lock"
    for suffix in ("", "-journal", "-wal", "-shm"):
        run.inside.check_file(run.cache / f"rounds.sqlite{suffix}")
    with run.inside.open_to_append(file) as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise AlreadyRunning(
                f"another preview runner works on {run.path} (it holds {file})"
            ) from None
        yield


if __name__ == "__main__":
    sys.exit(ended(main))
