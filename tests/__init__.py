"""The tests; a package, so that helpers are imported by one name everywhere: `tests.driver`, `tests.oracle`."""
