"""Run a server behind a proxy, as one process to start and to end.

`python behind.py nginx nginx.conf -- COMMAND`: COMMAND listens on the port in its own PORT (and
where it says {inner}); the proxy, configured by the template with {listen}, {inner} and {folder}
filled in, listens on the PORT that this program was given. SIGTERM ends the server first, so that
what it still says passes the proxy, and then the proxy.
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

LISTENS_S = 30.0
DRAINS_S = 10.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until_it_listens(port: int, server: subprocess.Popen[bytes]) -> None:
    give_up = time.monotonic() + LISTENS_S
    while time.monotonic() < give_up and server.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)  # noqa: TID251 - a program of its own, with no loop to block
    sys.exit("behind: the server does not listen")


def proxy_command(kind: str, configuration: Path) -> list[str]:
    if kind == "nginx":
        return ["/usr/sbin/nginx", "-c", str(configuration), "-e", "stderr"]
    return ["/usr/sbin/haproxy", "-f", str(configuration)]


def with_its_parent() -> None:
    """In a group of its own, so that a signal to ours reaches it once, by us; it ends with us."""
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGTERM)


def start(command: list[str], port: int) -> subprocess.Popen[bytes]:
    env = {**os.environ, "PORT": str(port)}
    # No threads here, so preexec_fn is safe.
    return subprocess.Popen(
        command,
        env=env,
        start_new_session=True,
        preexec_fn=with_its_parent,  # noqa: PLW1509
    )


def main() -> int:
    kind, template, *rest = sys.argv[1:]
    inner, listen = free_port(), int(os.environ["PORT"])
    command = [word.replace("{inner}", str(inner)) for word in rest[rest.index("--") + 1 :]]
    server = start(command, inner)
    with tempfile.TemporaryDirectory() as folder:
        try:
            wait_until_it_listens(inner, server)
            configuration = Path(folder) / "proxy.conf"
            text = Path(template).read_text("utf-8")
            for name, value in {"listen": listen, "inner": inner, "folder": folder}.items():
                text = text.replace("{" + name + "}", str(value))
            configuration.write_text(text, "utf-8")
            Path(folder).chmod(0o777)  # nginx's workers are somebody else
            proxy = start(proxy_command(kind, configuration), listen)
            signal.signal(signal.SIGTERM, lambda *_: server.terminate())
            try:
                return server.wait()
            finally:
                proxy.terminate()
                proxy.wait(DRAINS_S)
        finally:
            server.kill()


if __name__ == "__main__":
    sys.exit(main())
