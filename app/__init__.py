"""How it runs: Faust, Kafka, HTTP, the clock, metrics and the command line."""
