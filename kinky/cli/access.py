"""Commands that give kubectl its way into an inner cluster. kubectl waits for `credential`, so imports are late."""

from __future__ import annotations

import argparse
from typing import Final

from kinky import paths
from kinky.cli import options
from kinky.errors import KinkyError

FORWARD_WAIT_SECONDS: Final = 10.0
"""How long `credential` waits for the forward to come back: less than the patience of a person at kubectl."""


def build_parser(command: str) -> argparse.ArgumentParser:
    """Return the parser of `kinky kubeconfig` or `kinky credential`."""
    if command == "credential":
        parser = options.command_parser(command, description="Print an ExecCredential for kubectl. Keep it secret.")
        parser.add_argument("--cluster", required=True, help="name of the inner cluster")
        parser.add_argument("--host-kubeconfig", required=True, help="kubeconfig of the host cluster")
        parser.add_argument("--host-context", help="context in it (default: its current context)")
        parser.add_argument("--host-namespace", required=True, help="namespace of the inner cluster's VMs")
        options.set_run(parser, run_credential)
        return parser
    parser = options.command_parser(command, description="Print the kubeconfig of a stack's inner cluster.")
    options.add_stack(parser)
    parser.add_argument("--path", action="store_true", help="print the path of the file instead")
    options.set_run(parser, run_kubeconfig)
    return parser


def run_credential(arguments: argparse.Namespace) -> int:
    """Print the credential; make sure first that the recorded way to the API is open."""
    from kinky.bootstrap.credential import fetch_exec_credential
    from kinky.bootstrap.forward import ensure_recorded_forward
    from kinky.kube.access import HostAccess

    access = HostAccess(
        kubeconfig=arguments.host_kubeconfig, context=arguments.host_context, namespace=arguments.host_namespace
    )
    ensure_recorded_forward(arguments.cluster, wait_seconds=FORWARD_WAIT_SECONDS)
    print(fetch_exec_credential(access, arguments.cluster))
    return 0


def run_kubeconfig(arguments: argparse.Namespace) -> int:
    """Print the kubeconfig or its path."""
    from kinky.cli.stack_file import read_stack_file

    stack_file = read_stack_file(arguments.stack)
    path = paths.stack_dir(stack_file.cluster) / "kubeconfig.yaml"
    if not path.is_file():
        raise KinkyError(
            f'stack "{stack_file.stack}": no kubeconfig yet: {path}', hint=f"kinky up --stack {stack_file.stack}"
        )
    print(path if arguments.path else path.read_text().rstrip("\n"))
    return 0
