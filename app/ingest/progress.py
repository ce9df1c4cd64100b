"""How far a source is read, on standard error, if that is a terminal."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from app.ingest.source import Source

Records = Iterable[tuple[bytes, bytes]]


@contextmanager
def progress(source: Source) -> Iterator[Callable[[Records], Records]]:
    """Show on standard error how far a source is read, if that is a terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(source.name, total=source.size)

        def shown(records: Records) -> Records:
            for one in records:
                bar.update(task, completed=source.done)
                yield one
            bar.update(task, completed=source.done)

        yield shown
