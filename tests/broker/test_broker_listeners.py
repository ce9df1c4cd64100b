"""Further listeners of the embedded broker: for a proxy before it, or for users who log in."""

from pathlib import Path

from app.broker import storage
from app.broker.folder import Folder

FURTHER = {"listeners": "LOGIN://127.0.0.1:3", "advertised.listeners": "LOGIN://127.0.0.1:4"}


def test_further_listeners_stand_beside_the_brokers_own(tmp_path: Path) -> None:
    """They are kept by a restart, which passes on what it reads, and whose controller has another port."""
    folder = Folder(tmp_path)
    storage.configure(folder, 1, 2, FURTHER)
    storage.configure(folder, 1, 5, storage.read_properties(folder))
    found = storage.read_properties(folder)
    assert found["listeners"] == "PLAINTEXT://127.0.0.1:1,CONTROLLER://127.0.0.1:5,LOGIN://127.0.0.1:3"
    assert found["advertised.listeners"] == "PLAINTEXT://127.0.0.1:1,LOGIN://127.0.0.1:4"


def test_without_further_ones_the_broker_has_its_own(tmp_path: Path) -> None:
    """As ever."""
    folder = Folder(tmp_path)
    storage.configure(folder, 1, 2, {})
    assert storage.read_properties(folder)["listeners"] == "PLAINTEXT://127.0.0.1:1,CONTROLLER://127.0.0.1:2"


def test_a_running_broker_is_joined_by_whoever_wants_the_same_further_listeners(tmp_path: Path) -> None:
    """Its own are not what anybody asked for."""
    folder = Folder(tmp_path)
    storage.configure(folder, 1, 2, FURTHER)
    assert storage.differing(folder, FURTHER) == []
    assert storage.differing(folder, FURTHER | {"listeners": "LOGIN://127.0.0.1:9"}) == ["listeners"]
