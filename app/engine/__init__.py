"""Exactly-once on Faust: one Kafka transaction per partition.

Besides `app.kafka_client`, `app.rings` and `app.admin`, which commands use, too, the only code that touches the insides
of Faust and aiokafka. Its orders are written, numbered, in `orders/`: *assigned*, *commit* and *revoked*.
`failpoints.py` can stop the process between every two of their steps.

What this worker owns:

- `engine.py`     which partitions this worker owns, and what the views may read
- `owned.py`      one owned partition: its state, and what is folded into it
- `orders/`       what makes it exact: assigned, commit, revoked
- `slices.py`     consecutive records of a partition, on their way to the agent
- `demands.py`    those who wait for a record out of turn
- `changelog.py`  the steps of *assigned* that read the log
- `producer.py`   the transactional producer of a partition
- `sender.py`     what it replaces in aiokafka's sender
- `standby.py`    warm copies of partitions that others own
- `promotion.py`  a warm copy becomes the rows of an owned partition
- `freeing.py`    frees tables that are of no use any more
- `totals.py`     all partitions' totals, read from the totals topics
- `topic_ids.py`  tells a topic from one that was created anew under its name

Faust and its client:

- `transport.py`  Faust's transport: hands each agent whole slices of a partition's records
- `consumer_thread.py`  the thread around the consumer group's client
- `recovery.py`   Faust's recovery and table manager, which hand assigned partitions to the engine
- `assignor.py`   Faust's assignor, for static members that move and standbys that take over
- `members.py`    what the members of the group say of themselves and of each other
- `fetch.py`      records as the client's parser makes them; bulk reading of a changelog

What goes wrong:

- `errors.py`     what passes, and what trying again cannot mend
- `trouble.py`    brokers that are away; errors that stop the worker
- `unreadable.py` a source partition that cannot be read on waits alone
- `failpoints.py` places where tests crash the process
"""
