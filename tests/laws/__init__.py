"""The laws of docs/design: one file each, checked for every domain in `tables.DOMAINS`."""
