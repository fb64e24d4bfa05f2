"""A job at work on many files, input by input."""

from __future__ import annotations

import logging
import time
import traceback
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from ...checks import InputError
from ...io import write_text
from ...refine import explain, steps_of
from ...types import Image, ModelHeader
from ..predict import Model, load_model
from .file import FileTask, SegmentOptions, engine_facts, read_input, segment_file
from .lanes import Lanes
from .names import Failure, Input, own_name
from .outcomes import JobSummary, JobWatcher, Outcome, failed, without_result
from .record import STATE_FOLDER, Parameters, Record, claim, forget, identify, is_whole, unclaim
from .summary import Run, write_summaries

_log = logging.getLogger(__name__)

MOST_PIXELS_BESIDE = 2**25
"""Results of larger images, all planes and channels counted, are not kept while the next is segmented: they take about
12 bytes for each of these pixels, 0.4 GB in all. Nor are any where memory is limited."""


@dataclass(frozen=True)
class JobRequest:
    """What a job was asked to do; nothing of it changes."""

    out: Path
    options: SegmentOptions
    header: ModelHeader
    parameters: Parameters
    model_path: Path
    watcher: JobWatcher
    overwrite: bool


@dataclass(frozen=True)
class _Ready:
    """An input that was read."""

    task: FileTask
    image: Image
    read_s: float


@dataclass(frozen=True)
class _Working:
    """An input in a thread of its own, which ends with its record.

    Attributes:
        task: The input.
        where: What tells its position from others of the file.
        record: When the results are there.
        whole: Whether it is segmented there, too, and not only written.
    """

    task: FileTask
    where: str
    record: Future[Record]
    whole: bool


class Job:
    """A job at work, input by input.

    Attributes:
        request: What was asked.
        records: Finished inputs by name, those of earlier jobs included; an entry leaves when its input is done
            anew, and comes back when that is complete.
        outcomes: What became of the inputs so far, in order; grows by one per input.
        run: Timings and facts for ``run.json``; summed up as inputs end.
        model: Loaded when the first input needs it; None before.
    """

    def __init__(self, request: JobRequest, records: dict[str, Record]) -> None:
        self.request = request
        self.records = records
        self.outcomes: list[Outcome] = []
        self.run = Run(threads=request.options.choice.threads, max_memory_bytes=request.options.max_memory_bytes)
        self.model: Model | None = None
        self._working: deque[_Working] = deque()

    def run_all(
        self,
        names: Mapping[Input, str],
        missing: Sequence[Failure],
        *,
        score: Callable[[], tuple[tuple[str, str], ...]] | None,
    ) -> JobSummary:
        """Do what is not done, then write tables and report of everything."""
        watcher = self.request.watcher
        watcher.begin(len(names) + len(missing))
        for one, name in names.items():
            own = own_name(one)
            if name != own:
                why = (
                    "is too long for the file system" if "~" in name and "~" not in own else "is taken by another input"
                )
                watcher.say(f"{one}: its results are named {name}_…, as {own} {why}")
        started = time.perf_counter()
        try:
            for failure in missing:
                self._end(without_result(failure))
            self._do_all(names)
            if score is not None:
                self.run.scores = score()
        except KeyboardInterrupt:
            self.run.interrupted = True
        self.run.seconds = time.perf_counter() - started
        self.run.finished = datetime.now(UTC).isoformat(timespec="seconds")
        problem = ""
        try:
            self._summarize()
        except InputError as error:
            problem = str(error)
        return JobSummary(self.request.out, tuple(self.outcomes), self.run, problem)

    def _end(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)
        self.request.watcher.end(outcome)

    def _summarize(self) -> None:
        """Tables and report of this job's inputs, then of the others that are complete in the folder."""
        out = self.request.out
        rows: list[Record | Failure] = [
            outcome.record or Failure(outcome.path, outcome.name, outcome.reason, left_out=outcome.state == "left out")
            for outcome in self.outcomes
        ]
        here = {row.name for row in rows}
        others = [record for name, record in sorted(self.records.items()) if name not in here and is_whole(out, record)]
        write_summaries(
            out, [*rows, *others], run=self.run, header=self.request.header, parameters=self.request.parameters
        )

    def _do_all(self, names: Mapping[Input, str]) -> None:
        """Do the inputs, and tell of them in their order: small ones side by side, see `Lanes`.

        Of larger ones the results of one are written while the next is segmented.
        """
        lanes: Lanes | None = None
        with ExitStack() as stack:
            try:
                for one, name in names.items():
                    ready = self._read(one, name)
                    if isinstance(ready, Outcome):
                        self._finish_all()
                        self._end(replace(ready, where=one.where))
                        continue
                    if lanes is None:
                        lanes = Lanes(self._ready_model(), self.request.options, inputs=len(names))
                        threads = stack.enter_context(ThreadPoolExecutor(lanes.count))
                    if lanes.take(ready.image):
                        while len(self._working) >= lanes.most_begun:
                            self._finish()
                        record = threads.submit(self._segment_whole, ready, lanes)
                        self._working.append(_Working(ready.task, one.where, record, whole=True))
                    else:
                        self._do_large(ready, one.where, threads)
            except BaseException:
                self._drop_waiting()
                raise
            finally:
                self._finish_all()

    def _do_large(self, ready: _Ready, where: str, threads: ThreadPoolExecutor) -> None:
        """Segment an input on all cores, then begin to write its results."""
        if any(working.whole for working in self._working):
            self._finish_all()
        try:
            write = self._segment(ready, self._ready_model())
        except KeyboardInterrupt:
            forget(self.request.out, ready.task.name)
            raise
        except Exception as error:
            self._finish_all()
            self._end(replace(self._given_up(ready.task, error), where=where))
            return
        self._finish_all()
        self._working.append(_Working(ready.task, where, threads.submit(write), whole=False))
        if ready.image.pixels.size > MOST_PIXELS_BESIDE or self.request.options.max_memory_bytes is not None:
            self._finish_all()

    def _drop_waiting(self) -> None:
        """Leave inputs undone that were read and for which no lane was free; what they had before is still there."""
        begun: deque[_Working] = deque()
        for working in self._working:
            name = working.task.name
            if not working.record.cancel():
                begun.append(working)
            elif name not in self.records:
                unclaim(self.request.out, name)  # a person's own file, which was to be overwritten, is still theirs
        self._working = begun

    def _finish_all(self) -> None:
        """Wait until the results of all inputs that were begun are there."""
        while self._working:
            self._finish()

    def _finish(self) -> None:
        """Wait until the results of the first input that was begun are there."""
        working = self._working.popleft()
        try:
            record = working.record.result()
        except KeyboardInterrupt:
            if working.record.done() and isinstance(working.record.exception(), KeyboardInterrupt):
                forget(self.request.out, working.task.name)
            else:  # the interruption came while we waited: what was begun is ended first
                self._working.appendleft(working)
            raise
        # Whatever a single input does to us, the hundreds after it are still to be done.
        except Exception as error:
            outcome = self._given_up(working.task, error)
        else:
            self.records[working.task.name] = record
            self.run.pixels += record.planes * record.height * record.width
            self.run.parts += record.seconds
            outcome = Outcome(working.task.path, working.task.name, "done", record)
        self._end(replace(outcome, where=working.where))

    def _read(self, one: Input, name: str) -> Outcome | _Ready:
        """Read one input unless it is complete; whatever is wrong with it is its outcome."""
        out, overwrite, watcher = self.request.out, self.request.overwrite, self.request.watcher
        path = one.path
        try:
            source = identify(path, one.number)
        except (InputError, OSError) as error:
            return failed(path, name, error)
        before = self.records.get(name)
        if before is not None and before.source.sha256 != source.sha256:
            watcher.say(f"{one}: has changed since it was segmented; it is done again")
        elif before is not None and not overwrite and is_whole(out, before):
            return Outcome(path, name, "skipped", before)
        task = FileTask(path, name, source, self.request.parameters)
        try:
            watcher.progress(path, 0.0)
            claim(out, name, overwrite=overwrite)
        except (InputError, OSError) as error:
            return failed(path, name, error)  # files that are not ours are there, so that nothing is removed
        try:
            started = time.perf_counter()
            image = read_input(task, self.request.options, self.request.header, watcher.say)
            read_s = time.perf_counter() - started
        except Exception as error:
            return self._given_up(task, error)
        self._ready_model()  # before earlier results go, which stay where the machine cannot do what is asked
        return _Ready(task, image, read_s)

    def _segment(self, ready: _Ready, model: Model) -> Callable[[], Record]:
        """Segment an input, whose earlier results go now; what is returned writes the new ones."""
        watcher = self.request.watcher
        forget(self.request.out, ready.task.name)
        self.records.pop(ready.task.name, None)
        return segment_file(
            ready.task,
            ready.image,
            model,
            self.request.out,
            options=self.request.options,
            read_s=ready.read_s,
            say=watcher.say,
            progress=watcher.progress,
        )

    def _segment_whole(self, ready: _Ready, lanes: Lanes) -> Record:
        """Segment an input and write its results, in the thread of a lane."""
        return self._segment(ready, lanes.model())()

    def _ready_model(self) -> Model:
        """The model with its engines, loaded when the first input needs it.

        Raises:
            InputError: The machine cannot do what was asked.
        """
        if self.model is None:
            started = time.perf_counter()
            self.model = load_model(self.request.model_path, self.request.options.choice)
            self.run.load_seconds = time.perf_counter() - started
            self.run.engine = engine_facts(self.model)
            self.request.watcher.say(f"model {self.request.header.name}")
            _log.info("%s", self.run.engine.reason)  # of interest to few; in the report as well
            header = self.request.header
            for sentence in explain(steps_of(header, self.request.options.steps), header.classes):
                self.request.watcher.say(sentence)
        return self.model

    def _given_up(self, task: FileTask, error: Exception) -> Outcome:
        """What became of an input that failed, after whatever it has left is removed."""
        try:
            forget(self.request.out, task.name)
        except InputError as second:
            _log.warning("%s", second)
        self.records.pop(task.name, None)
        if isinstance(error, InputError | OSError):
            return failed(task.path, task.name, error)
        if isinstance(error, MemoryError):
            reason = f"{task.path}: memory ran out; allow less memory, so that windows are smaller, or cut the image"
            return failed(task.path, task.name, InputError(reason, argument="max_memory"))
        log = self.request.out / STATE_FOLDER / f"{task.name}.traceback.txt"
        try:
            write_text(log, "".join(traceback.format_exception(error)))
        except InputError as second:
            _log.warning("%s", second)
        what = " ".join(f"{type(error).__name__}: {error}".splitlines())[:200]
        reason = f"{task.path}: a fault of CellProof ({what}); please report it with {log}"
        return Outcome(task.path, task.name, "failed", reason=reason)
