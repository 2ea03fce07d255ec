"""``python -m tests.security.audited FILE MODULE …``: run a module, and write down whom it asks.

Every connection, datagram and name lookup of the interpreter is a line of FILE. What libraries do
in C is not seen from here; the kernel's tables and strace see that.
"""

from __future__ import annotations

import os
import runpy
import sys
import traceback

WATCHED = (
    *("socket.connect", "socket.sendto", "socket.sendmsg"),
    *("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"),
    *("socket.getnameinfo", "subprocess.Popen", "os.exec", "os.posix_spawn"),
)


def main() -> None:
    """Install the hook and become the module."""
    file, module = sys.argv[1], sys.argv[2]
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        if event in WATCHED:
            where = " < ".join(
                f"{frame.filename.rpartition('site-packages/')[2]}:{frame.lineno}"
                for frame in reversed(traceback.extract_stack(limit=8)[:-1])
            )
            os.write(descriptor, f"{event}\t{_told(arguments)}\t{where}\n".encode())

    sys.addaudithook(hook)
    sys.argv = sys.argv[2:]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def _told(arguments: tuple[object, ...]) -> str:
    shown = [repr(each) for each in arguments if not hasattr(each, "fileno")]
    return " ".join(shown)[:300].replace("\t", " ").replace("\n", " ")


if __name__ == "__main__":
    main()
