"""Several devices: runs at the same time, one on each, with the same results as on one."""

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from backends.tiny_backends import FPS, HEIGHT, WIDTH, tiny_conditions

import xdyna.backends
from xdyna.animate import animate
from xdyna.backends import BACKENDS, load
from xdyna.backends.devices import Devices, all_devices
from xdyna.compare.run import compare
from xdyna.compare.take import Take
from xdyna.compare.variants import Variant
from xdyna.schema import Animation, InputError, Progress

TWO = ("cpu:0", "cpu:1")
PATIENCE_S = 60.0
CONDITIONS = tiny_conditions(3)
SETTINGS = replace(
    BACKENDS["xdyna-mini"].defaults, height=HEIGHT, width=WIDTH, num_frames=3, fps=FPS, num_inference_steps=2
)
VARIANTS = [
    Variant(label=name, changes={"adapter_strength": strength})
    for name, strength in {"Soft": 0.5, "Usual": 1.0, "Strong": 1.5}.items()
]


@pytest.fixture
def two_workers(monkeypatch: pytest.MonkeyPatch) -> Iterator[Devices]:
    pool = Devices(TWO)
    monkeypatch.setattr(xdyna.backends, "all_devices", lambda: pool)
    yield pool
    for device in TWO:
        xdyna.backends._LOADED.pop(device, None)


def test_each_device_is_lent_to_one_at_a_time() -> None:
    pool, lent, most = Devices(TWO), list[str | None](), list[int]()

    def run(_: int) -> None:
        with pool.borrow("a") as device:
            assert device not in lent
            lent.append(device)
            most.append(len(lent))
            lent.remove(device)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(run, range(200)))
    assert max(most) <= len(pool) == 2


def test_both_are_lent_at_the_same_time_and_a_third_run_waits() -> None:
    pool, third = Devices(TWO), threading.Event()

    def wait() -> None:
        with pool.borrow("a"):
            third.set()

    with pool.borrow("a") as one, pool.borrow("a") as other:
        assert {one, other} == set(TWO)
        thread = threading.Thread(target=wait)
        thread.start()
        assert not third.wait(0.1)
    thread.join(PATIENCE_S)
    assert third.is_set()


def test_a_model_goes_where_its_weights_are_and_another_where_nobody_was_for_longest() -> None:
    pool = Devices(("0", "1", "2"))

    def device_for(model: str) -> str | None:
        with pool.borrow(model) as device:
            return device

    assert [device_for(model) for model in "abaabcd"] == ["0", "1", "0", "0", "1", "2", "0"]


def test_a_run_that_fails_returns_its_device() -> None:
    pool = Devices(("0",))
    with pytest.raises(RuntimeError), pool.borrow("a"):
        raise RuntimeError
    with pool.borrow("a") as device:
        assert device == "0"


@pytest.mark.parametrize(
    ("named", "gpus", "expected"),
    [
        ("", 0, (None,)),
        ("", 1, (None,)),  # as ever
        ("", 3, ("cuda:0", "cuda:1", "cuda:2")),
        ("cuda:0, cuda:2", 3, ("cuda:0", "cuda:2")),
        ("cpu", 3, ("cpu",)),
    ],
)
def test_all_gpus_are_used_unless_some_are_named(
    monkeypatch: pytest.MonkeyPatch, named: str, gpus: int, expected: Sequence[str | None]
) -> None:
    monkeypatch.setenv("XDYNA_DEVICES", named)
    monkeypatch.setattr("xdyna.backends.devices.num_gpus", lambda: gpus)
    assert all_devices.__wrapped__().names == tuple(expected)


def test_a_device_that_is_named_twice_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDYNA_DEVICES", "cuda:0,cuda:0")
    with pytest.raises(InputError, match="Name each device once"):
        all_devices.__wrapped__()


def frames(seed: int) -> np.ndarray:
    *_, last = animate(CONDITIONS, replace(SETTINGS, seed=seed), "xdyna-mini")
    assert isinstance(last, Animation)
    return last.video.frames


@pytest.mark.usefixtures("two_workers")
def test_two_runs_compute_at_the_same_time_and_give_what_one_worker_gives() -> None:
    alone = [frames(seed) for seed in (1, 2)]
    together = threading.Barrier(2)  # neither UNet goes on before the other has begun

    def meet(*_: object) -> None:
        together.wait(PATIENCE_S)

    for device in TWO:
        load("xdyna-mini", device).pipeline.unet.register_forward_pre_hook(meet)  # type: ignore[attr-defined]
    with ThreadPoolExecutor(2) as threads:
        made = list(threads.map(frames, (1, 2)))
    for mine, expected in zip(made, alone, strict=True):
        assert np.array_equal(mine, expected)


def takes(at_once: int) -> tuple[list[Take], list[str]]:
    events = list(compare(CONDITIONS, SETTINGS, VARIANTS, "xdyna-mini", at_once=at_once))
    phases = [event.phase for event in events if isinstance(event, Progress)]
    return [event for event in events if isinstance(event, Take)], phases


def test_variants_run_over_the_free_devices_and_come_in_their_order(two_workers: Devices) -> None:
    expected, phases = takes(at_once=1)
    assert phases == sorted(phases, key=lambda phase: phase.split("(")[1][0])  # one after another
    got, mixed = takes(at_once=len(two_workers))
    assert [take.label for take in got] == [take.label for take in expected] == ["Soft", "Usual", "Strong"]
    for mine, theirs in zip(got, expected, strict=True):
        assert np.array_equal(mine.video.frames, theirs.video.frames)
    assert sorted(mixed) == sorted(phases)
    assert two_workers._models == dict.fromkeys(TWO, "xdyna-mini")  # both took part


def test_idle_devices_help_until_somebody_waits_for_one() -> None:
    pool, arrived = Devices(("0", "1", "2", "3")), threading.Event()

    def arrive() -> None:
        with pool.borrow("a"):
            arrived.set()

    with pool.borrow("a") as mine, pool.borrow_idle("a") as idle:
        assert (mine, idle(0), idle(1), idle(9)) == ("0", [], ["1"], ["1", "2", "3"])
        thread = threading.Thread(target=arrive)
        thread.start()
        assert not arrived.wait(0.1)
        assert idle(9) == []
        thread.join(PATIENCE_S)
        assert arrived.is_set()
        assert sorted(idle(9)) == ["1", "2", "3"]
    with pool.borrow_idle("a") as idle:
        assert len(idle(9)) == 4


def test_a_device_that_holds_another_model_does_not_help() -> None:
    pool = Devices(("0", "1"))
    with pool.borrow("a"), pool.borrow("b"):
        pass
    with pool.borrow("a"), pool.borrow_idle("a") as idle:
        assert idle(9) == []


@pytest.mark.usefixtures("two_workers")
def test_the_windows_of_a_long_clip_run_on_both_workers() -> None:
    conditions = tiny_conditions(10)
    settings = replace(SETTINGS, num_frames=10, context_frames=4, context_overlap=1, seed=3)
    calls: dict[str, int] = dict.fromkeys(TWO, 0)

    def made() -> np.ndarray:
        *_, last = animate(conditions, settings, "xdyna-mini")
        assert isinstance(last, Animation)
        return last.video.frames

    def counting(device: str) -> object:
        def count(*_: object) -> None:
            calls[device] += 1

        return count

    for device in TWO:
        load("xdyna-mini", device).pipeline.unet.register_forward_pre_hook(counting(device))  # type: ignore[attr-defined]
    together = made()
    assert calls == dict.fromkeys(TWO, 4)  # two steps of four windows
    with xdyna.backends.all_devices().borrow("xdyna-mini"):
        alone = made()
    assert sorted(calls.values()) == [4, 12]
    assert np.abs(together.astype(int) - alone).max() <= 1
