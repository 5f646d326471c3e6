"""The code that the wrappers repeat is equal: their first lines, and each async wrapper and its plain counterpart."""

from __future__ import annotations

import ast
import inspect

import pytest

from scout_core.boundary import generator_wrappers, wrappers

FACTORIES = {
    node.name: node
    for module in (wrappers, generator_wrappers)
    for node in ast.parse(inspect.getsource(module)).body
    if isinstance(node, ast.FunctionDef) and [argument.arg for argument in node.args.args][:2] == ["function", "guard"]
    if node.name.startswith("_")
}


class WithoutAwait(ast.NodeTransformer):
    """Turns an async function into a plain one."""

    def visit_Await(self, node):
        return self.generic_visit(node).value

    def visit_AsyncFunctionDef(self, node):
        return ast.FunctionDef(**dict(ast.iter_fields(self.generic_visit(node))))


def plain(node: ast.AST) -> str:
    return ast.dump(WithoutAwait().visit(ast.parse(ast.unparse(node))))


def wrapper_in(factory: ast.FunctionDef) -> ast.FunctionDef | ast.AsyncFunctionDef:
    (wrapper,) = [node for node in factory.body if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]
    return wrapper


def lines_in(factory: ast.FunctionDef) -> list[ast.stmt]:
    return [line for line in wrapper_in(factory).body if not isinstance(line, ast.Nonlocal)]


def test_every_factory_is_known():
    assert {"_plain", "_async", "_stepped"} == {name for name in FACTORIES if not name.endswith("_with_result")}
    assert {f"{name}_with_result" for name in ("_plain", "_async", "_stepped")} < set(FACTORIES)
    assert 6 == len(FACTORIES)


@pytest.mark.parametrize("kind", ["", "_with_result"])
def test_an_async_wrapper_is_its_plain_counterpart_with_await(kind):
    plain_body, async_body = (ast.Module(FACTORIES[name + kind].body, []) for name in ("_plain", "_async"))

    assert plain(plain_body) == plain(async_body)
    assert isinstance(wrapper_in(FACTORIES[f"_async{kind}"]), ast.AsyncFunctionDef)
    assert isinstance(wrapper_in(FACTORIES[f"_plain{kind}"]), ast.FunctionDef)


@pytest.mark.parametrize("name", FACTORIES)
def test_every_wrapper_begins_with_the_same_lines(name):
    """Up to the call of the describer: the statements that look for the parent, decide, and return early."""
    first, own = (lines_in(FACTORIES[factory])[:3] for factory in ("_plain", name))

    assert plain(ast.Module(first, [])) == plain(ast.Module(own, []))
    assert "parent = _get()" == ast.unparse(own[0])
    assert [ast.Try, ast.If] == [type(statement) for statement in own[1:]]


@pytest.mark.parametrize("kind", ["", "_with_result"])
def test_a_wrapper_of_a_generator_function_describes_as_its_plain_counterpart_does(kind):
    """Up to the call of the original: a generator runs nothing then."""
    plain_body, own_body = (lines_in(FACTORIES[name + kind]) for name in ("_plain", "_stepped"))
    described = next(number for number, line in enumerate(plain_body) if isinstance(line, ast.With))

    assert plain(ast.Module(plain_body[:described], [])) == plain(ast.Module(own_body[:described], []))


@pytest.mark.parametrize("name", FACTORIES)
def test_every_call_of_an_async_function_is_awaited(name):
    """The comparison ignores ``await``."""
    calls = [
        node
        for node in ast.walk(wrapper_in(FACTORIES[name]))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "function"
    ]
    awaited = [node.value for node in ast.walk(FACTORIES[name]) if isinstance(node, ast.Await)]

    assert calls
    assert (calls if name.startswith("_async") else []) == awaited
