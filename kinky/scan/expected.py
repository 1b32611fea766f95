"""Where secrets may be: an allow-list as data. Whatever is found elsewhere is a leak."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final

from kinky.kube import resources
from kinky.scan.artefact import Artefact
from kinky.scan.files import DISK_KIND
from kinky.scan.known import OWN
from kinky.scan.secret import SecretClass

STATE: Final = "Pulumi state"
PULUMI_HOME: Final = "Pulumi home"
PASSPHRASE_FILE: Final = "passphrase file"  # noqa: S105 - the name of a kind
CLUSTER_FOLDER: Final = "cluster folder"
EMBEDDED_HOST: Final = "embedded host"
HOST_SECRET: Final = resources.SECRETS.kind
IN_HOST_SECRETS: Final = (
    SecretClass.ENCRYPTION_KEY,
    SecretClass.PRIVATE_KEY,
    SecretClass.STORE_VALUE,
    SecretClass.TOKEN,
    SecretClass.OTHER_VALUE,
)


@dataclass(frozen=True, kw_only=True)
class Place:
    """One place where secrets of one class are at home."""

    kind: str
    """Kind of artefact."""
    name: str
    """Pattern of the artefact's name; a star stands for anything, slashes too."""
    secret_class: SecretClass
    reason: str
    must_hit: bool = True
    """Whether each secret of the class must be found in one such place, or else the scanner is blind."""
    private: bool = False
    """Whether the place counts only if nobody but the owner can read it."""

    def covers(self, artefact: Artefact, secret_class: SecretClass) -> bool:
        """Tell whether a secret of this class may be in the artefact."""
        return (
            self.kind == artefact.kind
            and self.secret_class is secret_class
            and fnmatchcase(artefact.name, self.name)
            and (artefact.private or not self.private)
        )


def _places() -> Iterator[Place]:
    home = "the Secret is where the value lives; who may read it decides who may use the cluster"
    for name, secret_class in OWN.items():
        yield Place(kind=HOST_SECRET, name=name, secret_class=secret_class, reason=home)
    for secret_class, name in (
        (SecretClass.ENCRYPTION_KEY, "*-pki"),
        (SecretClass.TOKEN, "*"),
        (SecretClass.OTHER_VALUE, "*"),
    ):
        yield Place(kind=HOST_SECRET, name=name, secret_class=secret_class, reason=home)
    for kind, name, secret_class, reason in (
        (PASSPHRASE_FILE, "*", SecretClass.PASSPHRASE, "the file is the passphrase"),
        (CLUSTER_FOLDER, "clusters/*/credential.pem", SecretClass.OPERATOR_KEY, "the operator's, for one hour"),
        (EMBEDDED_HOST, "host/kubeconfig.yaml", SecretClass.HOST_KEY, "its administrator's kubeconfig"),
        (EMBEDDED_HOST, "host/kubernetes/*", SecretClass.HOST_KEY, "its own certificates and kubeconfigs"),
    ):
        yield Place(kind=kind, name=name, secret_class=secret_class, reason=reason, private=True)
    for secret_class in IN_HOST_SECRETS:
        reason = "its etcd holds the host Secrets; it is a test machine's and does not encrypt them"
        name = "host/etcd/*"
        yield Place(kind=EMBEDDED_HOST, name=name, secret_class=secret_class, reason=reason, must_hit=False)
    for secret_class in (SecretClass.ENCRYPTION_KEY, SecretClass.PRIVATE_KEY):
        for kind in (EMBEDDED_HOST, DISK_KIND):
            reason = "the disks of running VMs, which carry the node's keys"
            name = "host/kubelet/pods/*"
            yield Place(kind=kind, name=name, secret_class=secret_class, reason=reason, must_hit=False)


PLACES: Final = tuple(_places())
