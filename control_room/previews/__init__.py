"""The preview runner: asks the model behind each checkpoint, scores its answers, logs them.

``python -m control_room.previews --run-dir DIR``. Needs the ``previews`` extra.
"""
