"""A broker of a test's own with logins and access rights: the anonymous listener is the administrator's.

Users log in by SASL PLAIN at a second listener. They may do everything, until something is denied them.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import NamedTuple

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.protocol.admin import CreateAclsRequest, DeleteAclsRequest

from app.broker import Broker, embedded
from app.broker.ready import HOST, free_port

USER, PASSWORD = "worker", "let-me-in"
TOPIC, GROUP, CLUSTER, TRANSACTIONAL_ID = 2, 3, 4, 5  # Kafka's numbers
ALL, READ, WRITE, DESCRIBE = 2, 3, 4, 8
DENY, ALLOW = 2, 3
LITERAL = 3  # the name as it is; `*` stands for all


class Secured(NamedTuple):
    """The broker, and where users log in."""

    broker: Broker
    servers: str

    def variables(self) -> dict[str, str]:
        """The environment of a worker that logs in."""
        return {
            "KAFKA_BOOTSTRAP_SERVERS": self.servers,
            "TIDEMARK_SECURITY_PROTOCOL": "SASL_PLAINTEXT",
            "TIDEMARK_SASL_MECHANISM": "PLAIN",
            "TIDEMARK_SASL_USERNAME": USER,
            "TIDEMARK_SASL_PASSWORD": PASSWORD,
        }

    @asynccontextmanager
    async def denied(self, resource: int, name: str, operation: int) -> AsyncIterator[None]:
        """Deny the user an operation as long as the block runs."""
        await self.alter(CreateAclsRequest, resource, name, operation, DENY)
        try:
            yield
        finally:
            await self.alter(DeleteAclsRequest, resource, name, operation, DENY)

    async def alter(
        self, request: type[CreateAclsRequest | DeleteAclsRequest], resource: int, name: str, operation: int, what: int
    ) -> None:
        """Add or take away a rule about the user."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self.broker.bootstrap_servers)
        await admin.start()
        try:
            answer = await admin._send_request(request(resource, name, LITERAL, f"User:{USER}", "*", operation, what))
            results = answer.creation_responses if request is CreateAclsRequest else answer.filter_responses
            assert [result[0] for result in results] == [0], answer
        finally:
            await admin.close()


@contextmanager
def secured(folder: Path) -> Iterator[Secured]:
    """Start the broker; whoever logs in may not do anything yet."""
    port = free_port()
    properties = {
        "listeners": f"LOGIN://{HOST}:{port}",
        "advertised.listeners": f"LOGIN://{HOST}:{port}",
        "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,LOGIN:SASL_PLAINTEXT",
        "sasl.enabled.mechanisms": "PLAIN",
        "listener.name.login.plain.sasl.jaas.config": (
            f'org.apache.kafka.common.security.plain.PlainLoginModule required user_{USER}="{PASSWORD}";'
        ),
        "connection.failed.authentication.delay.ms": "0",
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": "User:ANONYMOUS",
    }
    with embedded(folder, properties=properties) as broker:
        yield Secured(broker, f"{HOST}:{port}")
