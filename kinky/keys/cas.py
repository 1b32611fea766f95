"""The CAs among the key files: which ones sign, which ones are trusted, and how they are replaced.

`<name>.crt` is what is trusted: one certificate, or several while a rotation runs. The first one signs, with
`<name>.key`: kubeadm and openssl sign with the first certificate of the file and trust all of them. The new key waits
in a file of its own until it signs; the old one is gone from then on.
"""

from collections.abc import Mapping

from kinky.errors import HostError
from kinky.keys.certificates import (
    CA_LIFE,
    LeafRequest,
    Pair,
    make_ca,
    make_leaf,
    split_certificates,
)
from kinky.keys.material import CAS

CLUSTER_CA = "ca"
FORMER_CLIENT = "former-client"
"""A client certificate of the last CA, with no group: no right goes with it but to be known or refused."""

Files = Mapping[str, bytes]


def add_next(files: Files, cluster: str) -> Files:
    """Add new CAs: trusted, last, their keys waiting; those that an earlier call has added are kept."""
    if _next_key(CLUSTER_CA) in files:
        return files
    wanted = dict(files)
    for name in CAS:
        # Of the same name, as is usual: certificates say by which key they were signed.
        pair = make_ca(f"{cluster} {name}")
        wanted |= {f"{name}.crt": files[f"{name}.crt"] + pair.certificate, _next_key(name): pair.key}
    return wanted


def sign_with_next(files: Files) -> Files:
    """Have the waiting CAs sign, all stay trusted; the last ones leave nothing but a powerless client."""
    if _next_key(CLUSTER_CA) not in files:
        return files
    request = LeafRequest(common_name=f"kinky:{FORMER_CLIENT}", life=CA_LIFE)
    former = make_leaf(get_ca(files), request)
    wanted = dict(files) | {f"{FORMER_CLIENT}.crt": former.certificate, f"{FORMER_CLIENT}.key": former.key}
    for name in CAS:
        *present, new = split_certificates(files[f"{name}.crt"])
        wanted |= {f"{name}.crt": b"".join([new, *present]), f"{name}.key": wanted.pop(_next_key(name))}
    return wanted


def keep_signing(files: Files) -> Files:
    """Trust the signing CAs alone."""
    return {**files, **{f"{name}.crt": split_certificates(files[f"{name}.crt"])[0] for name in CAS}}


def forget_former(files: Files) -> Files:
    """Let go of the client of the last CA."""
    return {name: content for name, content in files.items() if not name.startswith(f"{FORMER_CLIENT}.")}


def get_ca(files: Files) -> Pair:
    """Return the cluster's CA that signs, with all that are trusted behind it."""
    return Pair(files[f"{CLUSTER_CA}.crt"], files[f"{CLUSTER_CA}.key"])


def get_next(files: Files) -> Pair:
    """Return the cluster's CA that waits, with all that are trusted behind it."""
    key = files.get(_next_key(CLUSTER_CA))
    if key is None:
        raise _lost("no new CA waits")
    *present, new = split_certificates(files[f"{CLUSTER_CA}.crt"])
    return Pair(b"".join([new, *present]), key)


def get_former_client(files: Files) -> Pair:
    """Return the client of the last CA."""
    names = (f"{FORMER_CLIENT}.crt", f"{FORMER_CLIENT}.key")
    if not all(name in files for name in names):
        raise _lost("there is no client of the former CA")
    certificate, key = (files[name] for name in names)
    return Pair(certificate, key)


def _next_key(name: str) -> str:
    return f"{name}-next.key"


def _lost(what: str) -> HostError:
    return HostError(
        f"the key Secret does not hold what the rotation has written into it: {what}",
        hint="it was edited, or restored from before: without it the rotation cannot go on",
    )
