"""Where secrets may be: an allow-list as data. Whatever is found elsewhere is a leak."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final

from kinky import names
from kinky.scan.artefact import Artefact
from kinky.scan.kind import Kind
from kinky.scan.known import OWN
from kinky.scan.secret import KnownSecret, SecretClass

IN_HOST_SECRETS: Final = (
    SecretClass.ENCRYPTION_KEY,
    SecretClass.PRIVATE_KEY,
    SecretClass.STORE_VALUE,
    SecretClass.TOKEN,
    SecretClass.OTHER_VALUE,
)
SHARED: Final = (
    SecretClass.STORE_VALUE,
    SecretClass.TOKEN,
    SecretClass.OTHER_VALUE,
    SecretClass.PASSPHRASE,
    SecretClass.ADMIN_TOKEN,
)
"""Classes whose values may have two names, such as two Secrets: people set them. A key that has two was copied."""
GIVEN: Final = "$*"
"""Pattern of the names of what the admin gave by a variable; the others have the name of a file."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """One place where secrets of one class are at home."""

    kind: Kind
    name: str
    """Pattern of the artefact's name; a star stands for anything, slashes too."""
    secret_class: SecretClass
    reason: str
    secret: str = "*"  # noqa: S105 - a pattern
    """Pattern of the secret's name."""
    must_hit: bool = True
    """Whether each of these secrets must be found in one place of its class, or else the scanner is blind."""
    itself: bool = False
    """Whether each of these secrets must be found in this very place, whichever others there are."""
    own: bool = False
    """Whether only secrets that are named after the artefact may be here: those which it holds as its own."""
    private: bool = False
    """Whether the place counts only if nobody but the owner can read it."""

    def expects(self, secret: KnownSecret) -> bool:
        """Tell whether the secret may be here."""
        return self.secret_class is secret.secret_class and fnmatchcase(secret.name, self.secret)

    def covers(self, artefact: Artefact, secret: KnownSecret) -> bool:
        """Tell whether the secret may be in the artefact."""
        return (
            self.kind is artefact.kind
            and self.expects(secret)
            and fnmatchcase(artefact.name, self.name)
            and (secret.name.startswith(f"{artefact.name}/") or not self.own)
            and (artefact.private or not self.private)
        )


def _places() -> Iterator[Place]:
    home = "the Secret is where the value lives; who may read it decides who may use the cluster"
    for name, secret_class in (
        *OWN.items(),
        (names.pki_secret("*"), SecretClass.ENCRYPTION_KEY),
        ("*", SecretClass.TOKEN),
        ("*", SecretClass.OTHER_VALUE),
    ):
        yield Place(kind=Kind.SECRET, name=name, secret_class=secret_class, reason=home, own=True)
    yield Place(
        kind=Kind.PASSPHRASE_FILE,
        name="*",
        secret_class=SecretClass.PASSPHRASE,
        secret="[!$]*",  # noqa: S106 - a pattern
        reason="the file is the passphrase",
        private=True,
    )
    for secret_class in (SecretClass.PASSPHRASE, SecretClass.ADMIN_TOKEN):
        reason = "who exports it has it in each program that is started from there; which those are is not known here"
        yield Place(
            kind=Kind.PROCESS,
            name="* environ",
            secret_class=secret_class,
            secret=GIVEN,
            reason=reason,
            must_hit=False,
        )
    for kind, name, secret_class, reason in (
        (Kind.CLUSTER_FOLDER, "clusters/*/credential.pem", SecretClass.ADMIN_KEY, "the admin's, for one hour"),
        (Kind.EMBEDDED_HOST, "host/kubeconfig.yaml", SecretClass.HOST_KEY, "its administrator's kubeconfig"),
        (Kind.EMBEDDED_HOST, "host/kubernetes/*", SecretClass.HOST_KEY, "its own certificates and kubeconfigs"),
    ):
        yield Place(kind=kind, name=name, secret_class=secret_class, reason=reason, private=True)
    for secret_class in IN_HOST_SECRETS:
        reason = "its etcd holds the host Secrets; it is a test machine's and does not encrypt them"
        name = "host/etcd/*"
        yield Place(kind=Kind.EMBEDDED_HOST, name=name, secret_class=secret_class, reason=reason, must_hit=False)


PLACES: Final = tuple(_places())
