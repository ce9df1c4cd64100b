"""The broker's folder: where everything lies, whether it can be used, and who runs on it."""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from errno import EDQUOT, ENOSPC
from pathlib import Path

from app.broker.errors import BrokerError, Reason
from app.broker.jars import KAFKA_VERSION
from app.broker.lock import is_held

ELSEWHERE = "choose another folder with TIDEMARK_HOME (or --data of demo, --folder of broker)"
KEPT_LOGS = 3
# An idle broker with the demo's topics takes about 50 MB; below this Kafka would fail in the middle of a run.
FREE_BYTES = 512 * 1024 * 1024


def home() -> Path:
    """Return this user's data folder: `$TIDEMARK_HOME`, or `tidemark` among the user's application data."""
    if given := os.environ.get("TIDEMARK_HOME"):
        return Path(given).expanduser()
    shared = os.environ.get("XDG_DATA_HOME")
    return (Path(shared) if shared else Path.home() / ".local" / "share") / "tidemark"


def announcement() -> str:
    """What to say before Kafka is started: a first start takes long, and why."""
    starting = f"Starting Kafka {KAFKA_VERSION}"
    return starting if _is_downloaded() else f"{starting}; the first start downloads 45 MB"


def _is_downloaded() -> bool:
    try:
        from jgo.config import GlobalSettings  # noqa: PLC0415 -- without jgo nothing is downloaded; `java` says so
    except ImportError:
        return True
    jars = Path(GlobalSettings.load().repo_cache) / "org/apache/kafka/kafka_2.13" / KAFKA_VERSION
    return any(jars.glob("*.jar"))


@dataclass(frozen=True)
class State:
    """The broker last started on a folder. Whether it still lives is for the locks to say, never for this file."""

    supervisor: int
    java: int
    port: int
    started: float
    kept: bool = False


@dataclass(frozen=True)
class Folder:
    """A folder with one broker's data, configuration, log and state."""

    path: Path

    @property
    def data(self) -> Path:
        """Kafka's own files."""
        return self.path / "data"

    @property
    def log(self) -> Path:
        """What Java prints."""
        return self.path / "broker.log"

    @property
    def properties(self) -> Path:
        """Kafka's configuration, written anew at every start."""
        return self.path / "server.properties"

    @property
    def logging(self) -> Path:
        """The configuration of Kafka's logging, written anew at every start."""
        return self.path / "log4j2.properties"

    @property
    def version(self) -> Path:
        """Which Kafka wrote the data."""
        return self.path / "kafka.version"

    @property
    def unclean(self) -> Path:
        """There while Java runs, and afterwards if it did not end by itself."""
        return self.path / "unclean"

    @property
    def start_lock(self) -> Path:
        """Held while somebody starts, joins, leaves or stops the broker: one at a time."""
        return self.path / "start.lock"

    @property
    def users_lock(self) -> Path:
        """Shared by all users; who gets it alone knows that nobody needs the broker any more."""
        return self.path / "users.lock"

    @property
    def supervisor_lock(self) -> Path:
        """Held by the supervisor as long as it lives."""
        return self.path / "supervisor.lock"

    @property
    def java_lock(self) -> Path:
        """Held by Java as long as it lives, so a process id in the state cannot be a stranger's."""
        return self.path / "java.lock"

    def is_running(self) -> bool:
        """Say whether Java lives."""
        return is_held(self.java_lock)

    def is_supervised(self) -> bool:
        """Say whether the supervisor lives."""
        return is_held(self.supervisor_lock)

    def is_stopped(self) -> bool:
        """Say whether neither Java nor its supervisor lives."""
        return not self.is_running() and not self.is_supervised()

    def read_state(self) -> State | None:
        """Return the state of the broker last started here, or None if there never was one."""
        try:
            return State(**json.loads(self._state.read_bytes()))
        except (FileNotFoundError, ValueError, TypeError):
            return None

    def write_state(self, state: State) -> None:
        """Write the state so that a reader sees all of the old or all of the new."""
        draft = self._state.with_suffix(".draft")
        draft.write_text(json.dumps(asdict(state)))
        draft.replace(self._state)

    def forget_state(self) -> None:
        """Remove the state before a new start, so that nobody takes an old process id for the new one's."""
        self._state.unlink(missing_ok=True)

    def prepare(self) -> None:
        """Create the folder where it is missing, and write to it: it can exist and yet refuse (another owner)."""
        self.path.mkdir(parents=True, exist_ok=True)
        with self.start_lock.open("ab"):
            pass

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Turn what the operating system refuses in this folder into an error that says what to do.

        Raises:
            BrokerError: The disk is full, or the folder cannot be used.
        """
        try:
            yield
        except OSError as error:
            if error.errno in (ENOSPC, EDQUOT):
                message = f"no space left at {self.path}: free some space, or {ELSEWHERE}"
                raise BrokerError(Reason.DISK, message) from error
            message = f"the folder {self.path} cannot be used ({error}): {ELSEWHERE}"
            raise BrokerError(Reason.FOLDER, message) from error

    def check_space(self) -> None:
        """Refuse to start on a disk that is nearly full.

        Raises:
            BrokerError: There is too little space.
        """
        free = shutil.disk_usage(self.path).free
        if free < FREE_BYTES:
            message = (
                f"{free // 2**20} MB are free at {self.path}, Kafka needs {FREE_BYTES // 2**20} MB: free some space"
            )
            raise BrokerError(Reason.DISK, f"{message}, or {ELSEWHERE}")

    def rotate_log(self) -> None:
        """Begin a new log and keep the last few, so that years of starts do not fill the disk."""
        for age in range(KEPT_LOGS - 1, 0, -1):
            older = self.log.with_suffix(f".log.{age}")
            if older.exists():
                older.replace(self.log.with_suffix(f".log.{age + 1}"))
        if self.log.exists():
            self.log.replace(self.log.with_suffix(".log.1"))
        self.log.touch()

    @property
    def _state(self) -> Path:
        return self.path / "state.json"
