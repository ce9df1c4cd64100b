"""Independent oracles: what a domain says of its input, computed without a line of tables/ or agents/."""
