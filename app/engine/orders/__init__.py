"""The three orders that make an owned partition exact, step by step. Which step stands where is correctness.

*Assigned*: 1 fence, 2 check the generation, 3 the changelog is stable, 4 restore, 5 read the committed offset,
6 check again and resume. *Commit*: 1 take, 2 send, 3 await delivery, 4 add the offset, 5 commit. *Revoked*: 1 stop
taking batches, 2 commit what is done, 3 release the producer and park the rows, 4 drop them unless the partition
comes back.

Whatever fails, the answer is the same: the rows and the producer are dropped, and the partition is assigned anew from
step 1 (`Owned.lose`). Nothing ever goes on with rows that are ahead of the log.

- `assigned.py`  from nothing, or parked rows, to live ones
- `commit.py`    what has been folded, as one transaction
- `revoked.py`   the partition goes; its rows may come back
"""
