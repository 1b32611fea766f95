"""What version 2 of Vault's KV engine answers, asked of our own server over HTTPS."""

from __future__ import annotations

import re

from tests.unit.vault.conftest import Running, wait_for_engine

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")


def test_a_value_has_versions_with_times(running: Running) -> None:
    operator, path = running.operator, "secret/data/versions/a"
    first, second = (
        operator.put(path, data={"value": "1"}),
        operator.put(path, data={"value": "2", "more": {"deep": 3}}),
    )
    assert (first.status, first.data["version"], second.data["version"]) == (200, 1, 2)
    assert TIME.fullmatch(first.data["created_time"])
    assert first.data["created_time"] < second.data["created_time"]
    newest, older = operator.get(path), operator.get(f"{path}?version=1")
    assert newest.data["data"] == {"value": "2", "more": {"deep": 3}}
    assert older.data["data"] == {"value": "1"}
    assert newest.data["metadata"] == {
        "version": 2,
        "created_time": second.data["created_time"],
        "deletion_time": "",
        "destroyed": False,
        "custom_metadata": None,
    }
    assert operator.get(f"{path}?version=3").status == 404


def test_every_answer_has_the_envelope(running: Running) -> None:
    body = running.operator.get("secret/data/kinky/dev/db").body
    assert {"request_id", "lease_id", "renewable", "lease_duration", "data", "wrap_info", "warnings", "auth"} <= set(
        body
    )


def test_an_absent_value_is_404_without_an_error(running: Running) -> None:
    for answer in (
        running.operator.get("secret/data/kinky/dev/absent"),
        running.operator.get("secret/metadata/kinky/dev/absent"),
        running.operator.list("secret/metadata/kinky/absent"),
    ):
        assert (answer.status, answer.body) == (404, {"errors": []})


def test_metadata_tells_versions_and_takes_labels(running: Running) -> None:
    operator = running.operator
    for value in ("1", "2"):
        operator.put("secret/data/labels/a", data={"value": value})
    assert operator.put("secret/metadata/labels/a", custom_metadata={"managed-by": "kinky"}).status == 204
    data = operator.get("secret/metadata/labels/a").data
    assert data["custom_metadata"] == {"managed-by": "kinky"}
    assert (data["current_version"], data["oldest_version"], sorted(data["versions"])) == (2, 0, ["1", "2"])
    assert set(data["versions"]["1"]) == {"created_time", "deletion_time", "destroyed"}
    assert data["created_time"] == data["versions"]["1"]["created_time"]
    assert {"max_versions", "cas_required", "delete_version_after", "updated_time"} <= set(data)
    assert operator.get("secret/data/labels/a").data["metadata"]["custom_metadata"] == {"managed-by": "kinky"}


def test_a_list_shows_one_level(running: Running) -> None:
    operator = running.operator
    for path in ("tree/b", "tree/a", "tree/sub/x", "tree/sub/y", "tree/a/under"):
        operator.put(f"secret/data/{path}", data={"value": "x"})
    assert operator.list("secret/metadata/tree").data == {"keys": ["a", "a/", "b", "sub/"]}
    assert operator.list("secret/metadata/tree/").data == {"keys": ["a", "a/", "b", "sub/"]}
    assert operator.call("LIST", "secret/metadata/tree/sub").data == {"keys": ["x", "y"]}
    assert "tree/" in operator.list("secret/metadata").data["keys"]


def test_a_deleted_version_is_404_with_its_metadata(running: Running) -> None:
    operator, path = running.operator, "secret/data/deleted/a"
    operator.put(path, data={"value": "1"})
    assert operator.delete(path).status == 204
    answer = operator.get(path)
    assert (answer.status, answer.data["data"]) == (404, None)
    assert TIME.fullmatch(answer.data["metadata"]["deletion_time"])
    assert operator.put("secret/undelete/deleted/a", versions=[1]).status == 204
    assert operator.get(path).data["data"] == {"value": "1"}
    assert operator.put("secret/destroy/deleted/a", versions=[1]).status == 204
    assert operator.get(path).status == 404
    assert operator.get(path).data["metadata"]["destroyed"] is True


def test_a_value_goes_with_its_metadata_and_starts_anew(running: Running) -> None:
    operator = running.operator
    operator.put("secret/data/gone/a", data={"value": "1"})
    operator.put("secret/data/gone/a", data={"value": "2"})
    assert operator.delete("secret/metadata/gone/a").status == 204
    assert operator.get("secret/data/gone/a").status == 404
    assert operator.list("secret/metadata/gone").status == 404
    assert operator.delete("secret/metadata/gone/a").status == 204
    assert operator.put("secret/data/gone/a", data={"value": "3"}).data["version"] == 1


def test_check_and_set(running: Running) -> None:
    operator, path = running.operator, "secret/data/cas/a"
    assert operator.put(path, data={"value": "1"}, options={"cas": 0}).status == 200
    again = operator.put(path, data={"value": "2"}, options={"cas": 0})
    assert (again.status, again.errors) == (400, "check-and-set parameter did not match the current version")
    assert operator.put(path, data={"value": "2"}, options={"cas": 1}).status == 200
    operator.put("secret/metadata/cas/a", cas_required=True)
    missing = operator.put(path, data={"value": "3"})
    assert (missing.status, missing.errors) == (400, "check-and-set parameter required for this call")


def test_old_versions_are_dropped(running: Running) -> None:
    operator = running.operator
    for number in range(12):
        operator.put("secret/data/many/a", data={"value": str(number)})
    data = operator.get("secret/metadata/many/a").data
    assert sorted(map(int, data["versions"])) == [*range(3, 13)]
    assert data["oldest_version"] == 3
    assert operator.get("secret/data/many/a?version=2").status == 404


def test_a_write_without_data_is_refused(running: Running) -> None:
    answer = running.operator.put("secret/data/kinky/dev/db", value="1")
    assert (answer.status, answer.errors) == (400, "no data provided")


def test_the_engine_has_settings(fresh: Running) -> None:
    assert fresh.operator.put("sys/mounts/other", type="kv-v2").status == 204
    wait_for_engine(fresh.operator, "other")
    assert fresh.operator.get("other/config").data == {
        "max_versions": 0,
        "cas_required": False,
        "delete_version_after": "0s",
    }
    assert fresh.operator.put("other/config", max_versions=2).status == 204
    for number in range(4):
        fresh.operator.put("other/data/a", data={"value": str(number)})
    assert sorted(fresh.operator.get("other/metadata/a").data["versions"]) == ["3", "4"]
