"""The ways to a cluster as a prober opens them: while the host is away, and what the record on the host adds."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import cast

import pytest

from kinky import paths
from kinky.errors import KinkyError
from kinky.kube.connection import UnavailableError
from kinky.status.fault_server import Identity
from kinky.status.target import LookingReach, open_target
from kinky.stores.store import Store
from tests.unit.cluster_records import record_data
from tests.unit.fake_api import FakeConnection
from tests.unit.fitting_host import make_config
from tests.unit.status.healthy import ACCESS, NS, KnownStore


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> FakeConnection:
    made = FakeConnection()
    monkeypatch.setattr("kinky.kube.host.open_host", lambda _access: made)
    return made


def publish(folder: Path) -> None:
    """Leave on this machine what `up` leaves there."""
    identity = Identity(folder=folder, names=("localhost",)).write()
    kept = paths.stack_dir("dev")
    shutil.copy(identity.ca_file, kept / "ca.crt")
    shutil.copy(identity.client_file, kept / "credential.pem")
    server = {"clusters": [{"cluster": {"server": "https://127.0.0.1:1"}}]}
    (kept / "kubeconfig.yaml").write_text(json.dumps(server))


def test_while_the_host_is_away_the_cluster_is_asked_with_what_this_machine_has(
    host: FakeConnection, tmp_path: Path
) -> None:
    publish(tmp_path)
    host.down = True
    inner = LookingReach(ACCESS).inner()
    with pytest.raises(UnavailableError, match="inner cluster"):
        inner.fetch_cluster_uid()


def test_without_a_kubeconfig_the_api_was_not_published(host: FakeConnection) -> None:
    with pytest.raises(KinkyError, match="no kubeconfig yet"):
        LookingReach(ACCESS).inner()


@pytest.mark.parametrize("state", ["there", "damaged", "away"])
def test_the_identity_to_compare_with_is_that_of_the_record(host: FakeConnection, state: str, tmp_path: Path) -> None:
    publish(tmp_path)
    host.add(f"{NS}/configmaps", "dev-record", data=record_data(cluster_uid="u-1"))
    if state == "damaged":
        host.objects[f"{NS}/configmaps/dev-record"]["data"].pop("version")
    host.down = state == "away"
    store = cast(Store, KnownStore())
    target = open_target("dev", make_config(), LookingReach(ACCESS), store=store)
    assert target.known_uid == ("u-1" if state == "there" else "")
