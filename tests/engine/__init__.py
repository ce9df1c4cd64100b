"""The engine against a real Kafka, and against the insides of the libraries that it stands on."""
