"""A certificate for the hour in which the usual way is closed: made on demand, kept nowhere, written down on the host.

Unlike `kinky credential` it works without the host and without kinky, so it cannot be revoked before it expires. Hence
its short life, and the record, which is made first.
"""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from kinky import names
from kinky.keys.certificates import LeafRequest, build_fingerprint, fetch_not_after, format_time, make_leaf
from kinky.keys.material import fetch_ca
from kinky.kube import resources
from kinky.kube.connection import JsonObject
from kinky.kube.host import HostApi
from kinky.kube.kubeconfig import build_held_kubeconfig
from kinky.reach.credential import describe_admin

HOURS_LIMIT = 24


@dataclass(frozen=True, kw_only=True)
class BreakGlass:
    """A kubeconfig that holds its certificate, and where it was written down."""

    kubeconfig: str = field(repr=False)
    """JSON text (secret)."""
    record: str
    """Name of the ConfigMap on the host."""
    not_after: str


def make_break_glass(host: HostApi, cluster: str, kubeconfig: JsonObject, *, hours: int, reason: str) -> BreakGlass:
    """Sign a client certificate with the admin's own host rights, and record it on the host.

    Args:
        kubeconfig: The cluster's ordinary one, which says where the API is.
        hours: Life of the certificate, from 1 to 24.

    Raises:
        HostError: the host does not give the CA, or did not take the record; there is no certificate then.
    """
    ca = fetch_ca(host, cluster)
    who = describe_admin()
    request = LeafRequest(
        common_name=f"kinky:break-glass:{who}", organizations=["system:masters"], life=timedelta(hours=hours)
    )
    leaf = make_leaf(ca, request)
    fingerprint = build_fingerprint(leaf.certificate)
    not_after = format_time(fetch_not_after(leaf.certificate))
    record = names.break_glass_record(cluster, fingerprint)
    body = {
        "metadata": {
            "name": record,
            "labels": names.cluster_labels(cluster) | {names.LABEL_BREAK_GLASS: "true"},
        },
        "immutable": True,
        "data": {
            "admin": who,
            # The one of the two names that its bearer cannot choose.
            "hostUser": host.fetch_user(),
            "reason": reason,
            "fingerprint": fingerprint,
            "madeAt": format_time(datetime.now(UTC)),
            "notAfter": not_after,
        },
    }
    host.create(resources.CONFIG_MAPS, body, namespace=host.namespace)
    held = build_held_kubeconfig(kubeconfig, ca_certificate=ca.certificate, certificate=leaf.certificate, key=leaf.key)
    return BreakGlass(kubeconfig=json.dumps(held, indent=2), record=record, not_after=not_after)
