"""One line to record a run from the libraries people train with; each imports its own."""
