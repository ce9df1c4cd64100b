"""The faults, by theme. Each is a function of a `Run`; the catalogue says what they are for and how large they are."""
