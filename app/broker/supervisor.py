"""The process between the users and Java: it lives as long as anybody needs the broker, and not longer.

A user may be killed at any moment and can then stop nothing. So each user holds a shared lock, which the kernel takes
back whatever happens, and the supervisor waits for the same lock alone: when it gets it, the last user has left.

Signals: SIGTERM stops the broker now; SIGUSR1 keeps it although nobody uses it; SIGUSR2 takes that back.
"""

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

from app.broker import recovery
from app.broker.folder import Folder, State
from app.broker.lock import Lock

STOP_SECONDS = 20.0
KEEP = signal.SIGUSR1
RELEASE = signal.SIGUSR2
SIGNALS = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD, KEEP, RELEASE}
PR_SET_PDEATHSIG = 1
ENDED_BY_SIGTERM = 128 + signal.SIGTERM  # Java's exit code when it has run its shutdown hooks


def main(arguments: list[str]) -> None:
    """Run the broker in a process of its own until nobody needs it.

    Args:
        arguments: The folder, the port, and the command that runs Java.
    """
    folder = Folder(Path(arguments[0]))
    if os.fork():
        # The starter need not outlive us, so it must not be our parent: its child would stay behind as a zombie.
        os._exit(0)
    os.chdir(folder.path)
    with Lock(folder.supervisor_lock) as own:
        own.exclusive()
        command = arguments[2:]
        if folder.unclean.exists():
            recovery.fence(folder, command, lambda changed: _start_java(folder, changed))
        folder.unclean.touch()
        java = _start_java(folder, command)
        _listen_for_signals()
        state = State(supervisor=os.getpid(), java=java.pid, port=int(arguments[1]), started=time.time())
        folder.write_state(state)
        threading.Thread(target=_wait_for_last_user, args=(folder,), daemon=True).start()
        _let_starter_go()
        _watch(folder, java, state)


def _start_java(folder: Folder, command: list[str]) -> subprocess.Popen[bytes]:
    prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else None

    def end_with_supervisor() -> None:
        # If even the supervisor is killed, Linux tells Java; elsewhere the next start finds the stray and ends it.
        if prctl:
            prctl(PR_SET_PDEATHSIG, signal.SIGTERM)

    with Lock(folder.java_lock) as lock, folder.log.open("ab") as log:
        lock.exclusive()
        # Java inherits the lock and is then the only one to hold it: it is free exactly when Java is gone.
        return subprocess.Popen(  # noqa: S603 -- the starter's own words
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=(lock.fileno(),),
            preexec_fn=end_with_supervisor,  # noqa: PLW1509 -- there are no threads yet
        )


def _listen_for_signals() -> None:
    """Let signals wait until we ask for them. After Java's start, which would inherit that."""
    # A signal that is ignored, as SIGCHLD by default, may be dropped even while blocked.
    signal.signal(signal.SIGCHLD, lambda _signal, _frame: None)
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)


def _wait_for_last_user(folder: Folder) -> None:
    users = Lock(folder.users_lock)
    users.exclusive()
    # Held until the process ends, so whoever comes now waits for that end and then starts anew.
    os.kill(os.getpid(), signal.SIGTERM)


def _let_starter_go() -> None:
    """Close what we share with the starter, which waits for the end of our output."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)
    os.close(nothing)


def _watch(folder: Folder, java: subprocess.Popen[bytes], state: State) -> None:
    with Lock(folder.users_lock) as keep:
        while java.poll() is None:
            match signal.sigwait(SIGNALS):
                case signal.SIGCHLD:
                    continue
                case signal.SIGUSR1:
                    state = replace(state, kept=keep.try_shared())
                case signal.SIGUSR2:
                    keep.release()
                    state = replace(state, kept=False)
                case _:
                    _stop(folder, java)
                    return
            folder.write_state(state)


def _stop(folder: Folder, java: subprocess.Popen[bytes]) -> None:
    java.terminate()
    # A stopped process takes no SIGTERM until it goes on.
    java.send_signal(signal.SIGCONT)
    try:
        java.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        java.kill()
        java.wait()
    # Java may have been killed before it was told to end, too; we hear of both at once.
    if java.returncode == ENDED_BY_SIGTERM:
        folder.unclean.unlink(missing_ok=True)
