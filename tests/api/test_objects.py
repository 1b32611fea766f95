"""What KinKy relies on when it writes objects: ownership of fields, versions, refusals and the cluster's record."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kinky import names
from kinky.errors import HostError
from kinky.kube import resources
from kinky.kube.connection import ApiError, JsonObject
from kinky.kube.host import HostApi
from kinky.kube.ownership import ForeignObjectError
from kinky.ownership import record
from kinky.ownership.record_format import RecordError
from tests.api.conftest import STACK, Cluster

pytestmark = pytest.mark.xdist_group("api")


def build(data: dict[str, str], **metadata: object) -> JsonObject:
    return {"metadata": {"name": "settings", "labels": names.cluster_labels("dev"), **metadata}, "data": data}


def fetch_data(cluster: Cluster) -> dict[str, str]:
    body = cluster.host.fetch_here(resources.CONFIG_MAPS, "settings")
    assert body is not None
    data: dict[str, str] = body.get("data") or {}
    return data


def test_an_apply_owns_its_fields_and_leaves_those_of_others(cluster: Cluster) -> None:
    where = cluster.access.namespace
    cluster.host.apply(resources.CONFIG_MAPS, build({"a": "1", "b": "1"}), namespace=where)
    cluster.host.patch(resources.CONFIG_MAPS, "settings", {"data": {"theirs": "1", "b": "2"}}, namespace=where)
    # It takes a field back that somebody else has changed, and drops one that it does not name any more.
    cluster.host.apply(resources.CONFIG_MAPS, build({"b": "3"}), namespace=where)
    assert fetch_data(cluster) == {"b": "3", "theirs": "1"}


def test_a_second_creation_changes_nothing(cluster: Cluster) -> None:
    where = cluster.access.namespace
    assert cluster.host.create(resources.CONFIG_MAPS, build({"a": "1"}), namespace=where)
    assert not cluster.host.create(resources.CONFIG_MAPS, build({"a": "2"}), namespace=where)
    assert fetch_data(cluster) == {"a": "1"}


def test_a_replacement_of_an_older_version_is_refused(cluster: Cluster) -> None:
    where = cluster.access.namespace
    cluster.host.create(resources.CONFIG_MAPS, build({"a": "1"}), namespace=where)
    read = cluster.host.fetch_here(resources.CONFIG_MAPS, "settings")
    assert read is not None
    cluster.host.patch(resources.CONFIG_MAPS, "settings", {"data": {"a": "2"}}, namespace=where)
    assert not cluster.host.replace(resources.CONFIG_MAPS, read | {"data": {"a": "3"}}, namespace=where)
    assert fetch_data(cluster) == {"a": "2"}


def test_a_list_that_has_changed_meanwhile_is_not_patched(cluster: Cluster) -> None:
    node = {"metadata": {"name": cluster.access.namespace}, "spec": {"taints": [{"key": "a", "effect": "NoSchedule"}]}}
    cluster.inner.create(resources.NODES, node)
    operations: list[JsonObject] = [
        {"op": "test", "path": "/spec/taints", "value": []},
        {"op": "replace", "path": "/spec/taints", "value": []},
    ]
    assert not cluster.inner.patch_json(resources.NODES, cluster.access.namespace, operations)
    cluster.inner.delete(resources.NODES, cluster.access.namespace)


def test_a_deletion_means_the_object_that_was_read(cluster: Cluster) -> None:
    where = cluster.access.namespace
    cluster.host.create(resources.CONFIG_MAPS, build({"a": "1"}), namespace=where)
    assert not cluster.host.delete(resources.CONFIG_MAPS, "settings", namespace=where, uid="another")
    assert cluster.host.delete(resources.CONFIG_MAPS, "settings", namespace=where)
    assert cluster.host.fetch_here(resources.CONFIG_MAPS, "settings") is None


def test_an_object_of_another_is_not_touched(cluster: Cluster) -> None:
    where = cluster.access.namespace
    cluster.inner.create(resources.CONFIG_MAPS, build({"a": "1"}, labels={}), namespace=where)
    with pytest.raises(ForeignObjectError, match=f"ConfigMap {where}/settings does not belong to inner cluster dev"):
        cluster.host.patch(resources.CONFIG_MAPS, "settings", {"data": {"a": "2"}}, namespace=where)


def test_a_refusal_of_the_api_is_quoted(cluster: Cluster) -> None:
    with pytest.raises(ApiError, match="Invalid value") as caught:
        cluster.inner.create(resources.CONFIG_MAPS, {"metadata": {"name": "No_Label"}}, namespace="default")
    assert caught.value.status == 422


def test_rights_are_asked_verb_by_verb(cluster: Cluster) -> None:
    assert cluster.host.is_allowed("create", resources.SECRETS)
    assert cluster.host.is_allowed("create", resources.SERVICE_ACCOUNTS, subresource="token")
    assert cluster.host.is_served(resources.CONFIG_MAPS)
    assert not cluster.host.is_served(resources.VIRTUAL_MACHINES)


def test_the_record_is_written_compared_and_removed(cluster: Cluster) -> None:
    bundle = b"-----BEGIN CERTIFICATE-----\n"
    settings = {"controlPlane.memoryMib": 4096}
    record.note_applied(cluster.host, settings, release="v1.36", cluster_uid="uid", bundle=bundle)
    found = record.fetch_record(HostApi.connect(cluster.access), "dev")
    assert found is not None
    assert (found.stack, found.cluster_uid, found.ca_certificates) == (STACK, "uid", bundle.decode())
    assert (found.release, found.settings) == ("v1.36", settings)
    with pytest.raises(HostError, match="holds another inner cluster dev"):
        HostApi.connect(replace(cluster.access, cluster_id="another")).require_host()
    record.delete_record(cluster.host)
    assert record.fetch_record(HostApi.connect(cluster.access), "dev") is None


def test_a_damaged_record_is_named_and_a_destroy_goes_on(cluster: Cluster) -> None:
    where, name = cluster.access.namespace, names.cluster_record("dev")
    cluster.inner.patch(resources.CONFIG_MAPS, name, {"data": {"settings": "{", "clusterId": None}}, namespace=where)
    api = HostApi.connect(cluster.access)
    with pytest.raises(RecordError, match=f"ConfigMap {where}/{name}, cannot be read"):
        record.fetch_record(api, "dev")
    api.require_host()
    record.delete_record(cluster.host)
    assert api.fetch_here(resources.CONFIG_MAPS, name) is None
