"""The web views, over HTTP. Rows come from the real fold and totals from the real records; only Kafka is missing."""
