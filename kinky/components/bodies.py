"""From a Kubernetes body, a plain dict, to the Pulumi resource that stands for it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any, Final, TypeAlias

import pulumi

from kinky.manifests.body import Body, logical_name

SKIP_AWAIT: Final = "pulumi.com/skipAwait"
PATCH_FORCE: Final = "pulumi.com/patchForce"
WAIT_FOR: Final = "pulumi.com/waitFor"
AWAITED_KINDS: Final = frozenset(
    {"DaemonSet", "Deployment", "PersistentVolumeClaim", "Service", "ServiceAccount", "StatefulSet"}
)
"""Kinds that the provider waits for unless it is told not to; a skipped wait also skips the one for the deletion."""
SECRET_FIELDS: Final = ("data", "stringData")
"""Fields of a Secret that Pulumi has to encrypt in its state and to hide on the screen."""
ObjectKey: TypeAlias = tuple[str, str, str]
"""Kind, namespace and name of an object; the namespace is empty for an object of the whole cluster."""


class KubernetesObject(pulumi.CustomResource):
    """An object of any kind, with the fields of its body as they are.

    The classes of pulumi_kubernetes would send the same; importing those that a cluster needs takes 0.7 s.
    """

    metadata: pulumi.Output[Mapping[str, Any]]
    spec: pulumi.Output[Mapping[str, Any]]

    def __init__(self, name: str, body: Body, opts: pulumi.ResourceOptions) -> None:
        """Declare the object; only a Secret has fields that are secret."""
        api_version, kind = str(body["apiVersion"]), str(body["kind"])
        group = api_version if "/" in api_version else f"core/{api_version}"
        fields = dict(body)
        if (api_version, kind) == ("v1", "Secret"):
            fields |= {key: pulumi.Output.secret(fields[key]) for key in SECRET_FIELDS if key in fields}
            opts.additional_secret_outputs = list(SECRET_FIELDS)
        super().__init__(f"kubernetes:{group}:{kind}", name, fields, opts)


def declare(
    parent: pulumi.Resource,
    body: Body,
    *,
    name: str | None = None,
    await_ready: bool = False,
    retain_on_delete: bool = False,
    depends_on: Sequence[pulumi.Resource] = (),
) -> KubernetesObject:
    """Declare one object under its parent, whose provider it uses.

    With `await_ready` the provider waits until the object is ready, by its own rules for the kind; with
    `retain_on_delete` the object stays when the stack goes. A definition is always waited for: what needs it fails
    before it is served.
    """
    resource_name = name or logical_name(body)
    wanted = annotate(body, choose_annotations(str(body["kind"]), await_ready=await_ready))
    opts = pulumi.ResourceOptions(parent=parent)
    if depends_on:
        opts.depends_on = list(depends_on)
    if retain_on_delete:
        opts.retain_on_delete = True
    return KubernetesObject(resource_name, wanted, opts)


def declare_all(
    parent: pulumi.Resource,
    bodies: Iterable[Body],
    *,
    prefix: str,
    await_kinds: Sequence[str] = (),
    depends_on: Sequence[pulumi.Resource] = (),
) -> list[KubernetesObject]:
    """Declare many objects in their order; each waits for the ones that it depends on."""
    declared: dict[ObjectKey, KubernetesObject] = {}
    for body in bodies:
        # A Namespace from the same call must exist before its objects.
        home = declared.get(("Namespace", "", str(body["metadata"].get("namespace", ""))))
        declared[_object_key(body)] = declare(
            parent,
            _bind(body, declared),
            name=f"{prefix}/{logical_name(body)}",
            await_ready=body["kind"] in await_kinds,
            depends_on=[*depends_on, *([home] if home else [])],
        )
    return list(declared.values())


def _object_key(body: Body) -> ObjectKey:
    metadata = body["metadata"]
    return str(body["kind"]), str(metadata.get("namespace", "")), str(metadata["name"])


def _bind(body: Body, declared: Mapping[ObjectKey, KubernetesObject]) -> Body:
    """Return a binding whose role name is known only once the role exists; return any other body unchanged.

    A preview asks the API for a dry run of each object whose inputs are all known. For a binding, the API then looks
    for the role. It refuses a missing role, unless the account has the verb `bind`.
    """
    wanted: Mapping[str, str] | None = body.get("roleRef")
    if wanted is None:
        return body
    namespace = "" if wanted["kind"] == "ClusterRole" else str(body["metadata"]["namespace"])
    role = declared.get((wanted["kind"], namespace, wanted["name"]))
    if role is None:
        return body
    # In a preview, only the id of a resource to be created is unknown.
    name = pulumi.Output.all(role.id, wanted["name"]).apply(itemgetter(1))
    return {**body, "roleRef": {**wanted, "name": name}}


def choose_annotations(kind: str, *, await_ready: bool) -> Mapping[str, str]:
    """Return what tells the provider how to wait for an object of this kind."""
    if kind == "CustomResourceDefinition":
        return {WAIT_FOR: "condition=Established"}
    if kind == "VirtualMachine":
        # A field that a step has set (docs/decisions/0016) becomes the program's once the program declares it.
        return {PATCH_FORCE: "true"}
    return {} if await_ready or kind not in AWAITED_KINDS else {SKIP_AWAIT: "true"}


def annotate(body: Body, annotations: Mapping[str, str]) -> Body:
    """Return the body with these annotations added."""
    if not annotations:
        return body
    metadata: Mapping[str, Any] = body["metadata"]
    return {**body, "metadata": {**metadata, "annotations": {**(metadata.get("annotations") or {}), **annotations}}}
