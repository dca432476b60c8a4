"""Which requests the page answers, and what its answers allow a browser to do.

Everything here looks at headers only and never at bodies; `KnownNames` reads the small ones.
"""

import os
import re
import secrets
import socket
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import partial
from ipaddress import ip_address
from typing import Any, Self

from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from xdyna.schema import InputError
from xdyna.ui.names_sent import KnownNames

TOKEN_HEADER = "x-xdyna-token"
MAX_BODY_BYTES = 8 * 2**20
"""Of a request that is no upload: the page sends back at most what it was given, and texts are short."""
UPLOADS = "/gradio_api/upload"
SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}
CHANGING_READS = (
    "/logout",
    "/monitoring",
    "/gradio_api/call/",
    "/gradio_api/heartbeat/",
    "/gradio_api/mcp",
    "/gradio_api/queue/data",
    "/gradio_api/startup-events",
)
"""What Gradio answers to GET although it writes a file, takes a message out of a queue or ends a session."""

NOT_OFFERED = "/gradio_api/deep_link"
"""Gradio would keep what a visitor sees in a file, for everyone with a link to it."""

_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9_-][a-z0-9_.-]*?)\.?(:\d{1,5})?")
_PATTERN = re.compile(r"(\*\.)?[a-z0-9_-]+(\.[a-z0-9_-]+)*")


@dataclass(frozen=True, kw_only=True)
class WebPolicy:
    """Who may ask the page for what.

    Attributes:
        loopback_only: whether the server listens on this machine's own address only.
        names: host names of the page, which may also post to it; `*.example.org` stands for every name below.
        shared_names: further host names that it answers to, where other people's pages may live as well.
        on_space: whether it runs on a Hugging Face Space, which shows it inside a frame.
        token: what another site must send to post here; None lets no other site post.
    """

    loopback_only: bool = True
    names: tuple[str, ...] = ()
    shared_names: tuple[str, ...] = ()
    on_space: bool = False
    token: str | None = None

    @classmethod
    def from_environment(cls, host: str | None = None, *, share: bool = False) -> Self:
        """Read the policy from the variables that docs/space.md names.

        Args:
            host: the address that the server listens on; None means `GRADIO_SERVER_NAME`, or 127.0.0.1.
            share: whether the page also has a public link of Gradio's.

        Raises:
            InputError: `XDYNA_ALLOWED_HOSTS` has something that is no host name.
        """
        bound = (host or os.environ.get("GRADIO_SERVER_NAME") or "127.0.0.1").lower().strip("[]")
        loopback_only = bound == "localhost" or _is_ip(bound, loopback=True)
        shared_names = [] if _is_ip(bound) else [bound]
        if not loopback_only:
            shared_names.append(socket.gethostname().lower())
        if share:
            shared_names.append("*.gradio.live")
        on_space = bool(os.environ.get("SPACE_ID"))
        if on_space:
            shared_names.append("*.hf.space")  # previews and copies of a Space have names that no variable holds
        return cls(
            loopback_only=loopback_only,
            names=(*_host_names("SPACE_HOST"), *_host_names("XDYNA_ALLOWED_HOSTS")),
            shared_names=tuple(shared_names),
            on_space=on_space,
            token=os.environ.get("XDYNA_TOKEN") or None,
        )

    def answers_to(self, host: str) -> bool:
        """Tell whether a request's Host is one of this page's.

        Any other name could be an attacker's, made to point here once the visitor's browser trusts it. An IP address
        cannot be made to point elsewhere.
        """
        name = _name_of(host)
        if name is None:
            return False
        if _is_ip(name):
            return not self.loopback_only or _is_ip(name, loopback=True)
        return name == "localhost" or _matches(name, (*self.names, *self.shared_names))

    def is_own_origin(self, headers: Headers) -> bool:
        """Tell whether a request comes from this page, or from a program that is no browser."""
        origin = headers.get("origin")
        if origin is None:
            return headers.get("sec-fetch-site", "none") in ("none", "same-origin")
        scheme, _, host = origin.lower().partition("://")
        name = _name_of(host)
        if scheme not in ("http", "https") or name is None:  # "null", a browser's extension, nonsense
            return False
        return host == headers.get("host", "").lower() or _matches(name, self.names)

    def accepts_token(self, headers: Headers) -> bool:
        """Tell whether a request of another site has our token."""
        given = headers.get(TOKEN_HEADER, "")
        return self.token is not None and secrets.compare_digest(given.encode(), self.token.encode())

    def answer_headers(self) -> dict[str, str]:
        """Return what every answer says about itself."""
        # Gradio's page has scripts and styles within it and evaluates code, so what remains to be said is where from.
        # A Space's page also shows its owner's picture and its likes.
        hub = " https://huggingface.co https://*.huggingface.co" if self.on_space else ""
        frames = " https://huggingface.co https://*.hf.space" if self.on_space else ""
        policy = {
            "default-src": "'self'",
            "script-src": "'self' 'unsafe-inline' 'unsafe-eval' blob:",
            "style-src": "'self' 'unsafe-inline'",
            "img-src": f"'self' data: blob:{hub}",
            "media-src": "'self' data: blob:",
            "font-src": "'self' data:",
            "connect-src": f"'self' data: blob:{hub}",
            "worker-src": "'self' blob:",
            "frame-src": "'none'",
            "object-src": "'none'",
            "base-uri": "'self'",
            "form-action": "'self'",
            "frame-ancestors": f"'self'{frames}",
        }
        headers = {
            "Content-Security-Policy": "; ".join(f"{name} {sources}" for name, sources in policy.items()),
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "same-origin",
            "Permissions-Policy": "camera=(self), microphone=(self), geolocation=(), payment=(), usb=()",
            "Cross-Origin-Opener-Policy": "same-origin",  # browsers ignore it within a frame, so Spaces work
        }
        if not self.on_space:
            headers["X-Frame-Options"] = "SAMEORIGIN"  # it knows no other sites: on a Space it would rule out the Hub
        return headers


class WebSecurity:
    """ASGI middleware that applies a `WebPolicy`; it has to be the outermost, before Gradio's own CORS."""

    def __init__(self, app: ASGIApp, policy: WebPolicy) -> None:
        self.app = app
        self.policy = policy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        origin = None if self.policy.is_own_origin(headers) else headers.get("origin", "null")
        refused = self._refused(scope, headers, foreign=origin is not None)
        if scope["type"] == "websocket":
            if refused is not None:
                await send({"type": "websocket.close", "code": 1008})
            else:
                await self.app(scope, receive, send)
            return

        extra = self.policy.answer_headers()
        if origin is not None:
            if refused is None and (_is_preflight(scope, headers) or self.policy.accepts_token(headers)):
                extra |= {"Access-Control-Allow-Origin": origin}
            # Gradio's own CORS lets every site read what a public page says; without Origin it stays out of this.
            scope = {**scope, "headers": [pair for pair in scope["headers"] if pair[0] != b"origin"]}

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                sent = MutableHeaders(scope=message)
                sent.update(extra)
                sent.add_vary_header("Origin")
            await send(message)

        answer = refused
        if answer is None and origin is not None and _is_preflight(scope, headers):
            answer = _preflight_answer(headers)
        await (answer or self.app)(scope, receive, send_with_headers)

    def _refused(self, scope: Scope, headers: Headers, *, foreign: bool) -> Response | None:
        hosts = headers.getlist("host")
        if len(hosts) != 1 or not self.policy.answers_to(hosts[0]):
            return PlainTextResponse(
                "This page does not answer to that host name. If it is yours, add it to XDYNA_ALLOWED_HOSTS.", 400
            )
        if str(scope["path"]).startswith(NOT_OFFERED):
            return PlainTextResponse("This page makes no links to what a visitor sees.", 404)
        if not _has_small_body(scope, headers):
            return PlainTextResponse(f"A request may have {MAX_BODY_BYTES} bytes at most, and must say how many.", 413)
        if not foreign:
            return None
        if _is_preflight(scope, headers):
            asked = headers.get("access-control-request-headers", "").lower()
            allowed = self.policy.token is not None and TOKEN_HEADER in re.split(r"[,\s]+", asked)
        else:
            allowed = not _changes_something(scope) or self.policy.accepts_token(headers)
        if allowed:
            return None
        return PlainTextResponse(
            "Another site may post here only with XDYNA_TOKEN in its header X-Xdyna-Token. If this is the page's own "
            "name, add it to XDYNA_ALLOWED_HOSTS.",
            403,
        )


def secured(policy: WebPolicy) -> Callable[[Starlette], AbstractAsyncContextManager[None]]:
    """Make a lifespan that puts `WebSecurity` around a whole app, before the first request.

    Middleware that is given to the app itself would end up within Gradio's, whose CORS answers preflights for us.
    """

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        assert app.middleware_stack is not None, "a lifespan is run by the stack"
        app.middleware_stack = WebSecurity(KnownNames(app.middleware_stack, UPLOADS, partial(_endpoints, app)), policy)
        yield

    return lifespan


def _endpoints(app: Any) -> set[str]:
    return {str(function.api_name) for function in app.get_blocks().fns.values()}


def _preflight_answer(headers: Headers) -> Response:
    allowed = {
        "Access-Control-Allow-Methods": "GET, POST, PUT, PATCH, DELETE",
        "Access-Control-Allow-Headers": headers["access-control-request-headers"],
        "Access-Control-Max-Age": "600",
    }
    return Response(status_code=204, headers=allowed)


def _is_preflight(scope: Scope, headers: Headers) -> bool:
    return scope.get("method") == "OPTIONS" and "access-control-request-method" in headers


def _changes_something(scope: Scope) -> bool:
    if scope["type"] == "websocket" or scope["method"] not in SAFE_METHODS:
        return True
    return str(scope["path"]).startswith(CHANGING_READS)


def _has_small_body(scope: Scope, headers: Headers) -> bool:
    """Tell whether a request is small enough to be read as a whole; Gradio bounds uploads itself, and streams them."""
    if scope["type"] == "websocket" or str(scope["path"]).startswith(UPLOADS):
        return True
    length = headers.get("content-length", "0")
    return "transfer-encoding" not in headers and length.isdecimal() and int(length) <= MAX_BODY_BYTES


def _host_names(variable: str) -> list[str]:
    names = [name.strip().lower().rstrip(".") for name in os.environ.get(variable, "").split(",")]
    for name in filter(None, names):
        if not _PATTERN.fullmatch(name):
            raise InputError(
                f"{variable} has {name!r}; give host names without scheme and port, separated by commas, such as "
                "demo.example.org or *.example.org."
            )
    return [name for name in names if name]


def _name_of(host: str) -> str | None:
    """Return the name or address in a Host header, without port, brackets and final dot; None if it is malformed."""
    found = _HOST.fullmatch(host.lower())
    return found[1].strip("[]") if found else None


def _is_ip(name: str, *, loopback: bool = False) -> bool:
    try:
        address = ip_address(name)
    except ValueError:
        return False
    return address.is_loopback or not loopback


def _matches(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)
