"""Exactly-once on Faust: one Kafka transaction per partition.

The only code that touches the insides of Faust and aiokafka. Its orders are written, numbered, in `orders/`:
*assigned*, *commit* and *revoked*. `failpoints.py` can stop the process between every two of their steps.

- `transport.py`  Faust's transport: hands each agent whole slices of a partition's records
- `recovery.py`   Faust's recovery and table manager, which hand assigned partitions to the engine
- `assignor.py`   Faust's assignor, for static members that move
- `engine.py`     which partitions this worker owns, and what the views may read
- `owned.py`      one owned partition: its state, and what is folded into it
- `orders/`       what makes it exact: assigned, commit, revoked
- `producer.py`   the transactional producer of a partition
- `fetch.py`      records as the client's parser makes them; bulk reading of a changelog
- `totals.py`     all partitions' totals, read from the totals topics
- `failpoints.py` places where tests crash the process
"""
