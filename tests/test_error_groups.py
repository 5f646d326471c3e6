"""Errors that are the same bug: neither lines, messages, wrappers nor recursion split or merge groups wrongly."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from collections.abc import Callable
from contextlib import suppress

import pytest

from scout_core import Transaction, transaction
from scout_core.application_code import ApplicationCode
from scout_core.measuring.error_groups import KEY_LENGTH, ErrorGroup, failure_group, identify
from scout_core.measuring.error_report import ErrorReport, RelatedException

if sys.version_info < (3, 11):
    from exceptiongroup import ExceptionGroup

pytestmark = pytest.mark.usefixtures("scout")


def error_of(call: Callable[[], object]) -> ErrorReport:
    """Return the error that leaves a transaction in which this is called."""
    home: Transaction = transaction("Controller/home")
    with suppress(Exception), home:
        call()
    (error,) = home.errors
    return error


def group_of(call: Callable[[], object]) -> ErrorGroup:
    return identify(error_of(call))


def compiled(source: str, file: str = "/srv/shop/cart.py") -> Callable[[], object]:
    """Return the function ``run`` of a module of the application."""
    names: dict[str, Callable[[], object]] = {}
    exec(compile(source, file, "exec"), names)
    return names["run"]


def report(**facts) -> ErrorReport:
    return ErrorReport(
        **{
            "exception": "ValueError",
            "message": "no",
            "frames": (("/srv/shop/cart.py", 7, "total"),),
            "in_app": (True,),
            **facts,
        }
    )


def unavailable() -> None:
    raise ConnectionError("no stock")


def test_a_group_is_class_root_cause_and_innermost_function_of_the_application():
    def fetch() -> None:
        try:
            unavailable()
        except ConnectionError as error:
            raise LookupError("cannot fetch") from error

    group = group_of(fetch)

    name = fetch.__qualname__ if sys.version_info >= (3, 11) else "fetch"
    place = f"{ApplicationCode().module_of(__file__)}:{name}"
    assert ("LookupError", "ConnectionError", place) == (group.exception, group.cause, group.place)
    assert f"LookupError from ConnectionError in {place}" == group.title
    assert re.fullmatch(f"[0-9a-f]{{{KEY_LENGTH}}}", group.key)


def test_the_report_of_an_error_has_the_key_of_its_group():
    error = error_of(unavailable)

    assert identify(error).key == error.group
    assert f"{ApplicationCode().module_of(__file__)}:unavailable" == error.where


def test_another_line_of_the_same_function_is_the_same_group():
    first, second = (group_of(compiled("\n" * lines + "def run():\n    raise ValueError('no')")) for lines in (0, 40))

    assert first == second


def test_another_line_that_was_called_from_elsewhere_is_the_same_group():
    def first() -> None:
        unavailable()

    def another() -> None:
        unavailable()

    assert group_of(first) == group_of(another)


@pytest.mark.parametrize(
    "changes",
    [
        {"exception": "KeyError"},
        {"frames": (("/srv/shop/cart.py", 7, "add"),)},
        {"frames": (("/srv/shop/order.py", 7, "total"),)},
        {"related": (RelatedException(exception="OSError", message="", frames=(), parent=0, relation="cause"),)},
    ],
    ids=["class", "function", "module", "cause"],
)
def test_another_class_function_module_or_cause_is_another_group(changes):
    assert identify(report()).key != identify(report(**changes)).key


def test_messages_with_ids_do_not_split_a_group():
    def refused(order: int) -> None:
        raise ValueError(f"order {order} is paid")

    assert group_of(lambda: refused(17)) == group_of(lambda: refused(4_711))


def test_two_wrapped_errors_of_other_causes_are_two_groups():
    def retried(cause: Exception) -> None:
        try:
            raise cause
        except Exception as error:
            raise RuntimeError("gave up") from error

    first, second, third = (
        group_of(lambda cause=cause: retried(cause)) for cause in (OSError(), ValueError(), OSError())
    )

    assert (["OSError", "ValueError"], True) == ([first.cause, second.cause], first == third)
    assert first.key != second.key


def test_the_context_counts_unless_it_is_suppressed():
    def cleaning() -> None:
        try:
            raise OSError
        except OSError:
            raise ValueError  # noqa: B904

    def hiding() -> None:
        try:
            raise OSError
        except OSError:
            raise ValueError from None

    assert ["OSError", ""] == [group_of(call).cause for call in (cleaning, hiding)]


def test_exceptions_that_refer_to_each_other_have_a_group():
    def circular() -> None:
        first, second = ValueError(), OSError()
        first.__cause__, second.__cause__ = second, first
        raise first

    assert "OSError" == group_of(circular).cause


def test_a_report_whose_exceptions_refer_to_each_other_has_a_group():
    related = tuple(
        RelatedException(exception="OSError", message="", frames=(), parent=parent, relation="cause")
        for parent in (2, 1)
    )

    assert "" == identify(report(related=related)).cause


def test_of_an_exception_group_the_classes_of_its_members_count_in_any_order():
    def tasks(*errors: Exception) -> Callable[[], object]:
        def run() -> None:
            raise ExceptionGroup("tasks", errors)

        return run

    groups = [
        group_of(tasks(KeyError("a"), ExceptionGroup("more", [ValueError("b"), ValueError("c")]))),
        group_of(tasks(ValueError("d"), KeyError("e"))),
        group_of(tasks(ValueError("d"))),
    ]

    assert [("KeyError", "ValueError"), ("KeyError", "ValueError"), ("ValueError",)] == [it.members for it in groups]
    assert ["ExceptionGroup"] * 3 == [it.exception for it in groups]
    assert (2, "ExceptionGroup of KeyError, ValueError in ") == (
        len({it.key for it in groups}),
        groups[0].title[: groups[0].title.index(" in ") + 4],
    )


def test_a_group_with_more_classes_than_count_has_a_group():
    related = tuple(
        RelatedException(exception=f"shop.E{letter}", message="", frames=(), parent=0, relation="member")
        for letter in "gfedcba"
    )

    assert tuple(f"shop.E{letter}" for letter in "abcde") == identify(report(related=related)).members


@pytest.mark.skipif(sys.version_info < (3, 11), reason="not on Python before 3.11, which has no TaskGroup")
def test_errors_of_tasks_are_placed_where_the_application_waits_for_them():
    async def shop() -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(asyncio.to_thread(unavailable))

    assert group_of(lambda: asyncio.run(shop())).place.endswith("<locals>.shop")


@pytest.mark.parametrize(
    "body",
    [
        "[int(word) for word in ['x']]",
        "{int(word) for word in ['x']}",
        "{int(word): 1 for word in ['x']}",
        "list(int(word) for word in ['x'])",
        "[[int(inner) for inner in word] for word in ['x']]",
        "(lambda: int('x'))()",
        "list(map(lambda word: int(word), ['x']))",
        "sorted(['x'], key=lambda word: int(word))",
        "int('x')",
    ],
)
def test_comprehensions_and_lambdas_stand_for_the_function_around_them(body):
    # Since Python 3.12 a comprehension has no frame of its own.
    assert "cart:run" == group_of(compiled(f"def run():\n    {body}")).place


def test_a_lambda_that_a_library_calls_is_itself_the_place():
    lonely = report(
        frames=(("/srv/shop/cart.py", 3, "<lambda>"), ("/srv/shop/jobs.py", 9, "work")), in_app=(True, True)
    )

    assert "cart:<lambda>" == identify(lonely).place


def test_the_depth_of_a_recursion_does_not_split_a_group():
    def down(levels: int) -> None:
        if not levels:
            raise ValueError
        down(levels - 1)

    assert group_of(lambda: down(1)) == group_of(lambda: down(200))


def test_a_stack_that_is_full_is_one_group_wherever_it_was_full():
    source = (
        "def run(n={0}):\n    return even(n)\ndef even(n):\n    return odd(n + 1)\ndef odd(n):\n    return even(n + 1)"
    )
    pad = "def run():\n    return first()\ndef first():\n    return even(0)\n" + source[source.index("def even") :]

    groups = [group_of(compiled(text)) for text in (source.format(0), pad)]

    assert ["RecursionError"] * 2 == [group.exception for group in groups]
    assert groups[0].key == groups[1].key


def test_generated_code_is_not_the_place():
    frames = (("<attrs generated init shop.Cart>", 3, "__init__"), ("/srv/shop/cart.py", 9, "add"))

    assert "cart:add" == identify(report(frames=frames, in_app=(False, True))).place


def test_an_error_without_code_of_the_application_is_grouped_by_its_message():
    library = {"frames": (("/usr/lib/site-packages/redis/client.py", 7, "execute"),), "in_app": (False,)}
    texts = (
        "Timeout after 30 s for key user:17",
        "Timeout after 5 s for key user:4711",
        "Timeout after 5 s for key session",
        "Connection refused",
    )
    groups = [identify(report(**library, message=text)) for text in texts]

    assert groups[0].key == groups[1].key
    assert (3, "client:execute", "Timeout after ? s for key ?") == (
        len({group.key for group in groups}),
        groups[0].place,
        groups[0].template,
    )


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("no row 123e4567-e89b-12d3-a456-426614174000", "no row 9f1c2d3e-0000-4000-8000-0123456789ab"),
        ("at 0x7f3a21c0 of None", "at 0x55aa10 of None"),
        ("date 2026-11-30T10:00:00+01:00", "date 2025-01-01T00:00:00Z"),
        ("ids [1, 2, 3]", "ids [9]"),
        ("key 'plan'", "key 'price'"),
        ('name "ann smith"', 'name "bo"'),
        ("took 1.5 s", "took 1e-3 s"),
    ],
)
def test_values_in_such_messages_do_not_split_groups(first, second):
    first, second = (identify(report(frames=(), in_app=(), message=text)) for text in (first, second))

    assert first == second
    assert "" == first.place


def test_an_agent_that_does_not_know_the_application_is_grouped_by_message_too():
    first, second = (identify(report(in_app=(), message=text)) for text in ("full", "empty"))

    assert first.key != second.key


@pytest.mark.parametrize(
    ("first", "second", "are_same"),
    [
        ("shop.Timeout_8f3a91c2", "shop.Timeout_00be41d7", True),
        ("shop.Model123456", "shop.Model98765", True),
        ("shop.make.<locals>.Refused", "shop.make.<locals>.Refused", True),
        ("django.http.Http404", "django.http.Http403", False),
        ("boto.S3Error", "boto.S4Error", False),
        ("shop.Decade", "shop.Facade", False),
        ("exceptiongroup.ExceptionGroup", "ExceptionGroup", True),
    ],
)
def test_classes_made_at_run_time_do_not_split_groups(first, second, are_same):
    assert are_same == (identify(report(exception=first)).key == identify(report(exception=second)).key)


@pytest.mark.parametrize("name", ["Bad\nName" * 200, "Bad\ud800", ""])
def test_a_class_with_a_hostile_name_has_a_group(name):
    assert KEY_LENGTH == len(identify(report(exception=name)).key)


def test_a_key_does_not_depend_on_process_or_folder():
    first = identify(report(frames=(("/srv/releases/20261130/shop/cart.py", 7, "total"),)))
    second = identify(report(frames=(("C:\\shop\\cart.py", 9, "total"),)))

    assert first.key == second.key == "ac6b4fc145dd"


def test_an_error_of_a_library_is_placed_in_the_function_that_calls_it():
    def read() -> object:
        return json.loads("{")

    assert group_of(read).place.endswith("read")


def test_failures_without_an_exception_are_grouped_by_name():
    first, same, second = (failure_group(name) for name in ("Controller/a", "Controller/a", "Controller/b"))

    assert (True, False) == (first == same, first.key == second.key)
    assert "no exception in Controller/a" == first.title


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("<string>", "<string>"),
        ("/nowhere/releases/17/cart.py", "cart"),
        ("/nowhere/shop/__init__.py", "shop"),
        (json.__file__, "json"),
        (os.path.join(os.path.dirname(json.__file__), "decoder.py"), "json.decoder"),
    ],
)
def test_a_module_is_named_without_the_folder_that_it_is_found_in(file, expected):
    assert expected == ApplicationCode().module_of(file)
