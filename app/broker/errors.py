"""The one error of the embedded Kafka: what went wrong, and what to do about it."""

from enum import StrEnum
from pathlib import Path

TAIL_LINES = 15


class Reason(StrEnum):
    """Every way in which the embedded Kafka can fail."""

    PACKAGES = "packages"
    INDEX = "index"
    DISK = "disk"
    PORT = "port"
    JAVA = "java"
    FOLDER = "folder"
    FORMAT = "format"
    DEADLINE = "deadline"
    CONFLICT = "conflict"


class BrokerError(Exception):
    """The embedded Kafka cannot do what was asked; the message says what to do.

    Attributes:
        reason: Which of the ways to fail this is, for programs.
    """

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


# What Kafka writes when it gives up, the reason it stands for, and what a user can do. The first match wins.
_DIAGNOSES = (
    ("No space left on device", Reason.DISK, "the disk is full: free some space and start again"),
    ("Address already in use", Reason.PORT, "the port is taken by another program: choose another one"),
    (
        "Failed to acquire lock on file .lock",
        Reason.CONFLICT,
        "another Kafka, not started by Tidemark, uses this folder: stop it or choose another folder",
    ),
    ("Permission denied", Reason.FOLDER, "a file in the folder may not be read or written: mend its owner or mode"),
    *(
        (words, Reason.FORMAT, "the data was written by another Kafka: use another folder, or remove this one")
        for words in ("InconsistentClusterId", "InconsistentNodeId", "meta.properties", "No MetadataVersion")
    ),
)


def diagnose(log: Path, what: str) -> BrokerError:
    """Explain from the log why Java ended.

    Args:
        log: The broker's log.
        what: What was being done, for the first words of the message.

    Returns:
        The error to raise: with the known reason if the log names one, and always with the log's last lines.
    """
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    text = "\n".join(lines)
    reason, advice = next(
        ((reason, advice) for words, reason, advice in _DIAGNOSES if words in text),
        (Reason.JAVA, "the last lines of its log say why"),
    )
    tail = "\n".join(f"  {line}" for line in lines[-TAIL_LINES:]) or "  (the log is empty)"
    return BrokerError(reason, f"{what}: {advice}.\n{tail}\nThe whole log: {log}")
