"""The operator's values: written straight to the host, readable one by one, told by fingerprint only."""

import base64
import hashlib
from typing import Any

import pytest

from kinky import names
from kinky.config.load import load_config
from kinky.errors import HostError, KinkyError
from kinky.kube.access import HostAccess
from kinky.kube.connection import ApiError
from kinky.kube.host import HostApi
from kinky.manifests import stores
from kinky.ownership import orphans, record
from kinky.stores import values as store_values
from kinky.stores.host_namespace import HostNamespaceStore
from tests.unit.fake_api import FakeConnection
from tests.unit.fake_reach import ForgetfulReach

CFG = load_config({"cluster": {"name": "dev"}, "host": {"embedded": True, "namespace": "ns"}}, source="test")
ACCESS = HostAccess(kubeconfig="/k", context=None, namespace="ns", cluster="dev")
STORE = HostNamespaceStore(ForgetfulReach(ACCESS), token_hours=24)
SECRETS = "/api/v1/namespaces/ns/secrets"
RBAC = "/apis/rbac.authorization.k8s.io/v1/namespaces/ns"
VALUE = b"correct horse battery staple\n"
FINGERPRINT = hashlib.sha256(VALUE).hexdigest()[:12]


@pytest.fixture
def cluster(host: FakeConnection, monkeypatch: pytest.MonkeyPatch) -> FakeConnection:
    """A host with cluster dev: its record, its two values, its reader's Role."""
    monkeypatch.setenv("KINKY_PROGRESS", "quiet")
    record.ensure_record(HostApi.connect(ACCESS), "me", {})
    for name, key in (("canary", "nonce"), ("message", "message")):
        store_values.ensure_store_value(STORE, name, key=key)
        host.objects[f"{SECRETS}/dev-store-{name}"]["metadata"]["creationTimestamp"] = "2026-11-22T00:00:00Z"
    _, role, binding = stores.of(CFG).build_source(CFG)
    host.objects[f"{RBAC}/roles/dev-store-reader"] = role
    host.objects[f"{RBAC}/rolebindings/dev-store-reader"] = binding
    return host


def put(name: str = "db-password", *, key: str = "value", value: bytes = VALUE) -> store_values.Change:
    return store_values.put_value(STORE, "dev", name, key=key, value=value)


def readable(host: FakeConnection) -> set[str]:
    """The Secrets that the store's ServiceAccount may get, by the host's own rules."""
    found: set[str] = set()
    for path, binding in host.objects.items():
        if not path.startswith(f"{RBAC}/rolebindings/"):
            continue
        assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "dev-store-reader", "namespace": "ns"}]
        for rule in host.objects[f"{RBAC}/roles/{binding['roleRef']['name']}"]["rules"]:
            assert (rule["verbs"], rule["resources"]) == (["get"], ["secrets"])
            assert rule["resourceNames"], "no name would mean all names"
            found |= set(rule["resourceNames"])
    return found


def test_a_value_is_on_the_host_and_may_be_read_and_nothing_beside_it(cluster: FakeConnection) -> None:
    assert put() == store_values.Change(place="Secret ns/dev-store-db-password", before=None, after=FINGERPRINT)
    secret = cluster.objects[f"{SECRETS}/dev-store-db-password"]
    assert base64.b64decode(secret["data"]["value"]) == VALUE
    cluster.add(SECRETS, "dev-store-decoy", data={"value": "eA=="})
    assert readable(cluster) == {"dev-store-canary", "dev-store-message", "dev-store-unknown", "dev-store-db-password"}


def test_the_program_s_own_role_is_not_touched(cluster: FakeConnection) -> None:
    before = str(cluster.objects[f"{RBAC}/roles/dev-store-reader"])
    put()
    # The one name that would give the Role of a value the name of the program's Role.
    put("reader")
    store_values.delete_value(STORE, "dev", "reader")
    assert str(cluster.objects[f"{RBAC}/roles/dev-store-reader"]) == before
    wrote = {path for verb, path in cluster.calls if verb in ("PUT", "PATCH", "DELETE")}
    assert not [path for path in wrote if path.endswith("/dev-store-reader") and "/roles" in path]


def test_a_key_is_replaced_and_another_added(cluster: FakeConnection) -> None:
    put()
    other = hashlib.sha256(b"two").hexdigest()[:12]
    change = put(value=b"two")
    assert (change.before, change.after) == (FINGERPRINT, other)
    assert put(value=b"two").before == other
    assert put(key="user", value=b"me").before is None
    secret = cluster.objects[f"{SECRETS}/dev-store-db-password"]
    assert {key: base64.b64decode(text) for key, text in secret["data"].items()} == {"value": b"two", "user": b"me"}


def test_a_right_that_a_cut_off_run_did_not_make_comes_with_the_next(cluster: FakeConnection) -> None:
    put()
    del cluster.objects[f"{RBAC}/rolebindings/dev-store-reader-db-password"]
    put()
    assert "dev-store-db-password" in readable(cluster)


def test_the_list_tells_who_made_what_and_no_value(cluster: FakeConnection) -> None:
    put()
    # A pool that is called store has Secrets with the same beginning.
    labels = names.node_labels("dev", role="worker", pool="store", node="dev-store-0")
    cluster.add(SECRETS, "dev-store-0-user-data-01234567", metadata={"labels": labels}, data={"userdata": "eA=="})
    values = STORE.fetch_all()
    assert [(value.name, value.made_by) for value in values] == [
        ("canary", "program"),
        ("db-password", "admin"),
        ("message", "program"),
    ]
    assert values[1].fingerprints == {"value": FINGERPRINT}
    for value in values:
        for text in cluster.objects[f"{SECRETS}/dev-store-{value.name}"]["data"].values():
            assert text not in repr(values) and base64.b64decode(text).decode() not in repr(values)


def test_removal_takes_the_right_first_and_can_be_repeated(cluster: FakeConnection) -> None:
    put()
    store_values.delete_value(STORE, "dev", "db-password")
    deleted = [path.removeprefix(RBAC) for verb, path in cluster.calls if verb == "DELETE"]
    assert deleted == [
        "/rolebindings/dev-store-reader-db-password",
        "/roles/dev-store-reader-db-password",
        f"{SECRETS}/dev-store-db-password",
    ]
    put()
    del cluster.objects[f"{RBAC}/roles/dev-store-reader-db-password"]
    store_values.delete_value(STORE, "dev", "db-password")
    assert readable(cluster) == {"dev-store-canary", "dev-store-message", "dev-store-unknown"}
    with pytest.raises(KinkyError) as caught:
        store_values.delete_value(STORE, "dev", "db-password")
    assert str(caught.value) == (
        'secrets store of dev: there is no value "db-password"\nhint: kinky secrets list shows what there is'
    )


def test_destroy_finds_a_value_and_its_rights_by_their_labels(cluster: FakeConnection) -> None:
    put()
    found = orphans.delete_orphans(HostApi.connect(ACCESS), ignore=["ConfigMap/dev-record"])
    reader = "dev-store-reader-db-password"
    assert {"Secret/dev-store-db-password", f"Role/{reader}", f"RoleBinding/{reader}"} <= set(found)


@pytest.mark.parametrize("name", ["canary", "message"])
def test_the_program_s_values_are_neither_set_nor_removed(cluster: FakeConnection, name: str) -> None:
    before = str(cluster.objects)
    for act in (lambda: put(name), lambda: store_values.delete_value(STORE, "dev", name)):
        with pytest.raises(KinkyError) as caught:
            act()
        assert str(caught.value) == (
            f'secrets store of dev: the value "{name}" is the program\'s own\n'
            "  pulumi up makes it and pulumi destroy removes it; no other command changes it\n"
            "hint: choose another name"
        )
    assert str(cluster.objects) == before


def test_a_secret_without_the_operator_s_label_is_the_program_s(cluster: FakeConnection) -> None:
    metadata = {"creationTimestamp": "2026-11-22T00:00:00Z", "labels": names.cluster_labels("dev")}
    made: dict[str, Any] = {"metadata": metadata, "data": {"value": "eA=="}}
    before = str(cluster.add(SECRETS, "dev-store-decoy", **made))
    for act in (lambda: put("decoy"), lambda: store_values.delete_value(STORE, "dev", "decoy")):
        with pytest.raises(KinkyError, match='the value "decoy" is the program\'s own'):
            act()
    assert str(cluster.objects[f"{SECRETS}/dev-store-decoy"]) == before


@pytest.mark.parametrize("name", ["", "Db", "db_password", "-db", "db-", "1db", "a" * 64, "db=hunter2", "../pki"])
def test_a_name_is_a_dns_label_and_what_is_none_is_not_repeated(cluster: FakeConnection, name: str) -> None:
    cluster.calls.clear()
    with pytest.raises(KinkyError) as caught:
        put(name)
    assert str(caught.value) == (
        "secrets store of dev: this cannot be the name of a value\n"
        "  a name has lower-case letters, digits and hyphens, starts with a letter, and is at most 63 long\n"
        "hint: such as db-password; the value itself comes from standard input or --file"
    )
    assert cluster.calls == []


@pytest.mark.parametrize("key", ["", "a b", "a/b", "k=v", "a" * 254])
def test_a_key_is_what_a_secret_takes(cluster: FakeConnection, key: str) -> None:
    with pytest.raises(KinkyError, match="this cannot be a key of a Secret"):
        put(key=key)


def test_a_host_without_the_cluster_gets_no_value(host: FakeConnection) -> None:
    with pytest.raises(HostError) as caught:
        record.recognise(ACCESS, "dev")
    assert str(caught.value) == (
        "host cluster (https://host.test:6443): namespace ns holds no inner cluster dev\n"
        "hint: kinky up --stack dev makes it; if it was made on another host: choose the right host with "
        "host.kubeconfig and host.context; if the host was rebuilt: kinky forget"
    )
    assert host.objects == {}


def test_a_refusal_of_the_host_does_not_repeat_the_value(cluster: FakeConnection) -> None:
    quoted = {"reason": "Invalid", "message": f"Secret is invalid: data: {base64.b64encode(VALUE).decode()}"}
    cluster.answer("POST", SECRETS, quoted, status=422)
    with pytest.raises(ApiError) as caught:
        put()
    assert str(caught.value) == "host cluster: cannot create Secret dev-store-db-password: Invalid (422)"
