"""One mathematical idea a file, each with its formula, its shapes and its source."""
