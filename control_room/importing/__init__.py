"""Takes what another system kept in files of its own into a run's logs.

What a foreign file does not tell stays unknown. What is in the logs already is not added again.
"""

from control_room.importing.files import PATTERNS, Imported, Watch, import_files
from control_room.importing.reading import ImportOptions, ImportRefused

__all__ = ["PATTERNS", "ImportOptions", "ImportRefused", "Imported", "Watch", "import_files"]
