"""The rows of a benchmark: what they are, how each is run, what is kept, what is told."""
