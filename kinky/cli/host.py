"""`kinky host`: the embedded host cluster of this machine."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Mapping
from typing import Any

from kinky.cli import options
from kinky.errors import KinkyError
from kinky.given_paths import resolve_given


def build_parser(command: str) -> argparse.ArgumentParser:
    """Return the parser of `kinky host`."""
    parser = options.command_parser(
        command, description="The embedded host: Kubernetes with KubeVirt in a sandbox on this machine. Needs root."
    )
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    up = actions.add_parser("up", help="start it and wait until KubeVirt is ready; nothing to do when it runs")
    up.add_argument(
        "--accelerator",
        choices=["auto", "kvm", "emulation"],
        default="auto",
        help="for virtual machines: auto takes KVM only when a guest really booted with it (default: auto). Container "
        "guests are offered beside them where they can run; a stack chooses them by host.accelerator",
    )
    options.set_run(up, run_up)
    down = actions.add_parser("down", help="stop it; its data stays unless --purge")
    down.add_argument("--purge", action="store_true", help="remove its data too")
    options.set_run(down, run_down)
    status = actions.add_parser("status", help="tell whether it runs, component by component")
    options.add_json(status)
    options.set_run(status, run_status)
    logs = actions.add_parser("logs", help="print the log of one component")
    logs.add_argument("component", help="such as kubelet, etcd or kube-apiserver")
    options.set_run(logs, run_logs)
    load = actions.add_parser("load", help="import image archives (docker-archive), without a registry")
    load.add_argument("archive", nargs="*", type=resolve_given, help="the archives (default: the current node images)")
    options.set_run(load, run_load)
    return parser


def run_up(arguments: argparse.Namespace) -> int:
    """Start the host."""
    from kinky.embedded import host

    host.up(wanted_accelerator=arguments.accelerator)
    return 0


def run_down(arguments: argparse.Namespace) -> int:
    """Stop the ways into inner clusters, then the host."""
    from kinky.embedded import host
    from kinky.reach.forward import stop_all_forwards

    stop_all_forwards()
    host.down(purge=arguments.purge)
    return 0


def run_status(arguments: argparse.Namespace) -> int:
    """Print the status; exit code 1 tells scripts that the host does not run."""
    from kinky.embedded import host

    status = dataclasses.asdict(host.status())
    if arguments.json:
        print(options.to_json(status))
    else:
        components = status.pop("components")
        rows = [(key.replace("_", " "), str(value)) for key, value in status.items()]
        rows += [(name, _describe(component)) for name, component in components.items()]
        print(options.to_table(rows))
    return 0 if status["running"] else 1


def _describe(component: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {value}" if key != "state" else str(value) for key, value in component.items() if value)


def run_logs(arguments: argparse.Namespace) -> int:
    """Print a component's log."""
    from kinky.embedded import host

    print(host.logs(arguments.component))
    return 0


def run_load(arguments: argparse.Namespace) -> int:
    """Import the archives that were named, or the node image that was built last of each release."""
    from kinky.embedded import host, store

    archives = arguments.archive or list(store.current_node_images().values())
    if not archives:
        raise KinkyError("no node image was built on this machine", hint="kinky image build, or name an archive")
    for archive in archives:
        host.load(archive)
    return 0
