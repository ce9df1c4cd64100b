"""The map of a folder in its docstring names every file, and no other."""

import re
from pathlib import Path
from types import ModuleType

import pytest

import tables
from app import engine


@pytest.mark.parametrize("folder", [tables, engine], ids=lambda folder: folder.__name__)
def test_every_file_is_on_its_folders_map(folder: ModuleType) -> None:
    """Whoever looks for a domain's parts, or for those of the engine, finds them."""
    named = set(re.findall(r"`(\w+(?:\.py|/))`", folder.__doc__ or ""))
    inside = [path for path in Path(folder.__path__[0]).iterdir() if not path.name.startswith("__")]
    assert named == {f"{path.name}/" if path.is_dir() else path.name for path in inside}
