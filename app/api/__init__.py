"""The API on the pages' port: status views, history, analytics, health and metrics.

``create_api`` makes it; :data:`PATHS` are the paths that belong to it.
"""

from app.api.application import PATHS, create_api

__all__ = ["PATHS", "create_api"]
