"""Puts the app's folders inside the package: nobody's environment gets a package called `app`.

Everything else about the distribution is in pyproject.toml.
"""

from pathlib import Path

from setuptools import find_packages, setup

FOLDERS = ("app", "collectors", "examples", "pages")
CARRIED = "control_room._app"  # where control_room/commands/home.py looks for them
# The name of a package has no dot at its front; app/serving/streamlit_config.py knows both.
STREAMLIT = f"{CARRIED}.streamlit_config"

inside = {file.parent for folder in FOLDERS for file in Path(folder).rglob("*.py")}

setup(
    packages=[
        *find_packages(include=["control_room", "control_room.*"]),
        *sorted(f"{CARRIED}.{'.'.join(directory.parts)}" for directory in inside),
        STREAMLIT,
    ],
    package_dir={
        **{f"{CARRIED}.{folder}": folder for folder in FOLDERS},
        STREAMLIT: ".streamlit",
    },
    package_data={
        "control_room": ["py.typed"],
        f"{CARRIED}.app": ["icon.svg"],
        STREAMLIT: ["config.toml"],
        f"{CARRIED}.app.cards": ["style.css"],
    },
)
