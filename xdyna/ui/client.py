"""Who asks, and what only they are told: the request behind the event that is being handled."""

from ipaddress import ip_address
from typing import Any

from gradio.context import LocalContext
from gradio.server_messages import EstimationMessage

from xdyna.ui.fair_queue import Visitor, Waiting


def visitor() -> Visitor:
    """Return whom the event belongs to whose function runs."""
    return visitor_of(LocalContext.request.get(None))


def visitor_of(request: Any) -> Visitor:
    """Return whom a request of Gradio's belongs to; calls from inside this process have none."""
    client = getattr(request, "client", None)
    host, session = str(client.host) if client else "", str(getattr(request, "session_hash", None) or "")
    # A private address may be a proxy's: it does not tell who is behind it, so every session stands for itself.
    return Visitor(address=host if _is_public(host) else f"{host} {session}", session=session)


def _is_public(host: str) -> bool:
    try:
        return ip_address(host).is_global
    except ValueError:
        return False


def tell_place(waiting: Waiting) -> None:
    """Tell an API client its place in our queue: `job.status()` shows the rank that Gradio's own queue would have.

    Call it after the yield that follows a change: Gradio's message about that yield sets the status, too.
    """
    blocks, event_id = LocalContext.blocks.get(None), LocalContext.event_id.get(None)
    if blocks is None or event_id is None:
        return
    event = blocks._queue.event_ids_to_events.get(event_id)
    if event is not None:
        rank, seconds = waiting.position - 1, round(waiting.seconds, 1)
        message = EstimationMessage(rank=rank, rank_eta=seconds, queue_size=waiting.length)
        blocks._queue.send_message(event, message)
