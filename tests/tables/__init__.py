"""Claims about tables/: the pure folds."""
