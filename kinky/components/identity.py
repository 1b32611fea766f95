"""The cluster and the host of a stack: in Pulumi's state before anything is made, and compared from then on."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import replace

import pulumi
from pulumi import Output, dynamic

from kinky.bootstrap import record
from kinky.bootstrap.reach import Reach
from kinky.components.live_step import LiveStep, Properties, Step, describe_access, parse_access, parse_reach
from kinky.errors import HostError
from kinky.kube.access import HostAccess


class ClusterIdentityStep(Step):
    """Choose the cluster's identity and read the host's; it changes nothing, so it cannot end half done."""

    def _run(self, inputs: Properties, previous: Properties) -> Properties:
        host_uid = previous.get("host_uid") or parse_reach(inputs).host().fetch_host_uid()
        return {"host_uid": host_uid, "cluster_id": previous.get("cluster_id") or uuid.uuid4().hex}

    def check(self, _olds: Properties, news: Properties) -> dynamic.CheckResult:
        """Refuse an existing cluster that no state of this stack has made."""
        if not _olds:
            reach = parse_reach(news)
            found = record.fetch_record(reach.host(), reach.cluster)
            if found is not None and not record.is_taken_over(reach.cluster):
                raise record.describe_conflict(reach.host(), reach.cluster, found)
        return dynamic.CheckResult(news, [])

    def diff(self, _id: str, _olds: Properties, _news: Properties) -> dynamic.DiffResult:
        """Compare the host with the one that the cluster was made on, at each preview and each up.

        Raises:
            HostError: It is another host, or the stack now names another cluster.
        """
        for key, setting in (("cluster", "cluster.name"), ("namespace", "host.namespace")):
            if _olds[key] != _news[key]:
                raise HostError(
                    f"{setting} = {_news[key]}: the stack's cluster was made with {_olds[key]}; nothing was touched",
                    hint="set it back; or destroy the cluster first, with everything in it",
                )
        known = parse_access(_olds)
        access = replace(parse_access(_news), host_uid=known.host_uid, cluster_id=known.cluster_id)
        Reach(access).host().require_host(is_recorded=not record.is_taken_over(access.cluster))
        return super().diff(_id, _olds, _news)

    def read(self, id_: str, props: Properties) -> dynamic.ReadResult:
        """Compare the host at a refresh, which would find none of the cluster's objects on another one.

        Raises:
            HostError: It is another host.
        """
        with self._border("refresh", props):
            super()._require_host(props)
        return dynamic.ReadResult(id_, props)

    def _require_host(self, properties: Properties) -> None:
        """Compare nothing: this step writes and deletes nothing on the host."""


class ClusterIdentity(LiveStep, module="kinky", name="ClusterIdentity"):
    """The identity of the cluster, a random one, and that of its host."""

    host_uid: Output[str]
    cluster_id: Output[str]


class HostGuardStep(Step):
    """Check the host before a destroy deletes anything on it; do nothing else."""

    def _run(self, inputs: Properties, previous: Properties) -> Properties:
        return {}


class HostGuard(LiveStep, module="kinky", name="HostGuard"):
    """The guard: Pulumi deletes it first, and its check stops a destroy on another host."""


def declare_identity(parent: pulumi.Resource, name: str, access: HostAccess) -> Properties:
    """Declare the identity, and return the inputs that tell every other step its host and its cluster."""
    identity = ClusterIdentity(
        ClusterIdentityStep(), f"{name}-identity", describe_access(access), pulumi.ResourceOptions(parent=parent)
    )
    return {**describe_access(access), "host_uid": identity.host_uid, "cluster_id": identity.cluster_id}


def declare_guard(parent: pulumi.Resource, name: str, access: Properties, *, after: Sequence[pulumi.Resource]) -> None:
    """Declare the guard of all objects on the host."""
    HostGuard(HostGuardStep(), f"{name}-guard", access, pulumi.ResourceOptions(parent=parent, depends_on=list(after)))
