"""The page: its layout, and the server that shows it."""

import logging
import math
import os
import threading

import gradio as gr

from xdyna.backends import BACKENDS
from xdyna.ui.api import add_endpoints
from xdyna.ui.blocks import PageBlocks
from xdyna.ui.examples import FOLDER as EXAMPLES_FOLDER
from xdyna.ui.gpu import RUN_QUEUE
from xdyna.ui.handlers.model_choice import header_of
from xdyna.ui.job_events import IMMEDIATE
from xdyna.ui.jobs import ANALYSIS_QUEUE
from xdyna.ui.language import add_languages
from xdyna.ui.mirror import MIRROR_QUEUE, ROUTES
from xdyna.ui.screens.check import add_check, wire_check
from xdyna.ui.screens.compare import add_compare, wire_compare
from xdyna.ui.screens.generate import add_generate, wire_generate
from xdyna.ui.screens.inputs import add_inputs, wire_inputs
from xdyna.ui.screens.mirror import add_mirror, wire_mirror
from xdyna.ui.screens.runs import add_runs, browser_state, wire_runs
from xdyna.ui.server_settings import ServerSettings, server_settings
from xdyna.ui.session import SESSION_S, Session
from xdyna.ui.settings_form import FIELDS
from xdyna.ui.stepper import add_stepper
from xdyna.ui.store import STORE
from xdyna.ui.theme import SCRIPT, STYLES, THEME
from xdyna.ui.unsaved import UNSAVED
from xdyna.ui.web_security import WebPolicy, secured
from xdyna.weights import default_model, is_ready

logger = logging.getLogger(__name__)

MAX_EVENTS, MIN_JOBS = 200, 40
MAX_UPLOAD = "200mb"
WARM_UP_AFTER_S = 10
QUEUES = {
    **dict.fromkeys(("analyze", "see_it_move", "page_analyse"), ANALYSIS_QUEUE),
    "page_mirror": MIRROR_QUEUE,
    **dict.fromkeys(("generate", "compare", "page_generate", "page_compare"), RUN_QUEUE),
}
"""Which queue each job joins, by the name of its event."""
VISITED = threading.Event()
"""Set when the first visitor's page is there."""


def privacy(settings: ServerSettings) -> str:
    """Say what happens to a visitor's files."""
    hours, rest = divmod(math.ceil((settings.keep_s + settings.sweep_every_s) / 60), 60)
    within = f"{hours} hours and {rest} minutes" if hours else f"{rest} minutes"
    return (
        "Your photo and clip are used for your video only. They and every result are deleted from this server within "
        f"{within}. Results say in their recipe how they were made; your file names are not kept. Your settings and "
        "the list of your runs stay in this browser."
    )


def build_demo(model: str | None = None) -> gr.Blocks:
    """The page.

    Args:
        model: a key of `BACKENDS`; the best that can run here by default.
    """
    model = model or default_model()
    spec = BACKENDS[model]
    with (
        PageBlocks(QUEUES, title="X-Dyna", analytics_enabled=False) as demo,
        gr.Column(elem_classes="xdyna"),
    ):
        header = gr.HTML(header_of(model), padding=False)
        add_languages()
        stepper = add_stepper()
        inputs, check, generate = add_inputs(spec.defaults), add_check(spec.defaults), add_generate(model)
        mirror, compare, runs = add_mirror(), add_compare(), add_runs()
        gr.HTML(f'<p class="privacy">{privacy(server_settings())}</p>', padding=False)
        settings = inputs.settings | check.settings | generate.settings
        session = Session(
            header=header,
            stepper=stepper,
            photo=inputs.photo,
            clip=inputs.clip,
            motion=inputs.motion,
            consent=inputs.consent,
            model=generate.model,
            is_model_chosen=gr.State(False),
            settings={name: settings[name] for name in FIELDS},
            analysis=gr.State(None, time_to_live=SESSION_S),
            result=gr.State(None, time_to_live=SESSION_S),
            runs=browser_state("xdyna-runs", []),
        )
        wire_inputs(inputs, session)
        wire_check(check, session, inputs)
        wire_mirror(mirror, session)
        wire_generate(generate, session)
        wire_compare(compare, session)
        wire_runs(runs, session, generate, demo)
        add_endpoints(session)
        demo.load(VISITED.set, **IMMEDIATE)
    return demo.queue(max_size=MAX_EVENTS)


def launch(*, host: str | None = None, port: int | None = None, share: bool = False, block: bool = True) -> gr.Blocks:
    """Builds the page and serves it.

    Args:
        host: address to listen on; None leaves it to `GRADIO_SERVER_NAME`.
        port: None leaves it to `GRADIO_SERVER_PORT`.
        share: whether to make a public link.
        block: whether to wait until the server ends.

    Returns:
        The page; only with `block=False` it is still served.
    """
    settings, model = server_settings(), default_model()
    policy = WebPolicy.from_environment(host, share=share)
    zero_gpu = bool(os.environ.get("SPACES_ZERO_GPU"))
    if zero_gpu:
        _warm_up(model)  # ZeroGPU packs what is on the device at launch, and its processes inherit it
    if os.environ.get("SPACE_ID"):  # a Space can be reached through its proxy only, which says who asks
        os.environ.setdefault("FORWARDED_ALLOW_IPS", "*")
    STORE.open()
    STORE.sweep_on_schedule(settings.sweep_every_s, UNSAVED.drop_expired)
    demo = build_demo(model)
    demo.launch(
        server_name=host,
        server_port=port,
        share=share,
        prevent_thread_lock=True,
        max_threads=max(MIN_JOBS, 2 * settings.max_waiting),  # jobs that wait or run; its own limit for a page is 40
        theme=THEME,
        css_paths=STYLES,
        js=SCRIPT,
        footer_links=["api", "settings"],
        run_history=False,
        allowed_paths=[str(EXAMPLES_FOLDER)],
        max_file_size=MAX_UPLOAD,
        enable_monitoring=False,
        ssr_mode=False,  # its proxy would answer in front of what keeps the page safe
        app_kwargs={"lifespan": secured(policy), "routes": ROUTES},
    )
    if not zero_gpu:
        threading.Thread(target=_warm_up_later, args=(model,), name="warm-up", daemon=True).start()
    if block:
        demo.block_thread()
    return demo


def _warm_up_later(model: str) -> None:
    """The page comes first: it and the imports would slow each other down."""
    VISITED.wait(WARM_UP_AFTER_S)
    _warm_up(model)


def _warm_up(model: str) -> None:
    """Imports what the jobs need and loads the model: longer than a visitor should wait for the page."""
    import xdyna.preprocess.prepare  # noqa: F401
    from xdyna.backends import all_devices, load

    if is_ready(model):
        for device in all_devices().names:
            load(model, device)
        logger.info("%s is loaded", model)
