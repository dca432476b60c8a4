"""Which names a client may send: of endpoints that exist, and short ones for itself, as Gradio keeps them."""

import json
from collections.abc import Callable, Collection, Iterator

from starlette.responses import JSONResponse, PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_NAME_LETTERS = 100
NAMES = ("session_hash", "event_id")
REFUSED = f"A session or an event has a name of at most {MAX_NAME_LETTERS} letters."


CALLS = ("/gradio_api/call/v2/", "/gradio_api/call/")


class KnownNames:
    """ASGI middleware that refuses requests of which Gradio would keep megabytes, or that it would trip over.

    It reads bodies as a whole: `WebSecurity`, which has to be around it, bounds them.

    Args:
        app: What answers all other requests.
        streamed: The paths whose bodies are too large to be read here begin with this.
        endpoints: Returns the names of the endpoints.
    """

    def __init__(self, app: ASGIApp, streamed: str, endpoints: Callable[[], Collection[str]]) -> None:
        self.app, self.streamed, self.endpoints = app, streamed, endpoints

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] != "http" or scope["method"] != "POST" or scope["path"].startswith(self.streamed):
            await self.app(scope, receive, send)
            return
        call = next((call for call in CALLS if scope["path"].startswith(call)), None)
        if call is not None and (named := scope["path"].removeprefix(call).rstrip("/")) not in self.endpoints():
            told = f"There is no endpoint {named[:MAX_NAME_LETTERS]!r}. /gradio_api/info lists them."
            await JSONResponse({"detail": told}, 404)(scope, receive, send)
            return
        messages: list[Message] = []
        while not messages or messages[-1].get("more_body"):
            messages.append(await receive())
        if _has_long_name(b"".join(message.get("body", b"") for message in messages)):
            await PlainTextResponse(REFUSED, 400)(scope, receive, send)
            return
        unread: Iterator[Message] = iter(messages)

        async def receive_again() -> Message:
            message = next(unread, None)
            return message if message is not None else await receive()

        await self.app(scope, receive_again, send)


def _has_long_name(body: bytes) -> bool:
    if len(body) <= MAX_NAME_LETTERS:
        return False
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):  # whoever reads it will say so
        return False
    return isinstance(content, dict) and any(len(str(content.get(name, ""))) > MAX_NAME_LETTERS for name in NAMES)
