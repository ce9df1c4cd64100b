"""Files to events: `tidemark ingest`.

    source.py     bytes of a file, plain or gzip, and how far it is read
    array.py      the elements of a JSON array of any length, one at a time
    telemetry.py  PUBG's telemetry events, as far as they are used
    pubg.py       the rules: telemetry event -> slim event, or the reason why not
    smartpool.py  the rules: what a mining farm's rigs reported -> batches of workers
    lines.py      JSON lines of any domain -> its events, or the reason why not
    writer.py     records -> topic, by an idempotent producer
    report.py     what became of what was read

Everything is read once, in order, and written in that order; whatever stops an ingest, running it again completes it,
because events carry what makes them recognisable (the match and their index in it).
"""
