"""Measurements of what the README promises, and of what the peers do."""
