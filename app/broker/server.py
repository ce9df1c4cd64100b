"""One broker per folder, shared by all who ask for it: start it or join it, leave it, restart it."""

import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from app.broker import lifecycle, storage, supervisor
from app.broker.errors import BrokerError, Reason, diagnose
from app.broker.folder import Folder, State, home
from app.broker.lock import Lock, wait_until
from app.broker.ready import HOST

READY_SECONDS = 60.0


class Broker:
    """A user's part in a running broker; the last one to leave ends it."""

    def __init__(self, folder: Folder, users: Lock, port: int, ready_seconds: float) -> None:
        self._folder = folder
        self._users = users
        self._port = port
        self._ready_seconds = ready_seconds

    @property
    def folder(self) -> Path:
        """The folder with data, configuration and log."""
        return self._folder.path

    @property
    def log_path(self) -> Path:
        """Java's log."""
        return self._folder.log

    @property
    def port(self) -> int:
        """The port on 127.0.0.1, the same after a restart."""
        return self._port

    @property
    def bootstrap_servers(self) -> str:
        """The address for clients."""
        return f"{HOST}:{self.port}"

    @property
    def java_pid(self) -> int:
        """Java's process id, another one after a restart."""
        return self._state.java

    def keep(self) -> None:
        """Let the broker live on after its last user, until `release`, `stop` or `tidemark broker stop`."""
        self._tell(supervisor.KEEP, kept=True)

    def release(self) -> None:
        """Take `keep` back: the last user's leaving ends the broker again."""
        self._tell(supervisor.RELEASE, kept=False)

    def restart(self) -> None:
        """Start the broker again on the same port with the same properties, whether it still runs or not.

        Raises:
            BrokerError: It does not stop or does not start.
        """
        with lifecycle.turn(self._folder):
            before = self._folder.read_state()
            properties = storage.read_properties(self._folder)
            lifecycle.stop(self._folder)
            lifecycle.start(self._folder, self._port, properties, self._ready_seconds)
        if before and before.kept:
            self.keep()

    def stop(self) -> None:
        """Stop the broker now, whoever else uses it.

        Raises:
            BrokerError: It does not stop.
        """
        with lifecycle.turn(self._folder):
            lifecycle.stop(self._folder)

    def leave(self) -> bool:
        """Give up this part in the broker and wait for its end if nobody else needs it.

        Returns:
            Whether the broker has ended.
        """
        return lifecycle.leave(self._folder, self._users)

    @property
    def _state(self) -> State:
        state = self._folder.read_state()
        if state is None:
            raise diagnose(self.log_path, f"the broker in {self.folder} has ended")
        return state

    def _tell(self, what: signal.Signals, *, kept: bool) -> None:
        with lifecycle.turn(self._folder):
            if not self._folder.is_supervised():
                raise diagnose(self.log_path, f"the broker in {self.folder} has ended")
            os.kill(self._state.supervisor, what)
            if not wait_until(lambda: self._state.kept is kept, self._ready_seconds):
                raise BrokerError(Reason.DEADLINE, f"the supervisor of {self.folder} does not answer; see its log")


def default_folder() -> Path:
    """Return the folder of the broker that all commands share."""
    return home() / "kafka"


@contextmanager
def embedded(
    folder: Path | None = None,
    port: int | None = None,
    properties: Mapping[str, str] | None = None,
    ready_seconds: float = READY_SECONDS,
) -> Iterator[Broker]:
    """Use the broker on a folder: the one that runs there already, or a new one.

    Args:
        folder: Where its data survives; by default the one that all commands share.
        port: Its port on 127.0.0.1; by default the one it had last, or a free one.
        properties: Kafka's broker properties, which win over ours; listeners of other names stand beside ours.
        ready_seconds: How long Java may take until it answers.

    Yields:
        The broker, ready. It ends with its last user, even one that is killed.

    Raises:
        BrokerError: There is no broker to be had; the message says why and what to do.
    """
    broker = join(folder, port, properties, ready_seconds)
    try:
        yield broker
    finally:
        broker.leave()


def join(
    folder: Path | None = None,
    port: int | None = None,
    properties: Mapping[str, str] | None = None,
    ready_seconds: float = READY_SECONDS,
) -> Broker:
    """Do what `embedded` does without its end: the caller calls `leave`."""
    place = Folder((folder or default_folder()).absolute())
    with place.explained():
        place.prepare()
        users = Lock(place.users_lock)
        try:
            with lifecycle.turn(place):
                lifecycle.share(place, users)
                found = lifecycle.join_running(place, port, properties or {}, ready_seconds)
                if found is None:
                    lifecycle.stop(place)
                    found = lifecycle.start(place, port, properties or {}, ready_seconds)
        except BaseException:
            lifecycle.leave(place, users)
            raise
    return Broker(place, users, found, ready_seconds)


def find(folder: Path | None = None) -> Broker | None:
    """Join the broker that runs on a folder, whether it answers or not; None if there is none."""
    place = Folder((folder or default_folder()).absolute())
    if not place.is_supervised():
        return None
    with place.explained():
        users = Lock(place.users_lock)
        try:
            with lifecycle.turn(place):
                lifecycle.share(place, users)
                state = lifecycle.current_state(place)
        except BaseException:
            users.close()
            raise
    if state is None:
        users.close()
        return None
    return Broker(place, users, state.port, READY_SECONDS)


@contextmanager
def bootstrap(servers: str | None = None, folder: Path | None = None) -> Iterator[str]:
    """Find Kafka: the servers given, else `KAFKA_BOOTSTRAP_SERVERS`, else the embedded one.

    Args:
        servers: Kafka's addresses, from an option or a setting.
        folder: of the embedded one; by default the one that all commands share.

    Yields:
        Kafka's addresses for clients.

    Raises:
        BrokerError: No servers are named and the embedded broker cannot be had.
    """
    if given := servers or os.environ.get("KAFKA_BOOTSTRAP_SERVERS"):
        yield given
        return
    with embedded(folder) as broker:
        yield broker.bootstrap_servers
