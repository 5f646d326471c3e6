"""Jinja2 itself, driven end to end."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import traceback
from pathlib import Path

import jinja2
import pytest
from jinja2.nativetypes import NativeEnvironment, NativeTemplate

import scout_core
from scout_core import span, transaction
from scout_core.testing import RecordedSpan, recording

PAGES = {
    "base.html": "<h1>{% block title %}{% endblock %}</h1>",
    "row.html": "<li>{{ item }}</li>",
    "macros.html": "{% macro price(value) %}{{ value }} €{% endmacro %}",
    "home.html": (
        "{% extends 'base.html' %}{% from 'macros.html' import price %}"
        "{% block title %}{{ price(3) }}{% for item in items %}{% include 'row.html' %}{% endfor %}{% endblock %}"
    ),
}
HOME = "<h1>3 €<li>tea</li><li>rum</li></h1>"


@pytest.fixture
def pages() -> jinja2.Environment:
    return jinja2.Environment(loader=jinja2.DictLoader(PAGES), autoescape=True)


@pytest.fixture
def async_pages() -> jinja2.Environment:
    return jinja2.Environment(loader=jinja2.DictLoader(PAGES), autoescape=True, enable_async=True)


def render(name: str | None, parent: str = "Controller/home", error: str | None = None) -> RecordedSpan:
    return RecordedSpan("Template/Render", {"name": name}, parent=parent, error=error)


def describer_calls(scout) -> int:
    return next(plugin.calls for plugin in scout.agent.plugin_statuses() if plugin.name == "jinja2")


def test_a_render_is_a_single_span_including_included_extended_and_imported_templates(scout, pages):
    with transaction("Controller/home"):
        text = pages.get_template("home.html").render(items=["tea", "rum"])

    assert HOME == text
    assert (render("home.html"),) == scout.transaction.spans


def test_a_template_made_from_a_string_has_no_name(scout):
    with transaction("Controller/home"):
        jinja2.Template("hello {{ name }}").render(name="Ada")

    assert (render(None),) == scout.transaction.spans


def test_a_render_within_a_render_is_its_child(scout, pages):
    """A helper may render a part of the page."""
    part = pages.from_string("{{ part() }}")

    with transaction("Controller/home"):
        part.render(part=lambda: pages.get_template("row.html").render(item="tea"))

    assert (render("row.html", parent="Template/Render"), render(None)) == scout.transaction.spans


def test_asynchronous_renders_are_children_of_the_code_that_awaits_them(scout, async_pages):
    async def page(name: str) -> str:
        with span(f"Page/{name}"):
            return await async_pages.get_template("home.html").render_async(items=["tea", "rum"])

    async def both() -> list[str]:
        with transaction("Controller/home"):
            return await asyncio.gather(page("left"), page("right"))

    texts = asyncio.run(both())

    assert [HOME, HOME] == texts
    assert {("Page/left", "Controller/home"), ("Page/right", "Controller/home")} == {
        (seen.operation, seen.parent) for seen in scout.spans if seen.operation != "Template/Render"
    }
    assert [render("home.html", "Page/left"), render("home.html", "Page/right")] == sorted(
        (seen for seen in scout.spans if seen.operation == "Template/Render"), key=lambda seen: seen.parent
    )


def test_a_plain_render_in_an_asynchronous_environment_is_a_single_span(scout, async_pages):
    """In such an environment, ``render`` runs ``render_async`` in its own loop."""
    with transaction("Controller/home"):
        text = async_pages.get_template("home.html").render(items=["tea", "rum"])

    assert HOME == text
    assert (render("home.html"),) == scout.transaction.spans


def test_native_templates_are_timed_too(scout):
    """``NativeTemplate`` overrides the methods of ``Template``."""
    plain, asynchronous = NativeEnvironment(), NativeEnvironment(enable_async=True)

    with transaction("Controller/home"):
        values = [
            plain.from_string("{{ [1, 2] }}").render(),
            asyncio.run(asynchronous.from_string("{{ {'a': 1} }}").render_async()),
        ]

    assert [[1, 2], {"a": 1}] == values
    assert (render(None), render(None)) == scout.transaction.spans


@pytest.mark.parametrize("name", ["template", "environment", "variables", "args", "kwargs", "span", "name"])
def test_a_variable_may_have_any_name(scout, async_pages, pages, name):
    with transaction("Controller/home"):
        texts = [
            pages.from_string(f"{{{{ {name} }}}}").render(**{name: "tea"}),
            asyncio.run(async_pages.from_string(f"{{{{ {name} }}}}").render_async(**{name: "tea"})),
        ]

    assert ["tea", "tea"] == texts
    assert (render(None), render(None)) == scout.transaction.spans


def boom() -> None:
    raise error


error = LookupError("no such cart")


@pytest.mark.parametrize("is_async", [False, True])
def test_the_error_of_a_template_passes_untouched(scout, pages, async_pages, is_async):
    template = (async_pages if is_async else pages).from_string("cart:\n{{ boom() }}")
    error.__context__ = error.__cause__ = error.__traceback__ = None

    with pytest.raises(LookupError) as caught, transaction("Controller/home"):
        asyncio.run(template.render_async(boom=boom)) if is_async else template.render(boom=boom)

    assert error is caught.value
    assert error.__context__ is None
    assert error.__cause__ is None
    assert [("<template>", 2), (__file__, boom.__code__.co_firstlineno + 1)] == [
        (frame.filename, frame.lineno) for frame in traceback.extract_tb(caught.value.__traceback__)[-2:]
    ]
    assert (render(None, error="LookupError"),) == scout.transaction.spans


def test_streamed_renders_are_not_recorded(scout, pages):
    """The time between two pieces is partly the consumer's."""
    template = pages.get_template("home.html")

    with transaction("Controller/home"):
        texts = ["".join(template.generate(items=["tea", "rum"])), "".join(template.stream(items=["tea", "rum"]))]

    assert [HOME, HOME] == texts
    assert () == scout.transaction.spans


def test_outside_a_transaction_nothing_is_recorded(scout, pages, async_pages):
    texts = [
        pages.get_template("home.html").render(items=["tea", "rum"]),
        async_pages.get_template("home.html").render(items=["tea", "rum"]),
    ]

    assert [HOME, HOME] == texts
    assert [] == scout.transactions
    assert 0 == describer_calls(scout)


def test_a_second_start_and_naming_the_plugin_do_not_wrap_twice(pages):
    with recording(plugins=["scout_jinja2"]) as scout:
        scout_core.start(name="Shop")
        with transaction("Controller/home"):
            pages.get_template("home.html").render(items=[])

        assert (render("home.html"),) == scout.transaction.spans


def test_stopping_the_agent_restores_the_originals():
    def methods() -> list[object]:
        return [
            vars(template)[name]
            for template in (jinja2.Template, NativeTemplate)
            for name in ("render", "render_async")
        ]

    before = methods()
    with recording():
        during = methods()
    after = methods()

    assert [] == [original for original, other in zip(before, during, strict=True) if original is other]
    assert [True] * 4 == [original is other for original, other in zip(before, after, strict=True)]


def test_the_agent_does_not_import_the_library():
    """Jinja2 is wrapped when the application imports it."""
    program = """
import sys
from scout_core import transaction
from scout_core.testing import recording

with recording() as scout:
    assert "jinja2" not in sys.modules
    import jinja2
    with transaction("Controller/home"):
        jinja2.Template("").render()
    print(scout.operations)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

    assert ("['Template/Render', 'Controller/home']\n", "", 0) == (done.stdout, done.stderr, done.returncode)


def test_the_example_of_the_readme(scout, capsys):
    readme = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
    *_, example = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)

    exec(compile(example, "README.md", "exec"), {})

    assert "Hello Ada,\n" == capsys.readouterr().out
    assert ["Template/Render", "Job/letters.write"] == scout.operations
