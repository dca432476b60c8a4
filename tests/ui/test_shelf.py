"""Results on the server: private, bounded, and gone in time."""

import os
import time
from pathlib import Path

import pytest

from xdyna.ui.shelf import Shelf


def put(shelf: Shelf, size: int = 10, age_s: float = 0.0) -> str:
    place = shelf.new()
    (place / "xdyna.mp4").write_bytes(b"x" * size)
    moment = time.time() - age_s
    os.utime(place, (moment, moment))
    return place.name


def test_a_result_is_found_by_its_id_only(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "shelf")
    first, second = put(shelf), put(shelf)
    assert first != second and len(first) == 32
    assert (shelf.find(first) / "xdyna.mp4").read_bytes() == b"x" * 10
    assert shelf.folder.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("id", ["", "..", "../shelf", "/etc", ".", "*", "a" * 31, "a" * 32, None, 7, ["a" * 32]])
def test_anything_else_finds_nothing(tmp_path: Path, id: object) -> None:
    shelf = Shelf(tmp_path)
    put(shelf)
    assert shelf.find(id) is None


def test_what_has_expired_is_neither_found_nor_kept(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, max_age_s=100)
    old, young = put(shelf, age_s=101), put(shelf, age_s=50)
    assert shelf.find(old) is None and shelf.find(young)
    shelf.sweep()
    assert [place.name for place in tmp_path.iterdir()] == [young]


def test_the_oldest_go_when_there_is_too_much(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, max_bytes=250)
    ids = [put(shelf, size=100, age_s=age) for age in (30, 20, 10)]
    shelf.sweep()
    assert [bool(shelf.find(id)) for id in ids] == [False, True, True]


def test_it_is_swept_without_visitors(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, max_age_s=100)
    put(shelf, age_s=101)
    shelf.sweep_on_schedule(every_s=3600)
    give_up_at = time.monotonic() + 10
    while any(tmp_path.iterdir()):
        assert time.monotonic() < give_up_at
        os.sched_yield()
