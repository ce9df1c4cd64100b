"""The ids of topics: a topic that was deleted and created anew has another one, whatever its offsets are.

Kafka tells them since 2.8 (KIP-516) in Metadata from version 10 on; aiokafka speaks versions 0 to 5. So the request is
declared here, for this one question.
"""

from collections.abc import Iterable
from io import BytesIO
from typing import Any

from aiokafka import AIOKafkaClient
from aiokafka.errors import IncompatibleBrokerVersion
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import (
    AbstractType,
    Boolean,
    CompactArray,
    CompactString,
    Int16,
    Int32,
    Schema,
    TaggedFields,
)

from app.admin import ask_any

UUID_BYTES = 16
NOTED_BYTES = 8  # of an id are noted with the rows: enough to tell two topics of one name apart
_METADATA = 3


class Uuid(AbstractType[bytes]):
    """16 bytes."""

    @classmethod
    def encode(cls, value: bytes) -> bytes:
        """As they are."""
        return value

    @classmethod
    def decode(cls, data: BytesIO) -> bytes:
        """As they are."""
        return data.read(UUID_BYTES)


class _Response(Response):
    API_KEY = _METADATA
    API_VERSION = 10
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "brokers",
            CompactArray(
                ("node_id", Int32),
                ("host", CompactString("utf-8")),
                ("port", Int32),
                ("rack", CompactString("utf-8")),
                ("tags", TaggedFields),
            ),
        ),
        ("cluster_id", CompactString("utf-8")),
        ("controller_id", Int32),
        (
            "topics",
            CompactArray(
                ("error_code", Int16),
                ("name", CompactString("utf-8")),
                ("topic_id", Uuid),
                ("is_internal", Boolean),
                (
                    "partitions",
                    CompactArray(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", CompactArray(Int32)),
                        ("in_sync", CompactArray(Int32)),
                        ("offline", CompactArray(Int32)),
                        ("tags", TaggedFields),
                    ),
                ),
                ("authorized_operations", Int32),
                ("tags", TaggedFields),
            ),
        ),
        ("cluster_authorized_operations", Int32),
        ("tags", TaggedFields),
    )


class _RequestV10(RequestStruct):
    API_KEY = _METADATA
    API_VERSION = 10
    RESPONSE_TYPE = _Response
    FLEXIBLE_VERSION = True
    SCHEMA = Schema(
        (
            "topics",
            CompactArray(("topic_id", Uuid), ("name", CompactString("utf-8")), ("tags", TaggedFields)),
        ),
        ("allow_auto_topic_creation", Boolean),
        ("include_cluster_authorized_operations", Boolean),
        ("include_topic_authorized_operations", Boolean),
        ("tags", TaggedFields),
    )


class _IdsOf(Request[_RequestV10]):
    API_KEY = _METADATA

    def __init__(self, topics: Iterable[str]) -> None:
        self._topics = list(topics)

    def build(self, request_struct_class: type[_RequestV10]) -> _RequestV10:
        """The request, in the only version that is known here."""
        topics: list[Any] = [(bytes(UUID_BYTES), topic, {}) for topic in self._topics]
        return request_struct_class(topics, False, False, False, {})


async def topic_ids(client: AIOKafkaClient, topics: Iterable[str]) -> dict[str, int]:
    """Of each topic that exists, a positive number made of its id. Empty where the brokers are older than 2.8."""
    try:
        answer: Any = await ask_any(client, _IdsOf(topics))
    except (IncompatibleBrokerVersion, NotImplementedError):  # aiokafka says so for brokers older than 2.8
        return {}
    found = {topic[1]: topic[2] for topic in answer.topics if not topic[0]}
    return {name: int.from_bytes(id_[:NOTED_BYTES], "big") >> 1 or 1 for name, id_ in found.items() if any(id_)}
