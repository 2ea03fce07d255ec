"""The commands that work on a run's files, a module each; ``control_room/cli.py`` lists them."""
