from itertools import chain, count, pairwise

from collectors.files.training.segments import Segments
from collectors.files.training.status_file import Writer

FIRST = Writer("a-run", "box", 100, 1000.0)
SECOND = Writer("a-run", "box", 200, 2000.0)


def walk(segments: Segments, steps: list[int], start: float = 0.0) -> list[int]:
    """The steps at which a segment began; one step a second."""
    clock = count(start)
    return [step for step in steps if segments.saw(step, next(clock))]


def test_the_first_step_begins_the_first_segment() -> None:
    segments = Segments()
    assert walk(segments, [500, 501, 502]) == [500]
    assert (segments.start_step, segments.count) == (500, 1)


def test_a_step_that_goes_backwards_is_a_resume() -> None:
    segments = Segments()
    assert walk(segments, [1, 2, 3, 2, 3, 4]) == [1, 2]
    assert (segments.start_step, segments.count) == (2, 2)
    assert segments.clash(6.0) is None


def test_a_run_that_crashes_and_resumes_over_and_over_is_one_run() -> None:
    segments = Segments()
    walk(segments, [900, 1000] * 10)
    assert segments.clash(20.0) is None
    assert segments.count == 10


def test_a_run_that_resumes_ever_further_on_is_one_run() -> None:
    segments = Segments()
    walk(segments, [*range(0, 60), *range(50, 110), *range(100, 160), *range(150, 200)])
    assert segments.clash(250.0) is None
    assert segments.count == 4


def test_steps_that_jump_back_and_forth_are_two_runs() -> None:
    segments = Segments()
    walk(segments, list(chain.from_iterable(zip(range(1000, 1010), range(5, 15), strict=True))))
    assert "two runs write to this directory" in str(segments.clash(20.0))
    assert segments.clash(20.0 + 3600) is None, "an hour after it stopped it is over"


def test_two_runs_at_nearly_the_same_step_are_two_runs() -> None:
    segments = Segments()
    walk(segments, list(chain.from_iterable(zip(range(20, 40), range(15, 35), strict=True))))
    assert segments.clash(40.0) is not None


def test_another_process_is_a_new_segment_even_at_a_higher_step() -> None:
    segments = Segments()
    segments.wrote(FIRST, 1000.0)
    walk(segments, [1, 2, 3], start=1001)
    segments.wrote(SECOND, 2000.0)
    assert walk(segments, [4, 5], start=2001) == [4]
    assert segments.count == 2


def test_a_resume_told_by_steps_and_by_the_writer_counts_once() -> None:
    steps_first, writer_first = Segments(), Segments()
    for segments in (steps_first, writer_first):
        segments.wrote(FIRST, 1000.0)
        walk(segments, [1, 2, 3], start=1001)
    walk(steps_first, [2, 3], start=2001)
    steps_first.wrote(SECOND, 2003.0)
    walk(steps_first, [4], start=2004)
    writer_first.wrote(SECOND, 2000.0)
    walk(writer_first, [2, 3, 4], start=2001)
    assert steps_first.count == writer_first.count == 2
    assert steps_first.start_step == writer_first.start_step == 2


def test_lines_of_the_former_process_that_are_read_late_belong_to_it() -> None:
    segments = Segments()
    segments.wrote(FIRST, 1000.0)
    walk(segments, [1, 2], start=1001)
    segments.wrote(SECOND, 2000.0)
    assert walk(segments, [3], start=1900) == []
    assert walk(segments, [2], start=2001) == [2]
    assert segments.count == 2


def test_a_session_that_began_before_the_first_look_is_found_in_its_log() -> None:
    segments = Segments()
    segments.wrote(SECOND, 2500.0)
    assert walk(segments, [1, 2, 3], start=1000) == [1]
    assert walk(segments, [4, 5], start=2001) == [4]
    assert segments.count == 2


def test_writers_that_take_turns_are_two_runs_and_are_named() -> None:
    segments = Segments()
    for at, writer in enumerate([FIRST, SECOND, FIRST, SECOND], 3000):
        segments.wrote(writer, float(at))
    clash = str(segments.clash(3004.0))
    assert "two runs write to this directory" in clash
    assert "pid 100 on box" in clash
    assert "pid 200 on box" in clash


def test_the_last_word_of_a_stopping_process_is_no_second_run() -> None:
    segments = Segments()
    for at, writer in enumerate([FIRST, SECOND, FIRST, SECOND][:3], 3000):
        segments.wrote(writer, float(at))
    assert segments.clash(3004.0) is None


def test_restarts_are_no_second_run() -> None:
    segments = Segments()
    writers = [Writer("a-run", "box", pid, 1000.0 + pid) for pid in range(10)]
    assert all(before != after for before, after in pairwise(writers))
    for writer in writers:
        segments.wrote(writer, writer.started_at or 0.0)
    assert segments.clash(1010.0) is None
