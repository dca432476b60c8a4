"""Shared fixtures. Outside data is used only where XDYNA_TEST_DATA names its folder."""

import os
from pathlib import Path

import pytest

# Tiny networks gain nothing from a second thread, and a browser beside them, or another test, needs that core.
os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported; programs that tests start inherit it

import xdyna.models  # noqa: F401  (its torchvision guard must run before anything imports diffusers)


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The folder of outside test data; skips the test where there is none."""
    folder = os.environ.get("XDYNA_TEST_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("XDYNA_TEST_DATA does not name a folder: this test needs pictures and clips that may not ship")
    return Path(folder)


@pytest.fixture(scope="session")
def golden() -> Path:
    return Path(__file__).parent / "golden"
