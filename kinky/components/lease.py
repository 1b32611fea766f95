"""The lease in Pulumi's terms: what the record is told about it, and how each host object names it as its owner."""

from __future__ import annotations

from typing import cast

import pulumi

from kinky.components.properties import Properties
from kinky.components.steps.record import ClusterRecord, LeaseTerms
from kinky.config.model import KinkyConfig

HOST_OBJECT = "kubernetes:"
"""Prefix of the type of an object; the other resources below a component are steps and components."""


def describe_lease(config: KinkyConfig) -> LeaseTerms | None:
    """Return what the record is told about the lease; None without a lease."""
    lease = config.cluster.lease
    return None if lease is None else LeaseTerms(seconds=lease.seconds, holder=lease.holder or "")


def own_by(record: ClusterRecord, config: KinkyConfig) -> list[pulumi.ResourceTransformation] | None:
    """Return what gives every object below a component the lease as its owner; None without a lease."""
    if config.cluster.lease is None:
        return None

    def own(args: pulumi.ResourceTransformationArgs) -> pulumi.ResourceTransformationResult | None:
        if not args.type_.startswith(HOST_OBJECT):
            return None
        # A body is a plain dict; only values in it may be outputs.
        metadata = {**cast(Properties, args.props["metadata"]), "ownerReferences": record.outputs.owners}
        return pulumi.ResourceTransformationResult({**args.props, "metadata": metadata}, args.opts)

    return [own]
