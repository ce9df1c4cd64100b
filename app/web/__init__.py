"""The web views: what a worker's statistics look like from outside, on Faust's own port.

Routes come from the domains' declarations, so a new domain needs no change here. Every answer says how fresh it is;
every refusal has one shape; a view asked at the wrong worker is answered by the right one.

- `server.py`     puts everything together; Faust's web server with our application in the place of its own pages
- `views.py`      the declared views: one entity, top lists, totals
- `search.py`     the declared searches, merged over all workers
- `lists.py`      the declared lists, in pages, merged over all workers
- `aggregates.py` the declared aggregates, added up by all workers
- `scans.py`      going through many rows in slices, for both
- `demand.py`     publishing out of turn what is published periodically
- `live.py`       server-sent events when a domain's totals change
- `status.py`     what all workers are doing; liveness and readiness
- `answers.py`    one envelope, one error shape, one encoding
- `parameters.py` the parameters of a request, checked against their declarations
- `worker.py`     what the views read of their worker, and where the other workers are
- `peers.py`      asking other workers
- `security.py`   token, log-in, our own names, limits, headers
- `assets.py`     the dashboard's pages and static files
"""
