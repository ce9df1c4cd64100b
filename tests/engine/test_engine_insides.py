"""The insides of Faust and aiokafka that the engine relies on, pinned by what they say."""

import hashlib
import inspect
from collections.abc import Callable
from typing import Any

import pytest
from aiokafka.client import AIOKafkaClient
from aiokafka.consumer import AIOKafkaConsumer, fetcher
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.producer import message_accumulator, sender
from aiokafka.producer.producer import AIOKafkaProducer
from aiokafka.producer.transaction_manager import TransactionManager
from faust.app.base import App
from faust.assignor import PartitionAssignor
from faust.assignor.copartitioned_assignor import CopartitionedAssignor
from faust.tables.manager import TableManager
from faust.tables.recovery import Recovery
from faust.transport import conductor, consumer
from faust.transport.drivers import aiokafka as driver
from faust.web.drivers import aiohttp as web
from mode.threads import ServiceThread

from app import kafka_client, rings

RELIED_ON: list[tuple[Callable[..., Any], str, str]] = [
    # what, its fingerprint, why the engine cares
    (sender.Sender._do_txn_commit, "0cac7a195554", "PartitionProducer._end_transaction is this, asking once"),
    (sender.Sender._do_txn_offset_commit, "46a79ac5e9c8", "PartitionProducer._commit_offsets is this, likewise"),
    (sender.BaseHandler.do, "c111d69da2f3", "ask_once is this: no answer is fatal"),
    (sender.EndTxnHandler, "9581a915c2d5", "its create_request and handle_response are used as they are"),
    (sender.TxnOffsetCommitHandler, "a1cb6cc9cdf0", "likewise"),
    (
        TransactionManager.fatal_error,
        "56a8fa3ac1d7",
        "fails the offsets on their way, too",
    ),
    (sender.Sender._sender_routine, "53ce47dcb426", "lets ProducerFenced through, which is how a producer is given up"),
    (sender.Sender._send_produce_req, "3b9444167629", "PartitionProducer._send_produce is this with a patient handler"),
    (sender.SendProduceReqHandler, "b08cf657eef7", "PatientProduceHandler asks no longer than a transaction may last"),
    (sender.Sender._fail_all, "8ab4a780321c", "fails the transaction when the sender dies"),
    (TransactionManager.complete_transaction, "1a91677d2a40", "called for an empty transaction"),
    (
        message_accumulator.MessageAccumulator.fail_all,
        "273505197ddb",
        "PartitionProducer.release drops what was not sent",
    ),
    (
        message_accumulator.MessageAccumulator.reenqueue,
        "67d9d90ec732",
        "takes a batch out of PendingBatches, done or not",
    ),
    (message_accumulator.MessageAccumulator._pop_batch, "e2e05924f3d8", "likewise, when the batch is done"),
    (message_accumulator.MessageAccumulator.add_batch, "1adef3b377c4", "a batch is queued when send_batch returns"),
    (message_accumulator.MessageBatch.failure, "034abe542f27", "fails a drain waiter that nobody awaits"),
    (AIOKafkaProducer.stop, "f883f48972f4", "flushes: release has emptied it before"),
    (AIOKafkaClient.send, "079af87bb7cb", "raises KafkaError when there is no answer"),
    (fetcher.PartitionRecords._unpack_records, "8612fb5be1a3", "ParsedPartitionRecords hands on what it parses"),
    (fetcher.PartitionRecords._consumer_record, "b262b33d5687", "replaced for those who ask"),
    (fetcher.FetchResult, "fa61b3894a7f", "ParsedFetchResult.getall is its own without the loop"),
    (
        fetcher.Fetcher.close,
        "8259a9e794a6",
        "cancels once, and raises what its tasks raise: app.kafka_client",
    ),
    (fetcher.Fetcher.fetched_records, "b4ecba13bb50", "calls getall, with a bound"),
    (
        GroupCoordinator._heartbeat_routine,
        "c1762d19a138",
        "leaves by the poll interval, which is put out of reach",
    ),
    (GroupCoordinator.ensure_active_group, "8a77c31788fa", "does not rejoin while nothing is fetched"),
    (sender.InitPIDHandler, "1d3c5869584f", "fencing: waits while a former transaction is being ended"),
    (GroupCoordinator._push_error_to_user, "b731d5d19f1e", "waits until somebody has asked: ConsumerThread.get_over"),
    (GroupCoordinator.check_errors, "d32611d6fa44", "asks, and raises the error"),
    (GroupCoordinator.request_rejoin, "351f9c424a03", "after an error that passes the group is joined again"),
    (AIOKafkaConsumer.end_offsets, "1649e097b227", "takes its time-out from _request_timeout_ms, not from the client"),
    (AIOKafkaClient._get_conn, "f1b61328045a", "says None where there is no connection; app.engine.sender.pace"),
    (kafka_client._update, "025619b78883", "app.kafka_client asks the bootstrap servers when it fails"),
    (kafka_client._bootstrap, "b8b262261c99", "is called again then: starts no second synchronizer"),
    (kafka_client._send, "942d45361768", "takes its time limit when it is called, before it is awaited"),
    (kafka_client._connect, "d0b07cc0f6de", "app.kafka_client lets it connect within a shorter time"),
    (rings._lookup, "6ebfd56c7da8", "its frame keeps the error that it raises: app.rings"),
    (rings._on_read_error, "fcec658a2126", "its frame keeps the task that has failed: app.rings"),
    (AIOKafkaClient._wait_on_metadata, "2887d75ac797", "raises UnknownTopicOrPartitionError where nobody answers"),
    (GroupCoordinator._do_heartbeat, "0fdf1386079b", "asked out of turn whether this worker is still a member"),
    (GroupCoordinator._send_req, "dc8860a28835", "SyncGroup goes through it: ConsumerThread notes when it left"),
    (
        PartitionAssignor.on_assignment,
        "5595d3f36183",
        "raises for another address; Assignor mends the assignment before",
    ),
    (PartitionAssignor._perform_assignment, "de29bb56368a", "makes a CopartitionedAssignor, by the name that is ours"),
    (CopartitionedAssignor.__init__, "1c3ee156ac05", "keeps members, partitions and replicas"),
    (CopartitionedAssignor.get_assignment, "9f4b14005d85", "changes the members' assignments in place"),
    (
        driver.AIOKafkaConsumerThread._create_worker_consumer,
        "76133d134b46",
        "isolation level and record parsing are set after it",
    ),
    (driver.AIOKafkaConsumerThread.on_thread_stop, "a31dc0dd0861", "leaves the group; ConsumerThread bounds it"),
    (ServiceThread.stop, "cae6679ed737", "fails where the thread's loop is closed; ConsumerThread asks before"),
    (driver.AIOKafkaConsumerThread._fetch_records, "42af390b2329", "fetches for the partitions that it is asked for"),
    (driver.ConsumerRebalanceListener, "5bf8810a0bad", "sets app.rebalancing and the generation before anything else"),
    (
        consumer.Consumer.on_partitions_revoked,
        "a5895d184761",
        "forgets what was acknowledged; the engine commits before it",
    ),
    (consumer.Consumer.on_partitions_assigned, "a3675f410ac7", "called after the changelogs have been paused"),
    (consumer.Fetcher, "b5f364587a3a", "runs _drain_messages, which is ours"),
    (
        conductor.ConductorCompiler.build,
        "d8a7a7526ea3",
        "delivers a message, and waits while the agent's queue is full",
    ),
    (App._on_partitions_revoked, "5d6c53d1dae4", "stops the flow, clears queues, calls wait_empty"),
    (App._on_partitions_assigned, "898c6194a3a4", "calls the table manager with the generation"),
    (App._stop_consumer, "6f583d25889f", "calls wait_empty at the end, which is where partitions are let go"),
    (App.on_rebalance_end, "f4194edf1e58", "clears app.rebalancing"),
    (TableManager.on_rebalance, "004e28a9a172", "hands the assignment to recovery"),
    (TableManager._update_channels, "36aec39a4d59", "registers changelogs"),
    (Recovery.on_rebalance, "2fb49d869183", "signals recovery_start unless the generation is old"),
    (Recovery._resume_streams, "12032bac421b", "what our recovery does, without seeking"),
    (web.Web.__init__, "4a75345d4521", "makes web_app and _runner, which app.web.server.Web replaces"),
    (web.Web.start_server, "1c48a7d54b59", "serves the _runner of the time"),
]


def fingerprint(what: Callable[..., Any]) -> str:
    """The beginning of the hash of a function's or class's source, white space at line ends aside."""
    source = "\n".join(line.rstrip() for line in inspect.getsource(what).splitlines())
    return hashlib.sha256(source.encode()).hexdigest()[:12]


@pytest.mark.parametrize(("what", "pinned", "why"), RELIED_ON, ids=[what.__qualname__ for what, _, _ in RELIED_ON])
def test_the_insides_that_the_engine_relies_on_are_as_they_were(
    what: Callable[..., Any], pinned: str, why: str
) -> None:
    """When this fails a library has changed: read the new code, see whether the engine still holds, then pin it."""
    assert fingerprint(what) == pinned, f"{what.__module__}.{what.__qualname__} has changed; the engine: {why}"
