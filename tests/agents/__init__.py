"""Claims about agents/: the way of one batch."""
