"""Streamlit's own settings: this program's and the user's, never those of where one stands.

Streamlit reads ``.streamlit/config.toml`` and ``.streamlit/secrets.toml`` of the working directory,
and puts what the latter says into the environment. That directory may be a run.
"""

from __future__ import annotations

from contextlib import chdir
from pathlib import Path

from streamlit import config


def forget_working_dir(home: Path) -> None:
    """Have what Streamlit took, or would take, from the working directory taken from ``home``."""
    with chdir(home):
        flags = {
            name: option.value
            for name, option in config.get_config_options().items()
            if option.where_defined == config._DEFINED_BY_FLAG
        }
        config.get_config_options(force_reparse=True, options_from_flags=flags)
        # Where secrets are looked for is worked out anew, from where one stands, unless it is told.
        flags.setdefault("secrets.files", config.get_option("secrets.files"))
        config.get_config_options(force_reparse=True, options_from_flags=flags)
