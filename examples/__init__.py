"""A real, small training run for the demo, and the smallest trainer integration."""
