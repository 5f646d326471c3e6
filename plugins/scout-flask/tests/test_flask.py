"""Flask itself, driven end to end, over real sockets where HTTP matters."""

from __future__ import annotations

import functools
import subprocess
import sys
import traceback
from types import ModuleType

import flask
import pytest
from flask.views import MethodView
from itsdangerous import TimestampSigner
from werkzeug.middleware.dispatcher import DispatcherMiddleware

import scout_core
from scout_core import current_transaction, hookimpl, span, transaction
from scout_core.testing import RecordedSpan, RecordedTransaction, recording

HERE = __name__
LOCAL = "127.0.0.1"


def web(view: str, path: str, *, spans: tuple[RecordedSpan, ...] = (), is_error: bool = False) -> RecordedTransaction:
    tags = {"path": path, "user_ip": LOCAL}
    if is_error:
        tags = {"error": True, **tags}
    return RecordedTransaction(f"Controller/{HERE}.{view}", tags, spans=spans, is_error=is_error)


def names(scout) -> list[str]:
    return [seen.operation.removeprefix(f"Controller/{HERE}.") for seen in scout.transactions]


def new_app(name: str = "shop") -> flask.Flask:
    app = flask.Flask(name)
    app.logger.disabled = True
    app.secret_key = "not a secret"

    @app.get("/")
    def home():
        with span("Cart/Load"):
            return "home"

    return app


@pytest.fixture
def app() -> flask.Flask:
    return new_app()


def test_a_request_is_a_transaction_named_after_its_view(scout, app, serve):
    ask = serve(app)

    assert b"home" == ask("GET", "/").body
    assert b"home" == ask("GET", "/?token=secret&page=2").body
    load = RecordedSpan("Cart/Load", parent=f"Controller/{HERE}.home")
    assert [
        web("home", "/", spans=(load,)),
        web("home", "/?page=2&token=[FILTERED]", spans=(load,)),
    ] == scout.transactions


def test_head_and_options_are_requests_of_the_view(scout, app, serve):
    ask = serve(app)

    assert (200, b"") == (ask("HEAD", "/").status, ask("OPTIONS", "/").body)
    assert ["home", "home"] == names(scout)


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/nothing", 404), ("POST", "/", 405), ("GET", "/folder", 308)]
)
def test_a_request_without_a_view_is_not_recorded(scout, app, serve, method, path, status):
    """An unknown path, a method that the path does not support, and the redirect to the canonical URL."""
    app.add_url_rule("/folder/", "folder", lambda: "folder")

    assert status == serve(app)(method, path).status
    assert [] == scout.transactions


@pytest.mark.scout(trust_incoming_trace=False)
def test_where_callers_are_not_trusted_a_request_begins_its_own_trace(scout, app, serve):
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    sent = []

    @app.get("/call")
    def call():
        sent.append(scout_core.trace_headers())
        return "called"

    caller = {"Traceparent": f"00-{trace}-00f067aa0ba902b7-00", "Tracestate": "vendor=1"}
    assert b"called" == serve(app)("GET", "/call", caller).body
    (own,) = scout.transactions
    assert trace != own.trace_id
    assert ("", 32) == (own.parent_span_id, len(own.trace_id))
    assert {"traceparent"} == sent[0].keys()
    assert [own.trace_id, "03"] == sent[0]["traceparent"].split("-")[1::2]


def test_the_path_includes_the_prefix_that_the_application_is_mounted_at(scout, app, serve):
    ask = serve(DispatcherMiddleware(flask.Flask("outer"), {"/shop": app}))

    assert b"home" == ask("GET", "/shop/").body
    assert ["/shop/"] == [seen.tags["path"] for seen in scout.transactions]


@pytest.mark.scout(ignore=["/health"])
def test_an_ignored_path_is_ignored_before_anything_is_recorded(scout, app, serve):
    seen = []

    @app.get("/health/<part>")
    def health(part):
        with span("Check/Disk") as check:
            seen.append((current_transaction(), check.transaction))
        return "well"

    ask = serve(app)

    assert b"well" == ask("GET", "/health/disk").body
    assert b"home" == ask("GET", "/").body
    assert [(None, None)] == seen
    assert ["home"] == names(scout)
    assert [(f"Controller/{HERE}.health", "by path")] == scout.ignored


class Raw:
    def __call__(self) -> str:
        return "raw"


class Orders(MethodView):
    def get(self) -> str:
        return "orders"


def logged(function):
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        return function(*args, **kwargs)

    return wrapper


def greet(word: str) -> str:
    return word


def test_names_of_views(scout, app):
    """Views without a name are named after their endpoint."""

    @app.get("/decorated", endpoint="something")
    @logged
    def decorated():
        return "decorated"

    app.add_url_rule("/orders", view_func=Orders.as_view("orders"))
    app.add_url_rule("/raw", "raw_endpoint", Raw())
    app.add_url_rule("/greet", "greet_hello", functools.partial(greet, "hello"))
    app.add_url_rule("/short", "short", lambda: "short")
    client = app.test_client()

    for path in ("decorated", "orders", "raw", "greet", "short"):
        assert 200 == client.get(f"/{path}").status_code
    assert ["decorated", "orders", "Controller/raw_endpoint", "Controller/greet_hello", "short"] == names(scout)


def test_lambdas_of_the_same_module_have_different_names(scout, app):
    """Flask's view for static files is a lambda."""
    app.add_url_rule("/one", "one", lambda: "1")
    app.add_url_rule("/two", "two", lambda: "2")
    client = app.test_client()
    for path in ("/one", "/two", "/static/nothing.css"):
        client.get(path)

    assert [f"Controller/{HERE}.one", f"Controller/{HERE}.two", "Controller/flask.app.static"] == [
        seen.operation for seen in scout.transactions
    ]


class Section:
    """Bound methods as views, as Flask-Admin has them."""

    def __init__(self, name: str) -> None:
        self.blueprint = flask.Blueprint(name, HERE, url_prefix=f"/{name}")
        self.blueprint.add_url_rule("/", "index", self.index)
        self.blueprint.add_url_rule("/all", "index", self.index)
        self.blueprint.add_url_rule("/own", f"own_{name}", getattr(self, f"own_{name}", self.index))

    def index(self) -> str:
        return self.blueprint.name


def unwrapped(function):
    def wrapper(*args, **kwargs):
        return function(*args, **kwargs)

    return wrapper


def page(word: str):
    def show() -> str:
        return word

    return show


def test_different_views_of_the_same_name_are_named_after_their_endpoints(scout, app):
    """Views from a factory, bound methods, wrappers without ``functools.wraps``; each of them, once, keeps its own name."""
    app.add_url_rule("/terms", "terms", page("terms"))
    app.add_url_rule("/help", "help", page("help"))
    app.add_url_rule("/in", "sign_in", unwrapped(greet), defaults={"word": "in"})
    app.add_url_rule("/out", "sign_out", unwrapped(greet), defaults={"word": "out"})
    for name in ("users", "posts"):
        app.register_blueprint(Section(name).blueprint)
    client = app.test_client()
    paths = ("terms", "help", "in", "out", "users/", "users/all", "posts/", "users/own", "")

    assert ["terms", "help", "in", "out", "users", "users", "posts", "users", "home"] == [
        client.get(f"/{path}").text for path in paths
    ]
    assert [
        *("Controller/terms", "Controller/help", "Controller/sign_in", "Controller/sign_out"),
        *(
            "Controller/users.index",
            "Controller/users.index",
            "Controller/posts.index",
            "Controller/users.index",
            "home",
        ),
    ] == names(scout)


def test_a_view_keeps_its_name_at_several_endpoints(scout, app):
    shop = flask.Blueprint("shop", HERE)
    shop.add_url_rule("/cart", "cart", divide)
    show = page("shown")
    app.register_blueprint(shop, url_prefix="/a")
    app.register_blueprint(shop, url_prefix="/b", name="other")
    app.add_url_rule("/show", "show", show)
    app.add_url_rule("/again", "again", show)
    client = app.test_client()

    for path in ("/a/cart", "/b/cart", "/show", "/again"):
        client.get(path)
    assert ["divide", "divide", "show", "show"] == names(scout)


def test_a_view_whose_name_cannot_be_read_costs_only_its_name(scout, app):
    class Broken:
        @property
        def __name__(self):
            raise RuntimeError("no name")

        def __call__(self):
            return "broken"

    app.view_functions["broken"] = Broken()
    app.add_url_rule("/broken", "broken")
    client = app.test_client()

    for _ in range(12):
        client.get("/broken")  # before Python 3.12, Flask itself cannot call such a view
    client.get("/")
    assert ["Controller/broken"] * 12 + ["home"] == names(scout)


@pytest.mark.parametrize("error", [RuntimeError, SystemExit, GeneratorExit])
def test_an_endpoint_that_raises_when_it_is_described_does_not_end_the_recording_of_others(app, error):
    """Flask names it by a property of the rule, which an application may define."""

    class Rule(app.url_rule_class):
        raises = False

        @property
        def endpoint(self):
            if self.raises and sys._getframe(1).f_code.co_name == "dispatch":
                raise error("no endpoint")
            return vars(self)["endpoint"]

        @endpoint.setter
        def endpoint(self, endpoint):
            vars(self)["endpoint"] = endpoint

    app.url_rule_class = Rule
    app.add_url_rule("/bad", "bad", lambda: "bad")
    app.add_url_rule("/good", "good", lambda: "good")
    for rule in app.url_map.iter_rules():
        rule.raises = rule.rule == "/bad"
    client = app.test_client()
    with recording(plugins_reraise=False) as scout:
        for _ in range(110):
            assert b"bad" == client.get("/bad").data
        client.get("/good")

        assert [f"Controller/{HERE}.good"] == scout.operations
        (flask_plugin,) = [plugin for plugin in scout.agent.plugin_statuses() if plugin.name == "flask"]
        assert ("active", 110) == (flask_plugin.state, flask_plugin.errors)
        assert flask_plugin.last_error.endswith("in endpoint (code of the application, counted once)")


def test_applications_do_not_share_endpoints(scout):
    for word in ("one", "two"):
        other = flask.Flask(word)
        other.add_url_rule("/", "index", page(word))
        if word == "two":
            other.add_url_rule("/more", "more", page("more"))
        other.test_client().get("/")

    assert ["show", "Controller/index"] == names(scout)


def test_an_application_is_recorded_whose_class_another_agent_has_replaced_since(monkeypatch):
    """OpenTelemetry puts a subclass of its own under ``flask.Flask``."""

    class Instrumented(flask.Flask):
        pass

    app = new_app()
    monkeypatch.setattr(flask, "Flask", Instrumented)
    with recording() as scout:
        app.test_client().get("/")
        new_app().test_client().get("/")

        assert ["home", "home"] == names(scout)


def test_a_target_whose_class_another_agent_has_replaced_is_reported(monkeypatch):
    class Instrumented(flask.Flask):
        pass

    by_old_name = ModuleType("by_old_name")
    by_old_name.instrument = hookimpl(
        lambda wrap: wrap("flask:Flask.preprocess_request", lambda app, *context: span("Before/All"))
    )
    app = new_app()
    monkeypatch.setattr(flask, "Flask", Instrumented)
    with recording(plugins=[by_old_name], plugins_disable=["flask"]) as scout:
        with transaction("Job/once"):
            app.test_client().get("/")
        (status,) = [status for status in scout.agent.plugin_statuses() if status.name == "by_old_name"]

        assert ["Before/All", "Cart/Load", "Job/once"] == scout.operations
    (problem,) = status.problems
    assert ("active", "replaced-class", "flask:Flask.preprocess_request") == (
        status.state,
        problem.kind,
        problem.subject,
    )
    assert (
        f"{HERE}.{Instrumented.__qualname__} has replaced the class of flask:Flask.preprocess_request" in status.reason
    )


def test_a_route_whose_view_is_missing_is_recorded_under_its_endpoint(scout, app):
    app.add_url_rule("/later", "later")

    assert 500 == app.test_client().get("/later").status_code
    assert [("Controller/later", "KeyError")] == [(seen.operation, seen.error) for seen in scout.transactions]


def test_views_of_blueprints_are_named_like_all_others(scout, app):
    outer, inner = (
        flask.Blueprint("outer", HERE, url_prefix="/outer"),
        flask.Blueprint("inner", HERE, url_prefix="/inner"),
    )

    @outer.get("/a")
    def in_outer():
        return "a"

    @inner.get("/b")
    def in_inner():
        return "b"

    outer.register_blueprint(inner)
    app.register_blueprint(outer)
    client = app.test_client()

    assert ["a", "b"] == [client.get(path).text for path in ("/outer/a", "/outer/inner/b")]
    assert ["in_outer", "in_inner"] == names(scout)


def test_functions_before_the_request_are_a_span_if_they_apply(scout, app):
    outer, inner = (
        flask.Blueprint("outer", HERE, url_prefix="/outer"),
        flask.Blueprint("inner", HERE, url_prefix="/inner"),
    )
    other = flask.Blueprint("other", HERE, url_prefix="/other")
    outer.add_url_rule("/", "view", lambda: "")
    inner.add_url_rule("/", "view", lambda: "")
    other.add_url_rule("/", "view", lambda: "")

    @outer.before_request
    def authenticate():
        with span("Auth/Check"):
            pass

    outer.register_blueprint(inner)
    app.register_blueprint(outer)
    app.register_blueprint(other)
    client = app.test_client()
    for path in ("/", "/outer/", "/outer/inner/", "/other/"):
        client.get(path)

    def before(view):
        parent = f"Controller/{HERE}.{view}"
        return RecordedSpan("Auth/Check", parent="PreprocessRequest"), RecordedSpan("PreprocessRequest", parent=parent)

    inside = [before("outer.view"), before("outer.inner.view"), ()]
    assert inside == [seen.spans for seen in scout.transactions[1:]]


def test_a_function_before_the_request_that_returns_a_response(scout, app):
    app.before_request(lambda: ("closed", 503))

    assert 503 == app.test_client().get("/").status_code
    parent = f"Controller/{HERE}.home"
    assert [
        web("home", "/", spans=(RecordedSpan("PreprocessRequest", parent=parent),), is_error=True)
    ] == scout.transactions


def test_a_function_before_the_request_that_raises(scout, app):
    @app.before_request
    def refuse():
        raise PermissionError("no")

    assert 500 == app.test_client().get("/").status_code
    (seen,) = scout.transactions
    assert ("PermissionError", "PermissionError", True) == (seen.error, seen.spans[0].error, seen.is_error)


@pytest.mark.parametrize(
    ("status", "is_error"),
    [(200, False), (302, False), (400, False), (404, False), (500, True), (503, True), (599, True)],
)
def test_statuses_of_500_and_above_are_errors(scout, app, serve, status, is_error):
    app.add_url_rule("/answer", "answer", lambda: ("", status, {"Location": "/"}))

    assert status == serve(app)("GET", "/answer").status
    assert is_error == scout.transaction.is_error
    assert ({"error": True} if is_error else {}).items() <= scout.transaction.tags.items()
    assert is_error == ("error" in scout.transaction.tags)


@pytest.mark.parametrize(("code", "is_error"), [(401, False), (404, False), (410, False), (500, True), (503, True)])
def test_the_status_of_an_abort_decides_whether_it_is_an_error(scout, app, code, is_error):
    app.add_url_rule("/abort", "abort", lambda: flask.abort(code))

    assert code == app.test_client().get("/abort").status_code
    assert (is_error, None) == (scout.transaction.is_error, scout.transaction.error)


def divide() -> str:
    return str(1 / 0)


@pytest.mark.parametrize(("status", "is_error"), [(200, False), (422, False), (502, True)])
def test_the_status_of_a_handled_error_decides_whether_it_is_an_error(scout, app, status, is_error):
    app.add_url_rule("/divide", "divide", divide)
    app.register_error_handler(ZeroDivisionError, lambda error: ("handled", status))

    assert status == app.test_client().get("/divide").status_code
    assert (is_error, None) == (scout.transaction.is_error, scout.transaction.error)


def test_a_handler_that_raises_is_an_error(scout, app):
    app.add_url_rule("/divide", "divide", divide)

    @app.errorhandler(ZeroDivisionError)
    def handle(error):
        raise LookupError("no page for that")

    assert 500 == app.test_client().get("/divide").status_code
    assert "LookupError" == scout.transaction.error


def failing(app: flask.Flask) -> ZeroDivisionError:
    app.testing = True
    with pytest.raises(ZeroDivisionError) as caught:
        app.test_client().get("/divide")
    return caught.value


def seen_of(error: BaseException) -> list[object]:
    """Everything that an application can see of an error, without our frames."""
    frames = [
        (frame.filename, frame.lineno)
        for frame in traceback.extract_tb(error.__traceback__)
        if "scout_core" not in frame.filename
    ]
    return [type(error), error.args, error.__cause__, error.__context__, error.__suppress_context__, frames]


def test_an_error_of_a_view_passes_untouched():
    app = new_app()
    app.add_url_rule("/divide", "divide", divide)
    expected = failing(app)
    with recording() as scout:
        error = failing(app)

        assert seen_of(expected) == seen_of(error)
        assert "divide" == traceback.extract_tb(error.__traceback__)[-1].name
        assert [("Controller/" + HERE + ".divide", "ZeroDivisionError", True)] == [
            (seen.operation, seen.error, seen.is_error) for seen in scout.transactions
        ]


def test_an_asynchronous_view(scout, app, serve):
    @app.get("/async")
    async def asynchronous():
        with span("Part/One"):
            return "async"

    @app.get("/async-error")
    async def asynchronous_error():
        raise LookupError("no such part")

    ask = serve(app)

    assert (b"async", 500) == (ask("GET", "/async").body, ask("GET", "/async-error").status)
    good, bad = scout.transactions
    assert web("asynchronous", "/async", spans=(RecordedSpan("Part/One", parent=good.operation),)) == good
    assert ("LookupError", True) == (bad.error, bad.is_error)


def test_the_order_of_events_and_which_of_them_the_transaction_includes(scout, app):
    order = []

    def note(what):
        def noted(*args):
            order.append((what, current_transaction() is not None))
            return args[0] if what == "after" else None

        return noted

    app.before_request(note("before"))
    app.after_request(note("after"))
    app.teardown_request(note("teardown"))
    app.teardown_appcontext(note("teardown of the context"))
    app.add_url_rule("/order", "order", lambda: note("view")() or "")

    app.test_client().get("/order")

    assert [
        ("before", True),
        ("view", True),
        ("after", True),
        ("teardown", False),
        ("teardown of the context", False),
    ] == order


def test_a_client_that_keeps_the_context_of_its_request(scout, app):
    with app.test_client() as client:
        client.get("/?page=1")
        assert "1" == flask.request.args["page"]
        client.get("/?page=2")
        assert "2" == flask.request.args["page"]
        assert current_transaction() is None

    assert ["/?page=1", "/?page=2"] == [seen.tags["path"] for seen in scout.transactions]


def test_an_application_that_another_application_calls_is_a_span(scout, app):
    inner = flask.Flask("inner")

    @inner.get("/")
    def inside():
        return "inside", 500

    @app.get("/outside")
    def outside():
        return inner.test_client().get("/").text

    assert "inside" == app.test_client().get("/outside").text
    inside_span = RecordedSpan(f"Controller/{HERE}.inside", {"error": True}, parent=f"Controller/{HERE}.outside")
    assert [web("outside", "/outside", spans=(inside_span,))] == scout.transactions


def varied_app() -> flask.Flask:
    """An application with a view for each way in which Flask can respond."""
    app = new_app()
    outer, inner = (
        flask.Blueprint("outer", HERE, url_prefix="/outer"),
        flask.Blueprint("inner", HERE, url_prefix="/inner"),
    )
    app.add_url_rule("/folder/", "folder", lambda: "folder")
    app.add_url_rule("/json", "json", lambda: {"ä": [1, 2, None]})
    app.add_url_rule("/text", "text", lambda: ("naïve", 201, {"X-Kind": "text", "Vary": "Accept"}))
    app.add_url_rule("/redirect", "redirect", lambda: flask.redirect("/folder/"))
    app.add_url_rule("/abort/<int:code>", "abort", lambda code: flask.abort(code))
    app.add_url_rule("/divide", "divide", divide)
    app.add_url_rule("/handled", "handled", lambda: {}["key"])
    app.add_url_rule("/echo/<path:path>", "echo", lambda path: flask.request.data + path.encode(), methods=["PUT"])
    app.add_url_rule("/stream", "stream", lambda: flask.Response(str(piece) for piece in range(5)))
    app.add_url_rule("/file", "file", lambda: flask.send_file(__file__, mimetype="text/plain"))
    inner.add_url_rule("/deep", "deep", lambda: flask.url_for(".deep"))
    outer.register_blueprint(inner)
    app.register_blueprint(outer)
    app.register_error_handler(KeyError, lambda error: (f"no {error}", 418))

    @app.get("/async")
    async def asynchronous():
        return "async"

    @app.get("/count")
    def count():
        flask.session["count"] = 1
        return "counted"

    @app.after_request
    def mark(response):
        response.headers["X-Marked"] = "yes"
        return response

    return app


REQUESTS = [
    *(("GET", path) for path in ("/", "/json", "/text", "/redirect", "/divide", "/handled", "/stream", "/file", "/count")),
    *(("GET", path) for path in ("/async", "/folder/", "/outer/inner/deep", "/?a=b&token=c")),
    *(("GET", f"/abort/{code}") for code in (400, 401, 404, 405, 418, 500, 503)),
    *(("HEAD", path) for path in ("/", "/file", "/stream")),
    *(("OPTIONS", path) for path in ("/", "/echo/a")),
    ("PUT", "/echo/gr%C3%BC%C3%9Fe/%F0%9F%8D%B5"),
    ("PUT", "/echo/%ff%00"),
    *(WITHOUT_A_VIEW := [
        ("GET", "/folder"),
        ("GET", "/nothing"),
        ("HEAD", "/nothing"),
        ("OPTIONS", "/nothing"),
        ("POST", "/"),
        ("DELETE", "/json"),
    ]),
]  # fmt: skip


def test_every_byte_of_every_response_is_the_same_with_and_without_the_agent(serve, monkeypatch):
    """Except for the date; the time in the signature of a session is frozen here."""
    monkeypatch.setattr(TimestampSigner, "get_timestamp", lambda signer: 1_700_000_000)
    ask = serve(varied_app())

    def answers() -> list[object]:
        return [ask(method, path, body=b"tea" if method == "PUT" else None) for method, path in REQUESTS]

    before = answers()
    with recording() as scout:
        during = answers()
        recorded = names(scout)
    after = answers()

    assert before == during
    assert before == after
    assert {200, 201, 302, 308, 400, 401, 404, 405, 418, 500, 503} == {answer.status for answer in before}
    assert len(REQUESTS) - len(WITHOUT_A_VIEW) == len(recorded)


def test_a_second_start_and_naming_the_plugin_do_not_wrap_twice(app):
    with recording(plugins=["scout_flask"]) as scout:
        scout_core.start(name="Shop")
        app.test_client().get("/")

        assert [
            web("home", "/", spans=(RecordedSpan("Cart/Load", parent=f"Controller/{HERE}.home"),))
        ] == scout.transactions


def test_without_a_request_there_is_nothing_to_record(scout, app):
    with app.app_context(), app.test_request_context("/"):
        pass

    assert [] == scout.transactions


def test_a_request_within_a_transaction_of_the_application_is_a_span(scout, app):
    with transaction("Job/warm.up"):
        app.test_client().get("/")

    assert ["Cart/Load", f"Controller/{HERE}.home", "Job/warm.up"] == scout.operations


def test_stopping_the_agent_restores_the_originals():
    def methods() -> list[object]:
        return [vars(flask.Flask)[name] for name in ("full_dispatch_request", "preprocess_request")]

    before = methods()
    with recording():
        during = methods()
    after = methods()

    assert [] == [original for original, other in zip(before, during, strict=True) if original is other]
    assert [True, True] == [original is other for original, other in zip(before, after, strict=True)]


def test_the_agent_does_not_import_the_library():
    """Flask is wrapped when the application imports it."""
    program = """
import sys
from scout_core.testing import recording

with recording() as scout:
    assert "flask" not in sys.modules
    import flask
    app = flask.Flask("shop")
    app.add_url_rule("/", "home", lambda: "")
    app.test_client().get("/")
    print(scout.operations)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

    assert ("['Controller/__main__.home']\n", "", 0) == (done.stdout, done.stderr, done.returncode)


@pytest.mark.parametrize(
    ("rates", "recorded"),
    [({"sample_endpoints": "tenants:0"}, 0), ({"sample_rate": 0, "sample_endpoints": "tenants:1"}, 20)],
)
def test_a_name_that_the_view_gives_late_decides_on_the_sample(app, rates, recorded):
    @app.get("/tenants/<name>")
    def tenant(name):
        current = current_transaction()
        if current is not None:
            current.rename(f"Controller/tenants.{name}")
        with span("Cart/Load"):
            return name

    with recording(**rates) as scout:
        client = app.test_client()
        for _ in range(20):
            assert "acme" == client.get("/tenants/acme").text
        found = scout.transactions
        counters = scout.agent.counters()

    assert [("Controller/tenants.acme", 1)] * recorded == [(seen.operation, len(seen.spans)) for seen in found]
    assert (20, {"sampled": 20 - recorded} if recorded < 20 else {}) == (counters.finished, counters.dropped)


def test_a_failing_view_keeps_its_trace_beside_that_of_its_slow_requests(app):
    @app.get("/cart/<int:items>")
    def cart(items):
        return str(100 // items)

    with recording() as scout:
        client = app.test_client()
        for items in (1, 0, 2, 0):
            client.get(f"/cart/{items}")
        groups = sorted((trace.group, trace.grouped_by, trace.is_error) for trace in scout.traces())

    name = f"Controller/{HERE}.cart"
    assert [(name, "", False), (f"errors of {name}", "error_traces", True)] == groups
