"""Everything in which `kinky scan` looks for the secrets of a stack."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Final

from kinky import paths, process
from kinky.cli.scan_output import ask_pulumi
from kinky.config.backend import choose_backend
from kinky.kube.host import HostApi
from kinky.progress import phase
from kinky.scan import disks, host
from kinky.scan.artefact import Artefact
from kinky.scan.files import find_files, find_processes
from kinky.scan.kind import Kind
from kinky.scan.known import list_passphrases
from kinky.scan.repository import find_objects, find_staged, find_work_tree
from kinky.scan.source import Source
from kinky.stacks.file import StackFile

PROVIDER: Final = "pulumi-resource-kubernetes"
ELSEWHERE: Final = "disks of the VMs: the host is not the embedded one, so they are not readable from here"


def list_sources(stack_file: StackFile, api: HostApi, extra: Iterable[Path]) -> list[Source]:
    """Return all that is at hand of a stack; `extra` is what the admin named besides."""
    with phase("asking Pulumi what it prints"):
        output = ask_pulumi(stack_file)
    of_vms, files = _find_disks(stack_file, api)
    objects = frozenset(Kind(resource.kind) for resource in host.KINDS)
    return [
        Source(title="objects of the host", kinds=objects, artefacts=host.find_objects(api)),
        _build(Kind.POD_LOG, "logs of the host", host.find_logs(api)),
        of_vms,
        output,
        *_list_folders(skip=files),
        _build(Kind.PROCESS, "processes", find_processes()),
        *_list_git(),
        *(_build(Kind.PATH, str(path), find_files(Kind.PATH, path), disks=True) for path in extra),
    ]


def build_staged_source(root: Path) -> Source:
    """Return what the next commit of the repository around this folder holds."""
    return _build(Kind.STAGED, "what is staged", find_staged(root))


def _build(kind: Kind, title: str, artefacts: Iterable[Artefact], *, disks: bool = False) -> Source:
    kinds = {kind, Kind.DISK_IMAGE} if disks else {kind}
    return Source(title=title, kinds=frozenset(kinds), artefacts=artefacts)


def _find_disks(stack_file: StackFile, api: HostApi) -> tuple[Source, Collection[Path]]:
    """Return the disks of the stack's VMs, and which files they are."""
    from kinky.embedded.layout import default_layout

    if stack_file.embedded:
        provider = stack_file.config.encryption.provider
        locate = default_layout().find_outside
        return disks.find_disks(api, locate, provider=provider, cluster=stack_file.cluster)
    return Source(title="disks of the VMs", kinds=disks.KINDS, artefacts=(), unread=(ELSEWHERE,)), ()


def _list_folders(*, skip: Collection[Path]) -> Iterator[Source]:
    """Yield what KinKy and Pulumi keep on this machine, without files that are looked at otherwise."""
    state, embedded = paths.state_dir(), paths.host_dir()
    # containerd keeps unpacked images: gigabytes that were public before any secret was made.
    left_out = {embedded / "containerd", *skip}
    providers = paths.pulumi_home() / "tmp" / "resource-kubernetes"

    def is_left_out(path: Path) -> bool:
        return path in left_out or (path.parent == providers and _is_running_provider(path.name))

    for kind, folder in (
        (Kind.STATE, _state_backend()),
        (Kind.PULUMI_HOME, paths.pulumi_home()),
        (Kind.CLUSTER_FOLDER, state / "clusters"),
        (Kind.REPORT, paths.reports_dir()),
        (Kind.EMBEDDED_HOST, embedded),
    ):
        base = state if folder.is_relative_to(state) else None
        artefacts = find_files(kind, folder, base=base, skip=is_left_out)
        yield _build(kind, kind, artefacts, disks=kind is Kind.EMBEDDED_HOST)
    for file in list_passphrases():
        yield _build(Kind.PASSPHRASE_FILE, Kind.PASSPHRASE_FILE, find_files(Kind.PASSPHRASE_FILE, file))


def _is_running_provider(name: str) -> bool:
    """Tell whether a folder is named after a running Kubernetes provider, such as that of an `up` of another stack.

    The provider copies its kubeconfig there. The copy is as private as the memory of the process, and ends with it.
    The rest of an ended process is searched.
    """
    return name.isdecimal() and process.is_alive(int(name), expect=PROVIDER)


def _list_git() -> Iterator[Source]:
    """Yield the checkout as git has it, if it does."""
    root = paths.project_root()
    if (root / ".git").exists():
        yield _build(Kind.WORK_TREE, "git work tree", find_work_tree(root))
        yield _build(Kind.GIT_OBJECT, "git objects", find_objects(root))


def _state_backend() -> Path:
    """Return the folder of Pulumi's state: the admin's, if it is one, else our own."""
    own = paths.pulumi_backend_dir()
    return choose_backend(os.environ, own=own, project=paths.project_root()).folder or own
