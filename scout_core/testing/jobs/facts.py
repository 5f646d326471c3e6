"""Rules of the jobs suite for one job: its facts, how long it waited, how it ended, and who published it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext

from scout_core.recording.span import Span
from scout_core.recording.transaction import Transaction
from scout_core.testing.checks import expect
from scout_core.testing.jobs import tasks as job_tasks
from scout_core.testing.jobs.bench import PUBLISH, PUBLISHER, JobBench, JobQueue
from scout_core.testing.scout import recording

_LONGEST = 60.0
_DELAY = 1.0


class FactRules(JobBench):
    """The tests."""

    def test_names(self) -> None:
        """A job is a transaction named after its task, without arguments, with its queue, its id and its outcome."""
        with self.benched() as bench:
            job = bench.only(job_tasks.work, 7)
            expect(self.operation(job_tasks.work), job.operation, "operation of the job")
            found = (job.tags.get("queue"), job.tags.get("outcome"), job.is_error)
            expect((self.queue_name, "success", False), found, "tags queue and outcome, and whether it is an error")
            if not job.tags.get("task_id"):
                raise AssertionError(f"the job has no tag task_id, only {job.tags}")
            spans = [(span.operation, span.parent, span.tags) for span in job.spans if span.operation == "Letter/Write"]
            expect([("Letter/Write", job.operation, {"number": 7})], spans, "spans of the task")

    def test_results(self) -> None:
        """The library does the same with the agent as without: each job is run once, in the same order."""
        for is_recorded in (False, True):
            with self.queue() as queue:
                self._run_all(queue, is_recorded=is_recorded)
                expect(
                    [1, 2, 3], job_tasks.done, f"jobs that were run, {'with' if is_recorded else 'without'} the agent"
                )
                expect(2, len(job_tasks.attempts), "attempts of a job that fails once")

    def _run_all(self, queue: JobQueue, *, is_recorded: bool) -> None:
        with recording(**self.settings) if is_recorded else nullcontext():
            for number in (1, 2):
                queue.publish(job_tasks.work, number)
            queue.publish(job_tasks.fail_once, retries=1)
            queue.publish(job_tasks.fail)
            queue.publish(job_tasks.work, 3)
            queue.work()

    def test_latency(self) -> None:
        """The queue time is what passes between the publish and the start of a job."""
        with self.benched() as bench:
            with Transaction(PUBLISHER) as publisher:
                bench.queue.publish(job_tasks.work, 1)
            began = publisher.started
            bench.queue.work()
            (job,) = bench.jobs(job_tasks.work)
            if job.queue_time is None:
                raise AssertionError("the job has no queue time")
            if not 0.0 <= job.queue_time <= _LONGEST:
                raise AssertionError(
                    f"the job has waited {job.queue_time} s; it was published at {began} and run at once"
                )

    def test_delay(self) -> None:
        """A job with a countdown does not wait before it is due."""
        with self.benched() as bench:
            job = bench.only(job_tasks.work, 1, delay=_DELAY)
            if job.queue_time is None:
                raise AssertionError("the job has no queue time")
            # A worker that looks for due jobs once a second may be a second late, but does not count the delay, too.
            if not 0.0 <= job.queue_time < _DELAY:
                raise AssertionError(f"a job that was due after {_DELAY} s has waited {job.queue_time} s")

    def test_failure(self) -> None:
        """An exception of the task is the error of its job, once."""
        with self.benched() as bench:
            job = bench.only(job_tasks.fail)
            errors = [(error.exception.rpartition(".")[2], error.handled) for error in job.errors]
            expect(("failure", True), (job.tags.get("outcome"), job.is_error), "outcome, and whether it is an error")
            expect([("TaskError", False)], errors, "recorded errors")

    def test_retry(self) -> None:
        """Each attempt is a transaction, and one that is tried again is not an error; its publisher is the attempt before."""
        with self.benched() as bench:
            attempts = bench.run(job_tasks.fail_once, retries=1)
            found = [(job.tags.get("outcome"), job.is_error) for job in attempts]
            expect([("retry", False), ("success", False)], found, "outcome of each attempt, and whether it is an error")
            numbers = [job.tags.get("attempt") for job in attempts]
            if numbers != [None, None]:  # a library may not count them
                expect([1, 2], numbers, "tag attempt of each attempt, which the plugin can leave out")
            first, second = attempts
            expect(1, len({job.trace_id for job in attempts}), "number of traces of both attempts")
            if second.parent_span_id not in (
                first.span_id,
                *(span.span_id for span in first.spans),
                first.parent_span_id,
            ):
                raise AssertionError("the second attempt names neither the first one nor its publisher as its caller")

    def test_control_flow(self) -> None:
        """Exceptions with which a task asks the library for something are not errors."""
        if not self.control_flow:
            raise AssertionError("set control_flow, or skip this test if the library has no such exceptions")
        for outcome, make in self.control_flow.items():
            with self.benched() as bench:
                job_tasks.raising[:] = [make]
                (job, *_) = bench.run(job_tasks.end_early)
                expect(
                    (outcome, False),
                    (job.tags.get("outcome"), job.is_error),
                    f"outcome of {make()!r}, and whether it is an error",
                )
                expect([], [error.exception for error in job.errors], f"recorded errors of {make()!r}")

    def test_link(self) -> None:
        """A job is a part of the trace of the request that published it, and names the span that did; it is not a part of it."""
        with self.benched() as bench:
            job = bench.only(job_tasks.work, 1)
            publisher = bench.publisher()
            callers = [publisher.span_id, *(span.span_id for span in publisher.spans)]
            expect(publisher.trace_id, job.trace_id, "trace of the job, which is that of its publisher")
            if job.parent_span_id not in callers:
                raise AssertionError(f"the job names {job.parent_span_id or 'nothing'} as its caller, not {PUBLISH}")
            inside = [span.operation for span in publisher.spans if span.operation == job.operation]
            expect([], inside, "jobs inside the request that published them")

    def test_chain(self) -> None:
        """A job that another one publishes names that one, and not the request that began it all."""
        with self.benched() as bench:
            job_tasks.publishing[:] = [lambda: bench.queue.publish(job_tasks.work, 1)]
            publisher = bench.only(job_tasks.publish)
            (job,) = bench.jobs(job_tasks.work)
            expect(publisher.trace_id, job.trace_id, "trace of the second job")
            if job.parent_span_id not in (publisher.span_id, *(span.span_id for span in publisher.spans)):
                raise AssertionError("the second job does not name the first one as its caller")

    def test_scheduled(self) -> None:
        """Jobs that are published outside a transaction, as by a scheduler, begin a trace each."""
        with self.benched() as bench:
            for number in (1, 2):
                bench.queue.publish(job_tasks.work, number)
            bench.queue.work()
            jobs = bench.jobs(job_tasks.work)
            expect([2, 2], [len(jobs), len({job.trace_id for job in jobs})], "number of jobs and of their traces")
            expect(["", ""], [job.parent_span_id for job in jobs], "callers of the jobs")

    def test_inline(self) -> None:
        """A task that runs where it is published is a span of that request, which does not fail because the task does."""
        with self.benched() as bench:
            with Transaction(PUBLISHER), Span(PUBLISH):
                bench.queue.run_inline(job_tasks.work, 7)
                bench.queue.run_inline(job_tasks.fail)
            request = bench.scout.transaction
            expect(
                (PUBLISHER, False),
                (request.operation, request.is_error),
                "operation of the request, and whether it is an error",
            )
            names = [self.operation(job_tasks.work), self.operation(job_tasks.fail)]
            expect(names, [span.operation for span in request.spans if span.operation in names], "spans of both tasks")

    def test_parallel(self) -> None:
        """Jobs that run at the same time have their own spans, and their own publishers."""
        with self.benched() as bench:
            traces: dict[int, str] = {}

            def order(number: int) -> None:
                with Transaction(PUBLISHER, number=number) as publisher:
                    bench.queue.publish(job_tasks.work, number)
                    traces[number] = publisher.trace_id

            with ThreadPoolExecutor(self.workers) as pool:
                list(pool.map(order, range(self.parallel)))
            if self.workers == 1:
                bench.queue.work()
            else:
                with ThreadPoolExecutor(self.workers) as pool:
                    for worked in [pool.submit(bench.queue.work) for _ in range(self.workers)]:
                        worked.result()
            jobs = bench.jobs(job_tasks.work)
            expect(self.parallel, len(jobs), "number of jobs")
            for job in jobs:
                numbers = [span.tags["number"] for span in job.spans if span.operation == "Letter/Write"]
                expect(1, len(numbers), "spans of the task in its own job")
                expect(traces[numbers[0]], job.trace_id, f"trace of job {numbers[0]}, which is that of its publisher")
