"""`kinky host`: the embedded host cluster of this machine."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Mapping
from typing import Any

from kinky.cli import options
from kinky.errors import KinkyError
from kinky.exit_codes import ExitCode
from kinky.given_paths import resolve_given


def build_parser(command: str) -> argparse.ArgumentParser:
    """Return the parser of `kinky host`."""
    parser = options.command_parser(
        command, description="The embedded host: Kubernetes with KubeVirt in a sandbox on this machine. Needs root."
    )
    actions = options.add_actions(parser)
    up = options.add_action(actions, "up", "start it and wait until KubeVirt is ready; nothing to do when it runs")
    up.add_argument(
        "--accelerator",
        choices=["auto", "kvm", "emulation"],
        default="auto",
        help="for virtual machines: auto takes KVM only when a guest really booted with it (default: auto). Container "
        "guests are offered beside them where they can run; a stack chooses them by host.accelerator",
    )
    options.set_run(up, run_up)
    down = options.add_action(actions, "down", "stop it; its data stays unless --purge")
    down.add_argument("--purge", action="store_true", help="remove its data too")
    options.set_run(down, run_down)
    status = options.add_action(actions, "status", "tell whether it runs, component by component")
    options.add_json(
        status,
        "running, api_port, accelerator, container_guests, uptime_seconds, memory_mib, kubevirt, kubeconfig, "
        "components",
    )
    options.set_run(status, run_status, judges=True)
    logs = options.add_action(actions, "logs", "print the log of one component")
    logs.add_argument("component", help="such as kubelet, etcd or kube-apiserver")
    options.set_run(logs, run_logs, prints="the log")
    load = options.add_action(actions, "load", "import image archives (docker-archive), without a registry")
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
    """Print the status; a host that does not run is critical."""
    from kinky.embedded import host

    status = dataclasses.asdict(host.status())
    if arguments.json:
        print(options.to_json(status))
    else:
        components = status.pop("components")
        rows = [(key.replace("_", " "), str(value)) for key, value in status.items()]
        rows += [(name, _describe(component)) for name, component in components.items()]
        print(options.to_table(rows))
    return ExitCode.DONE if status["running"] else ExitCode.CRITICAL


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
