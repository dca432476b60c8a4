"""Who may ask the page for what: host names, other sites, and what every answer says about itself."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from gradio_client import Client
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect
from ui.conftest import PATIENCE_S, Server, free_port, own_store

from xdyna.schema import InputError
from xdyna.ui.demo import launch
from xdyna.ui.names_sent import REFUSED
from xdyna.ui.web_security import WebPolicy, WebSecurity, secured

PUBLIC = WebPolicy(loopback_only=False, names=("demo.example.org", "*.example.net"), shared_names=("box",))
WITH_TOKEN = WebPolicy(names=("demo.example.org",), token="s3cret")


def hello(request: Request) -> PlainTextResponse:
    return PlainTextResponse(f"hello {request.headers.get('origin')}")


def broken(request: Request) -> PlainTextResponse:
    raise RuntimeError("a bug of ours")


async def echo(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_text("hello")
    await websocket.close()


def client(policy: WebPolicy, host: str = "127.0.0.1:7860") -> TestClient:
    routes = [
        Route("/broken", broken),
        WebSocketRoute("/socket", echo),
        Route("/{path:path}", hello, methods=["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]),
    ]
    app = WebSecurity(Starlette(routes=routes), policy)
    return TestClient(app, base_url=f"http://{host}", raise_server_exceptions=False)


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GRADIO_SERVER_NAME", "SPACE_HOST", "SPACE_ID", "XDYNA_ALLOWED_HOSTS", "XDYNA_TOKEN"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:7860", "127.3.2.1", "[::1]:1", "LocalHost:1", "localhost."])
def test_on_this_machine_it_answers_to_this_machines_names(host: str) -> None:
    assert WebPolicy().answers_to(host)


@pytest.mark.parametrize(
    "host",
    [
        *("other.example", "localhost.other.example", "127.0.0.1.other.example", "10.0.0.7", "[fe80::1]", "0.0.0.0"),
        *("", ":7860", "127.1", "2130706433", "::1", "[::1", "localhost:port", "me@localhost", "localhost/x", "a b"),
    ],
)
def test_on_this_machine_it_answers_to_nothing_else(host: str) -> None:
    assert not WebPolicy().answers_to(host)


def test_in_public_it_answers_to_addresses_and_its_own_names() -> None:
    for host in ("10.0.0.7:7860", "[2001:db8::1]", "localhost", "box:7860", "demo.example.org.", "A.b.example.net"):
        assert PUBLIC.answers_to(host), host
    for host in ("other.example", "example.net", "demo.example.org.other.example", "badexample.net", "sub.box", ""):
        assert not PUBLIC.answers_to(host), host


@pytest.mark.parametrize(
    ("host", "share", "variables", "answered", "refused"),
    [
        (None, False, {}, ["localhost", "127.0.0.1"], ["10.0.0.7", "a.gradio.live", socket.gethostname()]),
        ("localhost", True, {}, ["localhost", "a.gradio.live"], ["10.0.0.7", "gradio.live"]),
        ("0.0.0.0", False, {}, ["10.0.0.7", "localhost", socket.gethostname()], ["a.gradio.live", "demo.example"]),
        ("[::]", False, {}, ["10.0.0.7", "[2001:db8::1]"], ["demo.example"]),
        ("[::1]", False, {}, ["[::1]"], ["10.0.0.7"]),
        ("box.example", False, {}, ["box.example", "10.0.0.7"], ["other.example"]),
        (None, False, {"GRADIO_SERVER_NAME": "0.0.0.0"}, ["10.0.0.7"], ["demo.example"]),
        (
            None,
            False,
            {"XDYNA_ALLOWED_HOSTS": " A.example. , *.b.example,"},
            ["a.example", "a.b.example"],
            ["b.example"],
        ),
        ("0.0.0.0", False, {"SPACE_HOST": "me-x.hf.space,x.example"}, ["me-x.hf.space", "x.example"], ["a.hf.space"]),
    ],
)
def test_names_come_from_the_address_and_the_settings(
    host: str | None,
    share: bool,
    variables: dict[str, str],
    answered: list[str],
    refused: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    policy = WebPolicy.from_environment(host, share=share)
    assert [name for name in answered if not policy.answers_to(name)] == []
    assert [name for name in refused if policy.answers_to(name)] == []


@pytest.mark.parametrize("value", ["*", "https://demo.example", "demo.example:443", "a.*.example", "two names"])
def test_a_setting_that_is_no_host_name_is_explained(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDYNA_ALLOWED_HOSTS", value)
    with pytest.raises(InputError, match=r"XDYNA_ALLOWED_HOSTS has .*give host names without scheme and port"):
        WebPolicy.from_environment()


def test_an_unknown_host_is_told_which_setting_helps() -> None:
    answer = client(WebPolicy(), host="other.example").get("/")
    assert answer.status_code == 400
    assert answer.text.count(".") == 2 and "XDYNA_ALLOWED_HOSTS" in answer.text
    assert "Content-Security-Policy" in answer.headers
    twice = [("host", "127.0.0.1"), ("host", "other.example")]
    for headers in ([], twice):
        assert _raw_status(WebPolicy(), headers) == 400


def _raw_status(policy: WebPolicy, headers: list[tuple[str, str]]) -> int:
    """What a request gets whose headers no client of ours would send."""
    sent: list[dict[str, object]] = []

    async def ask() -> None:
        async def receive() -> dict[str, object]:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: dict[str, object]) -> None:
            sent.append(message)

        pairs = [(name.encode(), value.encode()) for name, value in headers]
        scope = {"type": "http", "method": "GET", "path": "/", "headers": pairs, "query_string": b""}
        await WebSecurity(Starlette(), policy)(scope, receive, send)

    asyncio.run(ask())
    return int(str(sent[0]["status"]))


HERE, THERE = "http://127.0.0.1:7860", "https://other.example"


@pytest.mark.parametrize(
    ("headers", "own"),
    [
        ({}, True),  # gradio_client, curl
        ({"Origin": HERE}, True),
        ({"Origin": "HTTP://127.0.0.1:7860"}, True),
        ({"Origin": "https://demo.example.org"}, True),  # behind a proxy that does not forward the name
        ({"Origin": "https://a.example.net:8443"}, True),
        ({"Sec-Fetch-Site": "same-origin"}, True),
        ({"Sec-Fetch-Site": "none"}, True),  # typed by the visitor
        ({"Origin": THERE}, False),
        ({"Origin": "null"}, False),
        ({"Origin": ""}, False),
        ({"Origin": "http://127.0.0.1:8000"}, False),  # another program of this machine
        ({"Origin": "http://localhost:7860"}, False),
        ({"Origin": "http://box"}, False),
        ({"Origin": "ftp://demo.example.org"}, False),
        ({"Origin": "https://demo.example.org@other.example"}, False),
        ({"Origin": THERE, "Sec-Fetch-Site": "same-origin"}, False),
        ({"Sec-Fetch-Site": "cross-site"}, False),
        ({"Sec-Fetch-Site": "same-site"}, False),
    ],
)
def test_only_the_page_itself_and_programs_post(headers: dict[str, str], own: bool) -> None:
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        answer = client(PUBLIC).request(method, "/gradio_api/upload", headers=headers)
        assert answer.status_code == (200 if own else 403)
        assert own or ("X-Xdyna-Token" in answer.text and "XDYNA_ALLOWED_HOSTS" in answer.text)


def test_other_sites_may_link_to_the_page_but_not_read_it() -> None:
    for headers in ({"Origin": THERE}, {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}):
        for path in ("/", "/config", "/gradio_api/info", "/gradio_api/file=/x.mp4"):
            answer = client(PUBLIC).get(path, headers=headers)
            assert (answer.status_code, answer.text) == (200, "hello None")  # Gradio's own CORS sees no other site
            assert "Access-Control-Allow-Origin" not in answer.headers
            assert "Origin" in answer.headers["Vary"]


@pytest.mark.parametrize("path", ["/logout", "/gradio_api/heartbeat/abc", "/gradio_api/queue/data", "/monitoring"])
def test_what_changes_something_on_get_is_guarded_alike(path: str) -> None:
    assert client(PUBLIC).get(path, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    assert client(PUBLIC).get(path, headers={"Origin": "null"}).status_code == 403
    assert client(PUBLIC).get(path, headers={"Sec-Fetch-Site": "same-origin"}).status_code == 200
    assert client(PUBLIC).get(path).status_code == 200


def test_another_site_posts_with_the_token() -> None:
    for given, policy, status in [
        ("s3cret", WITH_TOKEN, 200),
        ("wrong", WITH_TOKEN, 403),
        ("", WITH_TOKEN, 403),
        ("s3cret", PUBLIC, 403),  # none is set
        ("", PUBLIC, 403),
    ]:
        answer = client(policy).post("/gradio_api/upload", headers={"Origin": THERE, "X-Xdyna-Token": given})
        assert answer.status_code == status
        assert answer.headers.get("Access-Control-Allow-Origin") == (THERE if status == 200 else None)
    assert client(WITH_TOKEN, host="other.example").post("/", headers={"X-Xdyna-Token": "s3cret"}).status_code == 400


def test_an_empty_token_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDYNA_TOKEN", "")
    assert WebPolicy.from_environment().token is None


@pytest.mark.parametrize(
    ("policy", "asked", "status"),
    [
        (WITH_TOKEN, "content-type, X-Xdyna-Token", 204),
        (WITH_TOKEN, "x-xdyna-token", 204),
        (WITH_TOKEN, "content-type", 403),
        (WITH_TOKEN, None, 403),
        (PUBLIC, "x-xdyna-token", 403),
    ],
)
def test_a_browser_that_asks_first_is_told(policy: WebPolicy, asked: str | None, status: int) -> None:
    headers = {"Origin": THERE, "Access-Control-Request-Method": "POST"}
    headers |= {"Access-Control-Request-Headers": asked} if asked else {}
    answer = client(policy).options("/gradio_api/upload", headers=headers)
    assert answer.status_code == status
    assert answer.headers.get("Access-Control-Allow-Origin") == (THERE if status == 204 else None)
    assert answer.headers.get("Access-Control-Allow-Headers") == (asked if status == 204 else None)
    assert "Access-Control-Allow-Credentials" not in answer.headers


def test_a_socket_is_guarded_alike() -> None:
    for headers in ({}, {"Origin": HERE}):
        with client(PUBLIC).websocket_connect(f"ws{HERE[4:]}/socket", headers=headers) as connected:
            assert connected.receive_text() == "hello"
    for host, headers in (("127.0.0.1:7860", {"Origin": THERE}), ("other.example", {})):
        url = f"ws://{host}/socket"
        with pytest.raises(WebSocketDisconnect), client(PUBLIC).websocket_connect(url, headers=headers):
            pass


def test_every_answer_says_what_it_allows() -> None:
    page = client(PUBLIC)
    for answer in (page.get("/"), page.get("/broken"), page.post("/", headers={"Origin": THERE})):
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "same-origin"
        assert "camera=(self)" in answer.headers["Permissions-Policy"]
        assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin"
        assert answer.headers["X-Frame-Options"] == "SAMEORIGIN"
        assert "frame-ancestors 'self'" in answer.headers["Content-Security-Policy"].split("; ")
        assert "http" not in answer.headers["Content-Security-Policy"]  # no other site is needed


def test_only_the_hub_may_frame_a_space(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPACE_ID", "me/xdyna")
    policy = WebPolicy.from_environment("0.0.0.0")
    assert policy.answers_to("me-xdyna--preview.hf.space")
    answer = client(policy).get("/")
    rules = answer.headers["Content-Security-Policy"].split("; ")
    assert "frame-ancestors 'self' https://huggingface.co https://*.hf.space" in rules
    assert "X-Frame-Options" not in answer.headers  # it would rule out what the line above allows


def test_progress_is_not_held_back() -> None:
    """Every part of a stream is sent before the next one is made."""
    made: list[int] = []
    sent: list[int] = []

    async def stream() -> object:
        for number in range(3):
            made.append(number)
            yield f"{number}"

    async def receive() -> dict[str, object]:
        await asyncio.Event().wait()
        raise AssertionError("nobody leaves")

    async def send(message: dict[str, object]) -> None:
        if message["type"] == "http.response.body" and message["body"]:
            sent.append(len(made))

    async def ask() -> None:
        app = Starlette(routes=[Route("/", lambda request: StreamingResponse(stream()))])
        headers = [(b"host", b"127.0.0.1")]
        scope = {"type": "http", "method": "GET", "path": "/", "headers": headers, "query_string": b""}
        await WebSecurity(app, WebPolicy())(scope, receive, send)

    asyncio.run(ask())
    assert sent == [1, 2, 3]


def test_it_is_put_around_all_other_middleware() -> None:
    """As Gradio does, which adds its own to what the app was given."""
    app = Starlette(routes=[Route("/broken", broken)], lifespan=secured(WebPolicy()))
    with TestClient(app, base_url="http://127.0.0.1", raise_server_exceptions=False) as page:
        assert isinstance(app.middleware_stack, WebSecurity)
        for path, status in (("/broken", 500), ("/nowhere", 404)):
            answer = page.get(path)
            assert (answer.status_code, answer.headers["X-Frame-Options"]) == (status, "SAMEORIGIN")


@pytest.fixture(scope="module")
def page(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=PATIENCE_S) as page:
        yield page


@pytest.mark.parametrize(
    "path",
    ["/", "/config", "/theme.css", "/gradio_api/info", "/gradio_api/startup-events", "/nowhere", "/robots.txt"],
)
def test_the_real_page_answers_with_headers(page: httpx.Client, path: str) -> None:
    answer = page.get(path)
    assert answer.status_code == (404 if path == "/nowhere" else 200)
    assert "frame-ancestors 'self'" in answer.headers["Content-Security-Policy"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_the_real_page_refuses_names_and_sites_that_are_not_its_own(page: httpx.Client, server: Server) -> None:
    assert page.get("/", headers={"Host": "other.example"}).status_code == 400
    files = {"files": ("a.png", b"no picture")}
    for origin, status in ((THERE, 403), ("null", 403), (server.url.rstrip("/"), 200)):
        answer = page.post("/gradio_api/upload", files=files, headers={"Origin": origin})
        assert answer.status_code == status
        assert answer.headers["X-Frame-Options"] == "SAMEORIGIN"
    asked = {"Origin": THERE, "Access-Control-Request-Method": "POST"}
    assert page.options("/gradio_api/upload", headers=asked).status_code == 403
    read = page.get("/config", headers={"Origin": THERE})
    assert read.status_code == 200 and "Access-Control-Allow-Origin" not in read.headers


def test_a_file_of_the_page_has_headers_too(page: httpx.Client) -> None:
    path = page.post("/gradio_api/upload", files={"files": ("a.png", b"no picture")}).json()[0]
    answer = page.get(f"/gradio_api/file={path}")
    assert (answer.status_code, answer.content) == (200, b"no picture")
    assert "default-src 'self'" in answer.headers["Content-Security-Policy"]


@pytest.mark.parametrize("host", ["0.0.0.0", "127.0.0.1"])
def test_the_page_starts_on_every_address(host: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Gradio asks its own page before it says that it runs; another program's client reads it as well."""
    monkeypatch.setenv("GRADIO_SERVER_NAME", host)
    monkeypatch.setattr("xdyna.ui.demo._warm_up_later", lambda model: None)
    monkeypatch.setattr("gradio.networking.url_ok", lambda url: httpx.head(url, timeout=PATIENCE_S).is_success)
    with own_store(tmp_path), closing(launch(host=host, port=free_port(), block=False)) as demo:
        reader = Client(demo.local_url, verbose=False)
        assert "/generate" in reader.view_api(return_format="dict", print_info=False)["named_endpoints"]
        reader.close()
        on_own_name = httpx.get(demo.local_url, headers={"Host": socket.gethostname()}, timeout=PATIENCE_S)
        assert on_own_name.status_code == (200 if host == "0.0.0.0" else 400)


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/gradio_api/queue/join", {"content-length": "1000"}, 200),
        ("/gradio_api/queue/join", {"content-length": str(100 * 2**20)}, 413),
        ("/gradio_api/queue/join", {"content-length": "many"}, 413),
        ("/gradio_api/call/generate", {"content-length": str(100 * 2**20)}, 413),
        ("/gradio_api/call/generate", {"transfer-encoding": "chunked"}, 413),
        ("/gradio_api/upload", {"content-length": str(100 * 2**20)}, 200),  # Gradio bounds these itself
        ("/gradio_api/upload", {"transfer-encoding": "chunked"}, 200),
    ],
)
def test_only_uploads_may_be_large(path: str, headers: dict[str, str], status: int) -> None:
    """The header is believed: a server hands an app no more of a body than it announced."""
    answer = client(WebPolicy()).post(path, headers=headers)
    assert answer.status_code == status
    assert ("bytes at most" in answer.text) == (status == 413)


@pytest.mark.parametrize("path", ["/gradio_api/queue/join", "/gradio_api/run/predict"])
@pytest.mark.parametrize("name", ["session_hash", "event_id"])
def test_a_client_cannot_give_itself_a_long_name(page: httpx.Client, path: str, name: str) -> None:
    asked = {"fn_index": 0, "data": [None], "session_hash": "short"}
    assert page.post(path, json=asked | {name: "x" * 100}).text != REFUSED
    refused = page.post(path, json=asked | {name: "x" * 101})
    assert (refused.status_code, refused.text) == (400, REFUSED)
    assert refused.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("path", ["/gradio_api/call/v2/nowhere", "/gradio_api/call/nowhere", "/gradio_api/call/"])
def test_an_unknown_endpoint_is_told_so(page: httpx.Client, path: str) -> None:
    answer = page.post(path, json={"data": []})
    assert answer.status_code == 404
    assert answer.json()["detail"].startswith("There is no endpoint")


def test_what_a_visitor_sees_is_not_put_behind_a_link(page: httpx.Client) -> None:
    assert page.get("/gradio_api/deep_link", params={"session_hash": "abc"}).status_code == 404


@pytest.mark.parametrize("body", [b"", b"{", b"[" * 200_000, b'"' + b"x" * 200 + b'"', b"x" * 200])
def test_bodies_that_name_nobody_arrive_whole(body: bytes) -> None:
    async def count(request: Request) -> PlainTextResponse:
        return PlainTextResponse(str(len(await request.body())))

    app = Starlette(routes=[Route("/count", count, methods=["POST"])], lifespan=secured(WebPolicy()))
    with TestClient(app, base_url="http://127.0.0.1") as page:
        assert page.post("/count", content=body).text == str(len(body))
