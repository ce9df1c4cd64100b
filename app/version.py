"""Which Tidemark this is."""

from importlib import metadata


def version() -> str:
    """The installed version; a checkout that was never installed has none."""
    try:
        return metadata.version("tidemark")
    except metadata.PackageNotFoundError:
        return "unreleased"
