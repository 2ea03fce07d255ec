"""Streamlit's own settings: this program's and the user's, never those of where one stands.

Streamlit looks for ``.streamlit/config.toml`` and ``.streamlit/secrets.toml`` in the working
directory, and puts what the latter says into the environment. That directory may be a run. Which
other directories it looks into depends on how it was started, so that its options are handed to it
here. ``streamlit run app/server.py`` decides where to listen before this is read: for that alone,
``app/.streamlit`` leads to the same file.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import chdir
from pathlib import Path
from typing import Any

from streamlit import config

_HOME = Path(__file__).resolve().parents[2]
# A checkout has the first, a wheel, in which no folder's name begins with a dot, the second.
_FOLDERS = (_HOME / ".streamlit", _HOME / "streamlit_config")
CONFIG = next(folder for folder in _FOLDERS if folder.is_dir()) / "config.toml"


def own_options() -> dict[str, Any]:
    """What ``.streamlit/config.toml`` sets, by dotted name, where the environment does not."""
    known = config._config_options_template  # which parses nothing yet
    table = tomllib.loads(CONFIG.read_text(encoding="utf-8"))
    return {name: value for name, value in _flat(table) if known[name].env_var not in os.environ}


def use_own_options(home: Path) -> None:
    """Have Streamlit take :func:`own_options`, under the flags that it was started with.

    What it took, or would take, from the working directory comes from ``home``.
    """
    with chdir(home):
        flags = own_options() | {
            name: option.value
            for name, option in config.get_config_options().items()
            if option.where_defined == config._DEFINED_BY_FLAG
        }
        config.get_config_options(force_reparse=True, options_from_flags=flags)
        # Where secrets are looked for is worked out anew, from where one stands, unless it is told.
        flags.setdefault("secrets.files", config.get_option("secrets.files"))
        config.get_config_options(force_reparse=True, options_from_flags=flags)


def _flat(table: Mapping[str, Any], within: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in table.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{within}{name}.")
        else:
            yield within + name, value
