"""The journal: operations exclude each other, and know nothing of what they are for."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from kinky.errors import HostError
from kinky.kube.access import HostAccess
from kinky.kube.host import HostApi
from kinky.operations.journal import Journal, fetch_all_progress
from kinky.operations.operation import Operation
from kinky.ownership import record
from tests.unit.fake_api import FakeConnection

ROOT = Path(__file__).resolve().parents[2]
ACCESS = HostAccess(kubeconfig="/k", context=None, namespace="ns", cluster="dev")
ROTATE, UPGRADE = Operation("rotate", "ca"), Operation("upgrade", "v1.37")
RECORD = "/api/v1/namespaces/ns/configmaps/dev-operations"


@pytest.fixture
def api(host: FakeConnection) -> HostApi:
    made = HostApi.connect(ACCESS)
    record.ensure_record(made, "organization/kinky/dev", {})
    return made


def open_journal(api: HostApi, operation: Operation) -> Journal:
    made = Journal(api, "dev", operation)
    made.read()
    return made


@pytest.mark.parametrize("module", sorted((ROOT / "kinky" / "operations").glob("*.py")), ids=lambda path: path.name)
def test_the_engine_knows_nothing_of_what_it_is_used_for(module: Path) -> None:
    assert not re.findall(r"rotat\w*|\bkeys?\b of the cluster|KinkyConfig", module.read_text(), re.IGNORECASE)


def test_an_operation_is_kept_under_its_verb_and_item(api: HostApi) -> None:
    open_journal(api, ROTATE).start()
    assert set(fetch_all_progress(api, "dev")) == {ROTATE}
    assert Operation.parse(UPGRADE.key) == UPGRADE
    assert UPGRADE.command == "kinky upgrade v1.37"


def test_a_second_operation_does_not_start_beside_the_first(api: HostApi) -> None:
    first = open_journal(api, ROTATE)
    first.start()
    first.enter("trusted/dev-control-plane-0")
    expected = r"cannot upgrade v1\.37: kinky rotate ca is still in progress \(step trusted/dev-control-plane-0\)"
    with pytest.raises(HostError, match=expected) as caught:
        open_journal(api, UPGRADE).start()
    assert caught.value.hint == "finish it first: kinky rotate ca"
    first.finish()
    open_journal(api, UPGRADE).start()


def test_an_operation_that_waits_lets_others_run_and_waits_for_them_then(api: HostApi) -> None:
    first = open_journal(api, ROTATE)
    first.start()
    first.wait("2099-01-01T00:00:00Z")
    second = open_journal(api, UPGRADE)
    second.start()
    with pytest.raises(HostError, match=r"kinky upgrade v1\.37 is still in progress"):
        open_journal(api, ROTATE).start()
    second.finish()
    open_journal(api, ROTATE).start()


def test_of_two_programs_that_start_the_first_operation_ever_one_is_refused(api: HostApi) -> None:
    first, second = open_journal(api, ROTATE), open_journal(api, UPGRADE)
    first.start()
    with pytest.raises(HostError, match="another program has changed ConfigMap ns/dev-operations meanwhile"):
        second.start()
    assert set(fetch_all_progress(api, "dev")) == {ROTATE}


def test_every_write_carries_the_version_that_was_read(api: HostApi, host: FakeConnection) -> None:
    journal = open_journal(api, ROTATE)
    journal.start()
    journal.enter("add")
    host.objects[RECORD]["metadata"]["resourceVersion"] = "written by another"
    with pytest.raises(HostError, match="another program has changed ConfigMap ns/dev-operations meanwhile"):
        journal.leave("add")


@pytest.mark.parametrize("data", [{"rotate.ca": "{}"}, {"rotate": "{}"}, {"rotate.ca": "no JSON"}])
def test_what_is_no_record_is_refused(api: HostApi, host: FakeConnection, data: dict[str, str]) -> None:
    host.add("/api/v1/namespaces/ns/configmaps", "dev-operations", data=data)
    with pytest.raises(HostError, match="dev-operations holds no record of operations"):
        open_journal(api, ROTATE)
