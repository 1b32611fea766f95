"""The CAs: at every moment each trusts what each other presents, and in the end only the new ones.

The fake cluster itself checks that at each boot and each write, with real signatures, for what runs and for what would
boot or start from what there is at that moment.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kinky.errors import HostError, WaitError
from kinky.keys import cas, node_credentials
from kinky.keys.certificates import build_fingerprint, split_certificates
from kinky.keys.material import CAS, FILES
from kinky.kube.host import HostApi
from kinky.operations import renewal
from kinky.rotation import ca
from kinky.rotation.status import fetch_status
from tests.unit.fake_cas import EXTENSION, Cas, watch_cas
from tests.unit.fake_cluster import ACCESS, PKI, RECORD, FakeCluster, start_cluster
from tests.unit.fake_pods import SYSTEM
from tests.unit.fake_store import decode

ITEM = "ca"


def start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *, planes: int = 1, workers: int = 1) -> Cas:
    return watch_cas(start_cluster(monkeypatch, tmp_path, planes=planes, workers=workers), monkeypatch)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Cas:
    return start(monkeypatch, tmp_path)


def held(cluster: FakeCluster) -> list[str]:
    """Fingerprints of the CAs that the host holds."""
    files = decode(cluster.host, PKI)
    return [build_fingerprint(each) for name in CAS for each in split_certificates(files[f"{name}.crt"])]


def assert_new_alone(made: Cas, old: list[str]) -> None:
    new = held(made.cluster)
    assert len(new) == len(old) == len(CAS)
    assert not set(new) & set(old)
    assert made.issuers() == set(new) - {new[CAS.index("etcd-ca")]} | {
        build_fingerprint(plane.trust["etcd-ca"]) for plane in made.planes.values()
    }
    assert set(decode(made.cluster.host, PKI)) == set(FILES), "nothing is left behind"


@pytest.mark.parametrize("number", [1, 3])
def test_new_cas_take_over(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, number: int) -> None:
    made = start(monkeypatch, tmp_path, planes=number, workers=2)
    cluster, old = made.cluster, held(made.cluster)
    others = {name: text for name, text in decode(cluster.host, PKI).items() if not name.endswith((".crt", "ca.key"))}
    names = set(cluster.host.objects)
    assert cluster.rotate(ITEM)
    assert_new_alone(made, old)
    planes, workers = list(cluster.site.control_planes), list(cluster.site.workers)
    assert cluster.boots == planes + workers + planes + planes + workers
    assert others.items() <= decode(cluster.host, PKI).items()
    assert set(cluster.host.objects) - names == {RECORD}
    again = held(cluster)
    assert cluster.rotate(ITEM), "and once more"
    assert_new_alone(made, again)


# With three control planes the sub-steps are the same ones, only more of them.
@pytest.mark.parametrize(("number", "stride"), [(1, 1), (3, 23)])
def test_killed_before_any_call_each_still_trusts_each(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, number: int, stride: int
) -> None:
    made = start(monkeypatch, tmp_path, planes=number)
    cluster, at = made.cluster, 0
    while cluster.kill_at(at := at + stride, lambda: cluster.rotate(ITEM)):
        done = cluster.progress().get(ITEM, {}).get("done", [])
        if "add" in done and "drop" not in done and cluster.progress()[ITEM]["step"] != "drop":
            assert len(held(cluster)) == 2 * len(CAS), "the old ones stay until nothing presents them"
        assert cluster.rotate(ITEM)
        assert len(held(cluster)) == len(CAS)
        assert set(decode(cluster.host, PKI)) == set(FILES)
    assert at > 200


def test_signing_before_all_trust_would_be_noticed(made: Cas, monkeypatch: pytest.MonkeyPatch) -> None:
    """The check can fail: a rotation that adds and signs at once locks the workers out."""
    monkeypatch.setattr(
        ca,
        "add_next",
        lambda files, cluster: cas.sign_with_next(cas.add_next(files, cluster)),
    )
    with pytest.raises(AssertionError, match="meets"):
        made.cluster.rotate(ITEM)


def test_pods_that_read_the_trust_once_are_started_anew(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without it a pod of the one control plane would not know the new certificate of another."""
    made = start(monkeypatch, tmp_path, planes=3)
    monkeypatch.setattr(ca, "build_renewals", lambda *_arguments, **_named: [])
    with pytest.raises(AssertionError, match="meets a pod"):
        made.cluster.rotate(ITEM)


def test_a_pod_that_nobody_would_make_again_is_not_deleted(made: Cas) -> None:
    path = f"{SYSTEM}/pods/flannel-dev-control-plane-0"
    del made.cluster.inner.objects[path]["metadata"]["ownerReferences"]
    with pytest.raises(WaitError, match="runs new pods on dev-control-plane-0") as caught:
        made.cluster.rotate(ITEM)
    assert "delete these yourself" in str(caught.value)
    assert "kube-system/flannel-dev-control-plane-0" in str(caught.value)
    assert path in made.cluster.inner.objects
    made.add_pod("dev-control-plane-0")
    assert made.cluster.rotate(ITEM)


def test_old_cas_are_not_told_any_more(made: Cas) -> None:
    """API servers add to what extension servers are told and take nothing away."""
    made.cluster.rotate(ITEM)
    assert ("DELETE", EXTENSION) in made.cluster.inner.calls


def test_a_worker_that_keeps_its_old_certificate_stops_it(made: Cas, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kubelet that has renewed its certificate meanwhile, say: its Secret tells nothing of that."""
    real = made.tell_kubelet_metrics
    monkeypatch.setattr(
        made,
        "tell_kubelet_metrics",
        lambda node: type(real(node))(200, b"kubelet_certificate_manager_client_ttl_seconds 86400\n"),
    )
    with pytest.raises(WaitError, match="dev-worker-0 presents no certificate of an old CA") as caught:
        made.cluster.rotate(ITEM)
    assert "its kubelet's client certificate ends in 86400 s" in str(caught.value)
    assert len(held(made.cluster)) == 2 * len(CAS), "both are still trusted"


def test_a_worker_that_came_with_an_old_certificate_stops_it(made: Cas, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ca, "ensure_node_ca", lambda *_args, **_named: None)
    made.check = lambda: None  # type: ignore[method-assign]  # What is wrong here is what the rotation has to notice.
    with pytest.raises(WaitError) as caught:
        made.cluster.rotate(ITEM)
    assert "holds kubelet-client.crt and kubelet-serving.crt of another CA" in str(caught.value)


@pytest.mark.parametrize(
    ("round_number", "expected"),
    [
        (1, "it refuses a certificate of"),
        (2, "its TLS certificate is not the expected one"),
        (3, "it still accepts what the former CA has signed, as kinky:former-client"),
    ],
)
def test_a_control_plane_that_boots_with_old_files_stops_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, round_number: int, expected: str
) -> None:
    """Whichever round it is; the last of three, so that the published path leads to another."""
    made = start(monkeypatch, tmp_path, planes=3)
    real, last, boots = made.start, made.cluster.site.control_planes[-1], 0

    def stale(node: str) -> None:
        nonlocal boots
        before = made.planes.get(node)
        boots += node == last
        real(node)
        if node == last and boots == round_number and before is not None:
            made.planes[node] = before

    monkeypatch.setattr(made, "start", stale)
    with pytest.raises(WaitError, match=f"the API server of {last} has the new keys") as caught:
        made.cluster.rotate(ITEM)
    assert expected in str(caught.value)


def test_an_image_that_cannot_hold_two_is_refused_before_anything(made: Cas) -> None:
    """A controller-manager refuses a signing file with two certificates: the cluster would lose it."""
    name = "kube-controller-manager-dev-control-plane-0"
    made.cluster.inner.objects[f"{SYSTEM}/pods/{name}"]["spec"]["containers"] = [
        {"command": ["kube-controller-manager"]}
    ]
    before = decode(made.cluster.host, PKI)
    with pytest.raises(HostError, match="is not fit for it; nothing was touched") as caught:
        made.cluster.rotate(ITEM)
    assert "the controller-manager of dev-control-plane-0 does not sign with ca-issuer.crt" in str(caught.value)
    assert decode(made.cluster.host, PKI) == before
    assert RECORD not in made.cluster.host.objects


def test_who_may_not_look_at_kubelets_is_refused_before_anything(made: Cas) -> None:
    made.cluster.host.denied.add(("create", "pods/portforward"))
    with pytest.raises(HostError, match="nothing was touched") as caught:
        made.cluster.rotate(ITEM)
    assert "your account is not allowed to create pods/portforward in namespace ns of the host" in str(caught.value)
    assert RECORD not in made.cluster.host.objects


def test_no_other_rotation_starts_while_it_is_in_progress(made: Cas) -> None:
    made.cluster.kill_at(60, lambda: made.cluster.rotate(ITEM))
    made.cluster.come_up()
    with pytest.raises(HostError, match="cannot rotate encryption-key: kinky rotate ca is still in progress"):
        made.cluster.rotate("encryption-key")
    assert made.cluster.rotate(ITEM)
    assert made.cluster.rotate("encryption-key")


def test_a_lost_record_begins_again_with_what_is_there(made: Cas) -> None:
    at = 0
    while "signing/dev-control-plane-0" not in made.cluster.progress().get(ITEM, {}).get("done", []):
        made.cluster.kill_at(at := at + 5, lambda: made.cluster.rotate(ITEM))
    del made.cluster.host.objects[RECORD]
    made.cluster.come_up()
    between = held(made.cluster)
    assert made.cluster.rotate(ITEM)
    assert not set(held(made.cluster)) & set(between)
    assert set(decode(made.cluster.host, PKI)) == set(FILES)


def test_what_pulumi_would_ask_for_is_what_is_there(made: Cas) -> None:
    """The names of all Secrets stay, and what is in the VMs' specs; a worker that comes later trusts the new one."""
    made.cluster.rotate(ITEM)
    record = node_credentials.ensure_node_credentials(HostApi.connect(ACCESS), "dev", "dev-worker-9", "10.96.0.9")
    files = decode(made.cluster.host, f"/api/v1/namespaces/ns/secrets/{record.secret_name}")
    assert files["ca.crt"] == decode(made.cluster.host, PKI)["ca.crt"]


def test_a_plan_names_the_restarts_in_order(made: Cas) -> None:
    lines = made.cluster.plan(ITEM)
    plane, worker = "dev-control-plane-0", "dev-worker-0"
    assert lines[-1].endswith(f"order: {plane}, {worker}, {plane}, {plane}, {worker}")
    assert len(lines) == 17


def test_the_status_tells_who_signs(made: Cas) -> None:
    def look() -> list[str]:
        found = next(status for status in fetch_status(made.cluster.site) if status.item == ITEM)
        assert all(key.made_at is not None and len(key.fingerprint) == 12 for key in found.keys)
        return [key.subject for key in found.keys]

    assert look() == ["dev-pki ca signing", "dev-pki front-proxy-ca signing", "dev-pki etcd-ca signing"]
    while "add" not in made.cluster.progress().get(ITEM, {}).get("done", []):
        made.cluster.kill_at(30, lambda: made.cluster.rotate(ITEM))
    assert look()[:2] == ["dev-pki ca signing", "dev-pki ca trusted"]


def test_no_key_is_written_down_or_told(
    made: Cas, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("KINKY_PROGRESS", "plain")
    seen: dict[str, bytes] = {}
    real = made.cluster.host.after

    def collect(method: str, path: str) -> None:
        real(method, path)
        seen.update({f"{name} {len(seen)}": text for name, text in decode(made.cluster.host, PKI).items()})

    made.cluster.host.after = collect
    made.cluster.rotate(ITEM)
    told = (
        capsys.readouterr().err + json.dumps(made.cluster.host.objects[RECORD]) + repr(fetch_status(made.cluster.site))
    )
    lines = {
        line
        for name, text in seen.items()
        if ".key" in name
        for line in text.decode().splitlines()
        if "-----" not in line
    }
    assert len(lines) > 3 * len(CAS)
    assert not [line for line in lines if line in told]
    assert "PRIVATE" not in told
    assert not list((tmp_path / "state").rglob("probe*")), "what a proof wrote for a moment is gone"


def test_a_key_secret_from_before_is_told_as_that(made: Cas) -> None:
    with pytest.raises(HostError, match="no new CA waits"):
        cas.get_next(decode(made.cluster.host, PKI))
    with pytest.raises(HostError, match="no client of the former CA"):
        cas.get_former_client(decode(made.cluster.host, PKI))


def test_a_namespace_that_ends_is_told_nothing(made: Cas) -> None:
    made.cluster.inner.add("/api/v1/namespaces", "old", metadata={"deletionTimestamp": "2026-01-01T00:00:00Z"})
    assert made.cluster.rotate(ITEM)
    made.cluster.inner.add("/api/v1/namespaces", "late")
    with pytest.raises(WaitError) as caught:
        made.cluster.rotate(ITEM)
    assert "1 of 4 namespaces are told other CAs: late" in str(caught.value)
    assert renewal.ROOT_CONFIG_MAP == "kube-root-ca.crt"
