"""`python -m tests.vault_server`: the server as a process, until it is told to stop."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.vault_server.server import VaultServer, open_sockets


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT; return the exit code."""
    parser = argparse.ArgumentParser(prog="tests.vault_server")
    parser.add_argument("--listen", required=True, metavar="ADDRESS:PORT")
    parser.add_argument("--listen-fd", type=int, metavar="N", help="a listening socket of the parent, served too")
    parser.add_argument("--certificate", type=Path, required=True, metavar="F")
    parser.add_argument("--key", type=Path, required=True, metavar="F")
    parser.add_argument("--root-token-file", type=Path, required=True, metavar="F")
    parser.add_argument("--faults", type=Path, required=True, metavar="FOLDER", help="a file in it is a fault")
    arguments = parser.parse_args(argv)
    token = arguments.root_token_file.read_text().strip()
    if not token:
        parser.error(f"{arguments.root_token_file}: no token in it")
    # Waited for below: blocked first, so that none is lost between.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    with (
        open_sockets(arguments.listen, arguments.listen_fd) as sockets,
        VaultServer(
            root_token=token,
            certificate=arguments.certificate,
            key=arguments.key,
            faults=arguments.faults,
            sockets=sockets,
        ) as server,
    ):
        print(f"serving on {server.address}", flush=True)  # noqa: T201
        signal.sigwait({signal.SIGTERM, signal.SIGINT})
    return 0


if __name__ == "__main__":
    sys.exit(main())
