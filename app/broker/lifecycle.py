"""The life of the broker on a folder: its start, who joins and leaves it, its end.

The caller takes its turn first, so that each of these functions sees a folder that nobody else is changing.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from app.broker import jars, storage, supervisor
from app.broker.errors import BrokerError, Reason, diagnose
from app.broker.folder import Folder, State
from app.broker.lock import Lock, wait_until
from app.broker.ready import HOST, free_port, is_free, is_ready

# Another user's start: its download of the jars, its format and its wait for an answer.
TURN_SECONDS = 300.0
# The supervisor kills Java after its own, shorter deadline.
STOPPED_SECONDS = supervisor.STOP_SECONDS + 10.0
# From the supervisor's first step to its last before it listens: a recovery, at most, and Java's start.
STATE_SECONDS = 60.0
# Between finding a free port and Java's taking it, another program may take it.
PORT_ATTEMPTS = 3


@contextmanager
def turn(folder: Folder) -> Iterator[None]:
    """Take one's turn at starting, joining, leaving and stopping."""
    with Lock(folder.start_lock) as lock:
        if not wait_until(lock.try_exclusive, TURN_SECONDS):
            message = f"another program has been starting or stopping the broker for {TURN_SECONDS:.0f} s"
            raise BrokerError(Reason.DEADLINE, f"{message}: end that one; it uses {folder.start_lock}")
        yield


def share(folder: Folder, users: Lock) -> None:
    """Become a user; a supervisor that has begun to stop finishes first."""
    if not wait_until(users.try_shared, STOPPED_SECONDS):
        message = f"the broker in {folder.path} is stopping and does not end; see {folder.log}"
        raise BrokerError(Reason.DEADLINE, message)


def leave(folder: Folder, users: Lock) -> bool:
    """Stop being a user, end the broker if there is no other, and say whether it has ended."""
    try:
        with turn(folder):
            # Alone now, or the supervisor was quicker to notice; otherwise others share the lock.
            if users.try_exclusive() or not users.try_shared():
                stop(folder)
            return folder.is_stopped()
    finally:
        users.close()


def current_state(folder: Folder) -> State | None:
    """Return the state of the broker that runs now; None if none does.

    Its starter may have been killed before the supervisor wrote the state, so that has a moment to appear.
    """
    wait_until(lambda: folder.is_stopped() or folder.read_state() is not None, STATE_SECONDS)
    return None if folder.is_stopped() else folder.read_state()


def join_running(folder: Folder, port: int | None, properties: Mapping[str, str], seconds: float) -> int | None:
    """Wait for the running broker's answer and return its port; None if there is none, or none any more."""
    state = current_state(folder)
    # Java without a supervisor is a stray: nobody would end it.
    if state is None or not folder.is_supervised():
        return None
    if port not in (None, state.port):
        message = f"a broker runs in {folder.path} on port {state.port}, not {port}"
        raise BrokerError(Reason.CONFLICT, f"{message}: use that one, stop it first, or choose another folder")
    if names := storage.differing(folder, properties):
        message = f"a broker runs in {folder.path} with other properties ({', '.join(names)})"
        raise BrokerError(Reason.CONFLICT, f"{message}: stop it first, or choose another folder")
    return state.port if _answers(folder, state.port, seconds) else None


def _answers(folder: Folder, port: int, seconds: float) -> bool:
    if not wait_until(lambda: is_ready(port) or not folder.is_running(), seconds):
        message = f"Kafka in {folder.path} did not answer at {HOST}:{port} within {seconds:.0f} s"
        raise BrokerError(Reason.DEADLINE, f"{message}: the machine may be busy; see {folder.log}")
    return folder.is_running()


def start(folder: Folder, port: int | None, properties: Mapping[str, str], seconds: float) -> int:
    """Start a broker, wait for its answer and return its port."""
    java, classpath = jars.java(), jars.classpath()
    folder.check_space()
    if port is not None and not is_free(port):
        raise BrokerError(Reason.PORT, f"port {port} is taken by another program: choose another, or leave it to us")
    for attempt, wanted in enumerate(_candidates(folder, port), start=1):
        folder.rotate_log()
        storage.configure(folder, wanted, free_port(), properties)
        storage.ensure_formatted(folder, java, classpath)
        folder.forget_state()
        _supervise(folder, wanted, storage.command(folder, java, classpath))
        if _answers(folder, wanted, seconds):
            return wanted
        stop(folder)
        error = diagnose(folder.log, f"Kafka in {folder.path} ended before it was ready")
        if error.reason is not Reason.PORT or attempt == PORT_ATTEMPTS:
            raise error
    raise AssertionError  # the last attempt returns or raises


def _candidates(folder: Folder, port: int | None) -> list[int]:
    """Return the ports to try: the one asked for, else the last one, so that addresses stay, and then free ones."""
    if port is not None:
        return [port] * PORT_ATTEMPTS
    last = folder.read_state()
    first = last.port if last and is_free(last.port) else free_port()
    return [first, *(free_port() for _ in range(PORT_ATTEMPTS - 1))]


def _supervise(folder: Folder, port: int, command: list[str]) -> None:
    """Start the supervisor, which starts Java, and wait until both are there and the state is written."""
    with folder.log.open("ab") as log:
        subprocess.run(  # noqa: S603 -- our own interpreter with our own words
            [sys.executable, "-m", "app.broker", str(folder.path), str(port), *command],
            cwd=Path(__file__).parents[2],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
            check=False,
        )


def stop(folder: Folder) -> None:
    """End the broker, controlled if it still has a supervisor, and wait for the end."""
    state = current_state(folder)
    if state and folder.is_supervised():
        os.kill(state.supervisor, signal.SIGTERM)
    elif state and folder.is_running():
        os.kill(state.java, signal.SIGKILL)
    if not wait_until(folder.is_stopped, STOPPED_SECONDS):
        message = f"the broker in {folder.path} does not end: end it by hand; see {folder.log}"
        raise BrokerError(Reason.DEADLINE, message)
