"""The page in other languages: nothing is forgotten, nothing is left over, and a visitor can switch."""

import ast
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import gradio as gr
import numpy as np
import pytest

from xdyna.backends import BACKENDS
from xdyna.backends.main_memory import check_main_memory
from xdyna.files import UnsavedResultError
from xdyna.motion_preview import see_it_move
from xdyna.preprocess import checks, checks_posture
from xdyna.schema import Check, InputError, Person
from xdyna.ui.demo import build_demo
from xdyna.ui.fair_queue import FairQueue, QueueFullError, Visitor
from xdyna.ui.handlers import motion_preview
from xdyna.ui.handlers.check import sight_note
from xdyna.ui.handlers.model_choice import ANOTHER, REASONS
from xdyna.ui.jobs import require
from xdyna.ui.language import LANGUAGES, read_phrases
from xdyna.ui.payloads import NOT_UPLOADED
from xdyna.ui.problems import explained
from xdyna.ui.server_settings import ServerSettings

if TYPE_CHECKING:
    from playwright.sync_api import Page

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is missing: it is in requirements-test.txt")

ROOT = Path(__file__).parents[2]
TABLES = read_phrases()
ONE_WORD = re.compile(r"[A-Za-z]{3,}")
NAMES = {"X-Dyna", "xdyna-mini", "xdyna weights pull", "Dynamics-Adapter"} | {
    backend.title for backend in BACKENDS.values()
}
"""What is the same in every language."""
CHOSEN = re.compile(
    r"(?<=in the )(photo|clip)(?= was|;)|(?<=use another )(photo|clip)(?= if)|(?<=which is too )(wide|tall)\b"
    r"|(?<=in the clip )(from|in)\b"
)
"""Words that the code chooses, and puts into gaps of its own."""
GRADIO = "Gradio's own words, where it has no translation or the visitor chose another language than the browser's"


def gaps(text: str) -> list[str]:
    return sorted(re.findall(r"{(\w+)}", text))


def flat(table: dict[str, dict[str, str]]) -> dict[str, str]:
    return {english: other for part in table.values() for english, other in part.items()}


def known(text: str) -> bool:
    """Whether a text can be said: as `language.js` does it."""
    text = text.strip()
    if not ONE_WORD.search(text) or text in NAMES:
        return True
    for phrase in flat(TABLES["zh"]):
        pieces = re.split(r"{(\w+)}", phrase)
        pattern = "".join(
            re.escape(piece) if k % 2 == 0 else r"[\d.,]+" if piece.isupper() else ".+?"
            for k, piece in enumerate(pieces)
        )
        if re.fullmatch(pattern, text, re.DOTALL):
            return True
    parts = re.split(r"\n| · | → ", text)
    return len(parts) > 1 and all(map(known, parts))


class Words(HTMLParser):
    """What a piece of HTML says, to eyes and to screen readers."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self._silent = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._silent = ("translate", "no") in attrs
        self.found += [value for name, value in attrs if name in ("alt", "aria-label", "title") and value]

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.found.append(data)


def words_of(component: gr.blocks.Block) -> Iterator[str]:
    """The fixed words that a visible component shows; a choice's own code, such as "ddim", is not one."""
    config = component.get_config()
    yield from (config[name] for name in ("label", "info", "placeholder") if isinstance(config.get(name), str))
    if isinstance(component, gr.HTML):
        yield from Words(str(component.html_template).replace("${value}", "")).found
        if component.html_template == "${value}":
            yield from Words(str(config.get("value") or "")).found
    if isinstance(component, gr.Button | gr.DownloadButton):
        yield str(config.get("value") or "")
    yield from (shown for shown, value in config.get("choices") or [] if shown != value or not shown.islower())


def code_words() -> str:
    """All words of the package's own texts in their order, and of what the page loads: no values, no signs."""
    found = [path.read_text(encoding="utf-8") for path in (ROOT / "xdyna" / "ui" / "static").iterdir()]
    found += [(ROOT / "examples" / "examples.json").read_text(encoding="utf-8")]
    found += [(ROOT / "xdyna" / "measurements.json").read_text(encoding="utf-8")]
    for path in (ROOT / "xdyna").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):  # of f-strings too, piece by piece
                found.append(node.value)
    return " ".join(re.findall(r"[a-z0-9']+", " ".join(found).replace("_", " ").lower()))


def test_every_language_has_the_same_phrases_with_the_same_gaps() -> None:
    assert set(TABLES) == set(LANGUAGES) - {"en"}
    english = {part: {text: gaps(text) for text in phrases} for part, phrases in TABLES["zh"].items()}
    for code, table in TABLES.items():
        assert {part: {text: gaps(said) for text, said in each.items()} for part, each in table.items()} == english, (
            code
        )


def test_no_phrase_is_there_twice() -> None:
    for table in TABLES.values():
        assert len(flat(table)) == sum(map(len, table.values()))


def test_every_fixed_word_of_the_page_is_a_phrase() -> None:
    page = build_demo()
    missing = {
        text
        for component in page.blocks.values()
        if getattr(component, "visible", True)
        for text in words_of(component)
        if not known(text)
    }
    assert missing == set()


def test_no_phrase_is_left_over() -> None:
    """What stands between the gaps and signs of a phrase stands somewhere in the code."""
    said = code_words()
    stale = [
        phrase
        for part, phrases in TABLES["zh"].items()
        if part != GRADIO
        for phrase in phrases
        for piece in re.split(r"{\w*}|[^A-Za-z0-9' ]", CHOSEN.sub("{}", phrase))
        if " ".join(piece.lower().split()) not in said
    ]
    assert stale == []


def found_checks() -> list[Check]:
    two = [Person(id=k, box=(0.0, 0.0, 9.0, 9.0), score=0.9) for k in (1, 2)]
    seen = np.arange(32) < 20
    found = [
        checks.several_people("photo", two, 1),
        checks.several_people("clip", two, 2),
        checks.photograph("xdyna-mini"),
        checks.hidden_head(False),
        checks.unsure("photo", 0.3),
        checks.unsure("clip", 0.3),
        checks.small_head(20.0),
        checks.coverage(False, 0.9),
        checks.coverage(True, 0.0),
        checks.nothing_in_common(False),
        checks.small_in_clip(4.2),
        checks.small_photo(2.5),
        checks.rotation(-31.0),
        checks_posture.lying(80.0, 80.0),
        checks_posture.from_behind(True, False),
        checks_posture.from_behind(False, True),
        checks_posture.entangled(two, 1),
        *(checks.proportions({limb: 0.5}, False) for limb in checks.COMPARED_LIMBS),
        checks.better_start(0.9, 0, 12, 8.0, 0.0),
        checks.missing_faces(3, 2, 20, 32),
        checks.missing_faces(1, 0, 0, 32),
        checks.lost_pose(seen, 8.0, 0.0),
        checks.lost_pose(~seen, 8.0, 0.0),
        checks.cuts([10, 20], 32, 8.0, 0.0),
        checks.moving_camera(0.5),
        checks.short_clip(12, 32),
        checks.long_clip(10.0, 2.0, 0.5, 8.0, 600),
        checks.leaves_picture(3, 32),
        checks.no_pictures(True),
    ]
    assert None not in found
    return [check for check in found if check]


@pytest.mark.parametrize("check", found_checks(), ids=lambda check: check.id)
def test_every_check_can_be_said(check: Check) -> None:
    assert known(check.message)
    assert check.fix is None or known(check.fix.label)


def test_no_check_is_forgotten_above() -> None:
    sources = (ROOT / "xdyna" / "preprocess").glob("checks*.py")
    nodes = [node for path in sources for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))]
    made = [node for node in nodes if isinstance(node, ast.Call) and ast.unparse(node.func) == "Check"]
    ids = {
        keyword.value.value
        for call in made
        for keyword in call.keywords
        if keyword.arg == "id" and isinstance(keyword.value, ast.Constant)
    }
    assert ids <= {check.id for check in found_checks()}


def test_what_is_said_about_the_photo_can_be_said() -> None:
    said = [
        *REASONS.values(),
        ANOTHER,
        motion_preview.MOVING,
        motion_preview.ABOUT,
        *Words(motion_preview.not_moved("")["moved_note"]).found,
    ]
    assert [text for text in said if not known(text)] == []
    with pytest.raises(InputError) as error:
        next(see_it_move(SimpleNamespace(), replace(BACKENDS["wan-animate"].defaults, mode="replace")))
    assert known(str(error.value))


@pytest.mark.parametrize("name", BACKENDS)
def test_what_a_model_needs_can_be_said(name: str) -> None:
    model = BACKENDS[name]
    assert known(model.gpu_wanted())
    assert all(map(known, Words(sight_note(name) + sight_note(name, drawing=True)).found))
    said = model.plan(replace(model.defaults, fps=3.0), num_driving_frames=600).warnings
    assert [text for text in said if not known(text)] == []
    with pytest.raises(InputError) as error:
        model.check(replace(model.defaults, num_frames=600, width=64, height=1528), ["memory_mode", "no_such_setting"])
    assert known(str(error.value))


def test_that_a_machine_cannot_hold_a_model_can_be_said(tmp_path: Path) -> None:
    (tmp_path / "weights.safetensors").write_bytes(b"0")
    with pytest.raises(InputError) as error, pytest.MonkeyPatch.context() as patch:
        patch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(total=0))
        check_main_memory("Wan-Animate", [tmp_path], most_gb=48)
    assert known(str(error.value))


@pytest.mark.parametrize("given", [(None, "b", True), ("a", None, True), ("a", "b", False)])
def test_what_a_visitor_forgets_can_be_said(given: tuple[str | None, str | None, bool]) -> None:
    with pytest.raises(InputError) as error:
        require(*given)
    assert known(str(error.value))


@pytest.mark.parametrize(
    "settings", [{"max_waiting_per_visitor": 1}, {"max_waiting": 1}, {"max_waiting": 1, "max_waiting_per_visitor": 9}]
)
@pytest.mark.parametrize("name", ["me", "another at my address", "elsewhere"])
def test_that_a_queue_is_full_can_be_said(settings: dict[str, int], name: str) -> None:
    queue = FairQueue(settings=ServerSettings(**settings))
    with ExitStack() as stack:
        for session in ("first", "me"):
            stack.enter_context(queue.join(Visitor(address="8.8.8.8", session=session), 60.0))
        address = "1.1.1.1" if name == "elsewhere" else "8.8.8.8"
        try:
            stack.enter_context(queue.join(Visitor(address=address, session=name), 60.0))
        except QueueFullError as error:
            assert_every_sentence_is_known(str(error))


@pytest.mark.parametrize(
    "error", [UnsavedResultError(Path("folder"), {"xdyna.mp4": b"x"}, "full"), InputError(NOT_UPLOADED)]
)
def test_what_went_wrong_with_a_file_can_be_said(error: Exception) -> None:
    assert_every_sentence_is_known(explained(error))


def assert_every_sentence_is_known(text: str) -> None:
    """As `language.js` says a text that is no phrase as a whole."""
    assert [part for part in re.split(r"(?<=[.!?]) (?=[A-Z“])", text) if not known(part)] == []


@pytest.mark.browser
@pytest.mark.parametrize(
    ("locale", "lang", "photo", "analyse", "missing"),
    [
        ("zh-CN", "zh-CN", "照片", "分析", "请先添加照片。"),
        ("ja-JP", "ja", "写真", "解析", "まず写真を追加してください。"),
        ("de-DE", "en", "Photo", "Analyse", "Add a photo first."),
    ],
)
def test_a_visitor_reads_the_language_of_the_browser(
    url: str, visit: Callable[..., "Page"], locale: str, lang: str, photo: str, analyse: str, missing: str
) -> None:
    page = visit(url, locale=locale)
    sync_api.expect(page.locator("html")).to_have_attribute("lang", lang)
    sync_api.expect(page.locator("#photo label").first).to_contain_text(photo)
    sync_api.expect(page.locator("#analyse")).to_have_text(analyse)
    sync_api.expect(page.locator("#analyse-reason")).to_have_text(missing)


@pytest.mark.browser
def test_a_visitor_switches_and_the_choice_outlives_a_reload(url: str, visit: Callable[..., "Page"]) -> None:
    page = visit(url)
    step, analyse = page.locator("[data-step=generate] b"), page.locator("#analyse")
    sync_api.expect(step).to_have_text("Generate")
    page.locator("[data-language=ja]").click()
    sync_api.expect(step).to_have_text("生成")
    sync_api.expect(page.locator("nav ol").locator("xpath=..")).to_have_attribute("aria-label", "画面")
    sync_api.expect(page.locator(".drop-hint")).to_have_text("ここにドロップすると結果から設定を復元します")
    page.reload()
    sync_api.expect(analyse).to_have_text("解析")
    page.locator("[data-language=zh]").click()
    sync_api.expect(analyse).to_have_text("分析")
    page.locator("[data-language=en]").click()
    sync_api.expect(analyse).to_have_text("Analyse")
    sync_api.expect(page.locator("[data-language=en]")).to_have_attribute("aria-pressed", "true")


@pytest.mark.browser
def test_what_the_server_says_meanwhile_is_said_too(url: str, visit: Callable[..., "Page"]) -> None:
    page = visit(url, locale="zh-CN")
    page.locator("#example-sea").click()
    part = page.locator("#part p")
    sync_api.expect(part).to_contain_text("1 个 16 帧的窗口")
    page.locator("[data-language=en]").click()
    sync_api.expect(part).to_have_text("2.0 s → 16 frames at 8 fps → 1 window of 16")
