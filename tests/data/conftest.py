import pytest

from bigmodel_lib.data import download
from tests.data.local_server import local_server


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache folder, and little patience."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("BIGMODEL_CACHE", str(folder))
    monkeypatch.setattr(download, "TIMEOUT", (1.0, 0.5))
    return folder


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")  # a proxy would answer for our dead ports
    with local_server() as running:
        yield running
