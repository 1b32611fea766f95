"""Commands that give kubectl its way into an inner cluster. kubectl waits for `credential`, so imports are late."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from kinky import paths
from kinky.cli import options
from kinky.errors import ConfigError, KinkyError
from kinky.given_paths import resolve_given

if TYPE_CHECKING:
    from kinky.stacks.file import StackFile


def build_parser(command: str) -> argparse.ArgumentParser:
    """Return the parser of `kinky kubeconfig` or `kinky credential`."""
    if command == "credential":
        parser = options.command_parser(command, description="Print an ExecCredential for kubectl. Keep it secret.")
        parser.add_argument("--cluster", required=True, help="name of the inner cluster")
        parser.add_argument(
            "--host-kubeconfig", required=True, type=resolve_given, help="kubeconfig of the host cluster"
        )
        parser.add_argument("--host-context", help="context in it (default: its current context)")
        parser.add_argument("--host-namespace", required=True, help="namespace of the inner cluster's VMs")
        options.set_run(parser, run_credential, prints="JSON: an ExecCredential of client.authentication.k8s.io")
        return parser
    parser = options.command_parser(command, description="Print the kubeconfig of a stack's inner cluster.")
    options.add_stack(parser)
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--path", action="store_true", help="print the path of the file instead")
    form.add_argument(
        "--break-glass",
        metavar="REASON",
        help="print a kubeconfig that holds a certificate and its key, for a time without kinky or the host; "
        "it cannot be revoked, and the reason is recorded on the host",
    )
    parser.add_argument("--hours", type=int, help="life of the --break-glass certificate, 1 to 24 (default: 1)")
    options.set_run(parser, run_kubeconfig, prints="JSON: a kubeconfig; with --path, its path")
    return parser


def run_credential(arguments: argparse.Namespace) -> int:
    """Print the credential; make sure first that the recorded way to the API is open."""
    from kinky.kube.access import HostAccess
    from kinky.ownership.record import with_kept
    from kinky.reach.credential import fetch_exec_credential
    from kinky.reach.reach import Reach

    access = HostAccess(
        kubeconfig=str(arguments.host_kubeconfig),
        context=arguments.host_context,
        namespace=arguments.host_namespace,
        cluster=arguments.cluster,
    )
    reach = Reach(with_kept(access))
    reach.heal()
    print(fetch_exec_credential(reach.host, reach.cluster))
    return 0


def run_kubeconfig(arguments: argparse.Namespace) -> int:
    """Print the kubeconfig or its path, or a kubeconfig that holds a certificate."""
    from kinky.stacks.file import read_stack_file

    if arguments.hours is not None and arguments.break_glass is None:
        raise ConfigError(
            "--hours has a meaning only with --break-glass", hint="any other kubeconfig holds no certificate"
        )
    stack_file = read_stack_file(arguments.stack)
    path = paths.stack_dir(stack_file.cluster) / "kubeconfig.yaml"
    if not path.is_file():
        raise KinkyError(
            f'stack "{stack_file.stack}": no kubeconfig yet: {path}', hint=f"kinky up --stack {stack_file.stack}"
        )
    if arguments.break_glass is not None:
        print(
            _break_glass(
                stack_file,
                path,
                reason=arguments.break_glass.strip(),
                hours=1 if arguments.hours is None else arguments.hours,
            )
        )
    else:
        print(path if arguments.path else path.read_text().rstrip("\n"))
    return 0


def _break_glass(stack_file: StackFile, path: Path, *, reason: str, hours: int) -> str:
    """Return a kubeconfig that holds a certificate, after telling what it is (secret)."""
    from kinky.progress import note
    from kinky.reach.break_glass import HOURS_LIMIT, make_break_glass
    from kinky.stacks.inner import find_reach

    if not reason:
        raise ConfigError("--break-glass needs a reason, which is recorded on the host")
    if not 1 <= hours <= HOURS_LIMIT:
        raise ConfigError(f"--hours is {hours}: must be from 1 to {HOURS_LIMIT}, because it cannot be revoked")
    reach = find_reach(stack_file)
    ordinary = json.loads(path.read_text())
    made = make_break_glass(reach.host(), reach.cluster, ordinary, hours=hours, reason=reason)
    reach.heal()
    recorded = f"{reach.access.namespace}/{made.record}"
    note(f"valid until {made.not_after} and not to be revoked; recorded as ConfigMap {recorded}")
    return made.kubeconfig
