"""What replaces parts of aiokafka's sender, so that a transaction that went wrong never touches the next one."""

import asyncio
import time
from contextlib import suppress
from typing import Any

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import BrokerResponseError, KafkaError, NodeNotReadyError, ProducerFenced
from aiokafka.producer.sender import EndTxnHandler, SendProduceReqHandler, TxnOffsetCommitHandler

from app.rings import forget

RECONNECT_SECONDS = (0.1, 0.2, 0.5, 1.0)  # between attempts to reach a broker; the last one repeats


class UnansweredRequestError(ProducerFenced):
    """The broker did not answer a request that could spoil the *next* transaction if it arrived late (KAFKA-17754).

    A late EndTxn would end it, a late TxnOffsetCommit put an older offset into it. aiokafka would repeat the request
    and go on under the same epoch, so nothing could tell a late one apart. A subclass of ProducerFenced, because
    aiokafka's sender lets that one through and stops: this producer is finished, and the fence of the next one raises
    the epoch.
    """


async def ask_once(handler: EndTxnHandler | TxnOffsetCommitHandler, node_id: int, deadline: float) -> None:
    """Ask as aiokafka's `BaseHandler.do`, except that no answer is fatal, and "not now" is taken until a deadline.

    After "not now" the sender asks again by itself.

    Raises:
        UnansweredRequestError: nobody knows whether the broker has done it, or it has not within the transaction's
            time.
    """
    request = handler.create_request()
    name = type(request).__name__.partition("Request")[0]
    try:
        answer = await handler._sender.client.send(node_id, request, group=handler.group)  # noqa: SLF001
    except NodeNotReadyError as error:  # nothing was sent, so nothing can come late: another coordinator may do it
        backoff, why = handler.handle_error(), repr(error)
    except KafkaError as error:
        raise UnansweredRequestError(f"{name} was not answered: {error!r}") from error
    else:
        backoff, why = handler.handle_response(answer), repr(answer)
    if backoff is None:
        return
    if time.monotonic() > deadline:
        raise UnansweredRequestError(f"{name} was put off until the transaction's time was over: {why}")
    await asyncio.sleep(backoff)


class PatientProduceHandler(SendProduceReqHandler):
    """aiokafka's handler, except that brokers who say "not now" are asked again until a deadline, not for ever.

    Past the transaction's own timeout it could not be committed any more, and the broker's reason (too few replicas,
    for one) would never be heard. Without any answer it is as before: sequence numbers make repeating safe.
    """

    def __init__(self, sender: Any, batches: Any, deadline: float) -> None:
        super().__init__(sender, batches)
        self._deadline = deadline

    async def do(self, node_id: int) -> Any:
        """Send; a batch that fails keeps its error, and that, by its traceback, the frame that holds the batch."""
        try:
            return await super().do(node_id)
        finally:
            for batch in self._batches.values():
                if batch.future.done() and not batch.future.cancelled():
                    with suppress(Exception):
                        batch.future.result()  # moves the traceback from the future to the error
                    forget(batch.future.exception())

    def _can_retry(self, error: Exception, batch: Any) -> bool:
        if isinstance(error, BrokerResponseError) and time.monotonic() > self._deadline:
            return False
        return bool(super()._can_retry(error, batch))


def pace(client: AIOKafkaClient) -> None:
    """Make a client pause after each connection that cannot be made, a little longer each time, up to a second.

    By itself it tries ten times a second, and a worker has a producer per partition.
    """
    connect, failures = client._get_conn, 0  # noqa: SLF001 - see test_engine_insides.py

    async def paced(*arguments: Any, **options: Any) -> Any:
        nonlocal failures
        connection = await connect(*arguments, **options)
        if connection is None:
            await asyncio.sleep(RECONNECT_SECONDS[min(failures, len(RECONNECT_SECONDS) - 1)])
        failures = 0 if connection is not None else failures + 1
        return connection

    client._get_conn = paced  # noqa: SLF001


class PendingBatches(set[Any]):
    """Batches on their way to a broker.

    Aiokafka takes one out when it is done, and when it is to be sent again. A batch that is given up while its answer
    is awaited is done, and then to be sent again: the second time it would raise KeyError, out of the producer's stop.
    """

    def remove(self, batch: Any) -> None:
        """Take it out, if it is in."""
        self.discard(batch)
