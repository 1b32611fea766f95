"""The disks of a stack's VMs as files of this machine, searched as raw bytes: no mount, no repair, no guest's help.

The host's API leads to them: a claim names its volume and the volume its folder, a launcher pod its identity and its
scratch volumes. A growing disk (qcow2) holds clusters of 64 KiB in the order of writing, none of them compressed. A
value that goes on in a cluster elsewhere in the file is not found.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

from kinky import names
from kinky.kube import resources
from kinky.kube.host import LAUNCHER_LABEL, HostApi
from kinky.kube.records import ClaimRecord, LauncherPod, parse_volume_folder
from kinky.scan.artefact import Artefact
from kinky.scan.expected import Place
from kinky.scan.files import find_files
from kinky.scan.kind import Kind
from kinky.scan.secret import KnownSecret, SecretClass
from kinky.scan.source import Source

Locate = Callable[[Path], Path | None]
"""Tells where a path of the host's node is on this machine, None if it is not."""

EMPTY_DIRS: Final = "/var/lib/kubelet/pods/{uid}/volumes/kubernetes.io~empty-dir/{volume}"
"""Where a kubelet keeps the scratch volumes of pods; those of Secrets are in RAM."""
OURS: Final = f"{names.LABEL_MANAGED_BY}={names.MANAGED_BY}"
CREDENTIALS_VOLUME: Final = "credentials"
ETCD_VOLUME: Final = "etcd"
# Where KubeVirt 1.7.0 puts a disk in the launcher's scratch volumes, by the name of the VM's volume.
CREDENTIALS: Final = "private/secret-disks/credentials.iso"
DATA: Final = "libvirt-runtime/empty-disks/data.qcow2"
EPHEMERAL_ETCD: Final = "libvirt-runtime/empty-disks/etcd.qcow2"
# Where our own launcher puts it: raw files. It makes no file of the credentials and of the user-data, which a guest
# reads from the pod's Secret volumes and keeps in RAM.
CONTAINER_DATA: Final = "libvirt-runtime/kinky-guest/disks/data.img"
CONTAINER_ETCD: Final = "libvirt-runtime/kinky-guest/disks/etcd.img"
USER_DATA: Final = "ephemeral-disks/cloud-init-data/*/noCloud.iso"

_KINDS: Final = {
    f"*/{CREDENTIALS}": Kind.CREDENTIALS_DISK,
    f"*/{EPHEMERAL_ETCD}": Kind.INNER_ETCD,
    f"*/{CONTAINER_ETCD}": Kind.INNER_ETCD,
    names.etcd_claim("*") + "/*": Kind.INNER_ETCD,
}
KINDS: Final = frozenset({Kind.VM_DISK, *_KINDS.values()})


def _mark(name: str, content: bytes) -> KnownSecret:
    return KnownSecret(SecretClass.MARKER, name, content)


ENCRYPTED: Final = {
    names.SECRETBOX: _mark("of encrypted values in etcd", names.ETCD_PREFIXES[names.SECRETBOX].encode()),
    names.KMS: _mark("of values in etcd that a KMS has encrypted", names.ETCD_PREFIXES[names.KMS].encode()),
}
ETCD_LABEL: Final = _mark("label of etcd's file system", b"kinky-etcd")
DATA_LABEL: Final = _mark("label of the data disk's file system", b"kinky-data")
CLOUD_CONFIG: Final = _mark("first line of user-data", b"#cloud-config")
MARKERS: Final = (*ENCRYPTED.values(), ETCD_LABEL, DATA_LABEL, CLOUD_CONFIG)


def find_disks(
    api: HostApi, locate: Locate, *, provider: str = names.SECRETBOX, cluster: str | None = None
) -> tuple[Source, tuple[Path, ...]]:
    """Return the disks of the namespace's VMs with what is expected of them, and the files that they are.

    Args:
        provider: The provider that encrypts Secrets in the inner etcd, a key of `names.ETCD_PREFIXES`.
        cluster: The cluster whose disks must hold the expected secrets; None for all clusters of the namespace.
    """
    pods = [LauncherPod.parse(body) for body in api.fetch_all_here(resources.PODS, selector=LAUNCHER_LABEL)]
    claims = [ClaimRecord.parse(body) for body in api.fetch_all_here(resources.PVCS, selector=OURS)]
    found: list[tuple[Artefact, Path]] = []
    unread: list[str] = []
    for name, folder in (*_list_scratch(pods), *_list_volumes(api, claims)):
        kept = locate(folder) if folder else None
        if kept is None:
            unread.append(f"disks of {name}: {folder or 'a volume that is no folder'} is not on this machine")
        else:
            found += _find_below(kept, name)
    expected = [(pod.labels, build_places(pod, provider)) for pod in pods]
    expected += [(claim.labels, _expect_etcd(f"{claim.name}/*", provider)) for claim in claims]
    places = [
        # The VMs of another cluster may start and end during the scan.
        place if cluster in (None, labels.get(names.LABEL_CLUSTER, cluster)) else replace(place, must_hit=False)
        for labels, found_there in expected
        for place in found_there
    ]
    source = Source(
        title="disks of the VMs",
        kinds=KINDS,
        artefacts=[disk for disk, _ in found],
        markers=MARKERS,
        places=tuple(places),
        unread=tuple(unread),
    )
    return source, tuple(path for _, path in found)


def build_places(pod: LauncherPod, provider: str) -> Iterator[Place]:
    """Yield the allowed and required secrets of a launcher pod's disks; an ended pod need not hold any."""
    control_plane = pod.labels.get(names.LABEL_ROLE) == names.CONTROL_PLANE
    data, etcd = (CONTAINER_DATA, CONTAINER_ETCD) if pod.is_container else (DATA, EPHEMERAL_ETCD)
    secret = pod.secrets.get(CREDENTIALS_VOLUME, "")
    # A worker with the keys of the CAs on its disk is a leak, even if its VM says so.
    if fnmatchcase(secret, _own_secret(pod, control_plane=control_plane)):
        if not pod.is_container:
            yield from _expect_keys(pod, secret)
        if not control_plane:
            yield Place(
                kind=Kind.VM_DISK,
                name=f"{pod.name}/{data}",
                secret_class=SecretClass.PRIVATE_KEY,
                secret=f"{secret}/kubelet-client.key",
                reason="the kubelet keeps a copy of its client certificate below /var/lib/kubelet",
                must_hit=False,
            )
    if pod.running:
        yield _expect(Kind.VM_DISK, f"{pod.name}/{data}", DATA_LABEL)
        if not pod.is_container:
            yield _expect(Kind.VM_DISK, f"{pod.name}/{USER_DATA}", CLOUD_CONFIG)
        if control_plane and ETCD_VOLUME not in pod.claims:
            yield from _expect_etcd(f"{pod.name}/{etcd}", provider)


def _expect_keys(pod: LauncherPod, secret: str) -> Iterator[Place]:
    """Yield that the credentials disk of a virtual machine holds the node's own keys."""
    for secret_class in (SecretClass.PRIVATE_KEY, SecretClass.ENCRYPTION_KEY):
        yield Place(
            kind=Kind.CREDENTIALS_DISK,
            name=f"{pod.name}/{CREDENTIALS}",
            secret_class=secret_class,
            secret=f"{secret}/*",
            reason="the node's own keys are files on it as long as the VM runs",
            must_hit=pod.running,
            itself=True,
        )


def _own_secret(pod: LauncherPod, *, control_plane: bool) -> str:
    """Return the pattern of the only Secret that the node's credentials disk may be made of."""
    if control_plane:
        return names.pki_secret(pod.labels.get(names.LABEL_CLUSTER, ""))
    return names.credentials_secret(pod.labels.get(names.LABEL_NODE, ""), "*")


def _expect_etcd(name: str, provider: str) -> Iterator[Place]:
    """Yield what shows that a raw etcd was read, and that the API server encrypts what it writes there."""
    yield _expect(Kind.INNER_ETCD, name, ETCD_LABEL)
    yield _expect(Kind.INNER_ETCD, name, ENCRYPTED[provider])


def _expect(kind: Kind, name: str, marker: KnownSecret) -> Place:
    return Place(
        kind=kind,
        name=name,
        secret_class=SecretClass.MARKER,
        secret=marker.name,
        reason="public, and on each such disk",
        itself=True,
    )


def _list_scratch(pods: Iterable[LauncherPod]) -> Iterator[tuple[str, Path]]:
    """Yield each scratch volume of the pods: what its files are called, and its folder on the host's node."""
    for pod in pods:
        for volume in pod.empty_dirs:
            yield f"{pod.name}/{volume}", Path(EMPTY_DIRS.format(uid=pod.uid, volume=volume))


def _list_volumes(api: HostApi, claims: Iterable[ClaimRecord]) -> Iterator[tuple[str, Path | None]]:
    """Yield the volume of each claim in the same way; None when it is no folder of a node."""
    for claim in claims:
        body = api.fetch(resources.PERSISTENT_VOLUMES, claim.volume) if claim.volume else None
        yield claim.name, parse_volume_folder(body) if body else None


def _find_below(folder: Path, name: str) -> Iterator[tuple[Artefact, Path]]:
    """Yield the disks in a folder, under names that begin with what the folder is."""
    for artefact in find_files(Kind.EMBEDDED_HOST, folder, base=folder):
        if artefact.kind is Kind.DISK_IMAGE:
            full = f"{name}/{artefact.name}"
            yield replace(artefact, kind=_tell_kind(full), name=full), folder / artefact.name


def _tell_kind(name: str) -> Kind:
    """Tell what a disk is by its name, which begins with a launcher pod or a claim of etcd."""
    for pattern, kind in _KINDS.items():
        if fnmatchcase(name, pattern):
            return kind
    return Kind.VM_DISK
