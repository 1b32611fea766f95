"""Every text of the model with characters that a place on its way gives a meaning: refused, or it arrives as it was.

The test walks the model, so that a new field is tried too: it has a rule that refuses these texts, or a function here
that follows the value to its end.
"""

from __future__ import annotations

import argparse
import copy
import io
import json
import re
import tarfile
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from pydantic import BaseModel

from kinky.cli.access import build_parser
from kinky.config.archive import VERSION_LABEL, check_archive
from kinky.config.ca_bundle import check_ca
from kinky.config.load import load_config
from kinky.config.model import KinkyConfig
from kinky.config.problem import KeyPath, format_key
from kinky.errors import ConfigError
from kinky.gate.workload import check_answer
from kinky.keys import certificates
from kinky.keys.certificates import Pair
from kinky.kube.access import resolve_access
from kinky.kube.host import HostApi
from kinky.manifests.lease import build_lease
from kinky.manifests.services import build_endpoint_service
from kinky.manifests.workload import build_workload
from kinky.ownership.lease import Lease
from kinky.reach.credential import write_inner_kubeconfig
from kinky.releases import default_release
from kinky.stacks.file import read_stack_file
from tests.unit.config.hostile_texts import CONTROLS, HOSTILE
from tests.unit.fake_api import FakeConnection

BASE: dict[str, Any] = {
    "cluster": {"name": "dev"},
    "host": {"kubeconfig": "k", "context": "c", "acceptUnencryptedAtRest": True},
    "image": {"reference": "example.org/node:v1", "archive": "a.tar"},
    "controlPlane": {"etcdStorageClass": "fast"},
    "workers": [{"pool": "worker", "labels": {"a": "b"}, "taints": ["a=b:PreferNoSchedule"]}],
    "network": {},
    "access": {"mode": "loadBalancer", "loadBalancerAnnotations": {"a": "b"}},
    "virtualMachine": {},
    "secretsStore": {"kind": "vault", "vault": {"address": "https://vault.example"}},
    "encryption": {"provider": "kms", "kmsSocket": "/run/kms/plugin.sock"},
    "workload": {},
}
"""A configuration in which every text may be set."""


def find_texts(model: type[BaseModel] = KinkyConfig, at: KeyPath = ()) -> Iterator[KeyPath]:
    """Yield the keys of all texts of the model; the first item of a list and one entry of a mapping stand for all."""
    for name, field in model.model_fields.items():
        yield from _find_in(field.annotation, (*at, field.alias or name))


def _find_in(annotation: Any, at: KeyPath) -> Iterator[KeyPath]:
    if annotation is str:
        yield at
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield from find_texts(annotation, at)
    elif getattr(annotation, "__origin__", None) is dict:
        key, value = get_args(annotation)
        yield from _find_in(key, (*at, KEY))
        yield from _find_in(value, (*at, "a"))
    elif getattr(annotation, "__origin__", None) is tuple:
        yield from _find_in(get_args(annotation)[0], (*at, 0))
    else:
        for part in get_args(annotation):
            if not isinstance(part, str):
                yield from _find_in(part, at)


LEASE = ("cluster", "lease")
KEY = "<key>"
"""Stands for the key of a mapping, which is a text too."""
TEXTS = sorted(set(find_texts()), key=str)


def put(at: KeyPath, text: str) -> dict[str, Any]:
    """Return the configuration with one text changed."""
    raw = copy.deepcopy(BASE)
    if at[:2] == LEASE:
        # A lease needs a time, and does not go with a server elsewhere.
        raw["cluster"]["lease"] = {"ttl": "2h"}
        del raw["secretsStore"]
    node: Any = raw
    for part, after in pairwise(at):
        if isinstance(node, list):
            node = node[int(part)]
        else:
            node = node.setdefault(part, ["10.0.0.0/16"] if after == 0 else {})
    if at[-1] == KEY:
        node.clear()
        node[text] = "b"
    else:
        node[at[-1]] = text
    return raw


def is_refused(at: KeyPath, text: str) -> bool:
    """Tell whether the configuration refuses the text, by a message that names its key and can be printed."""
    try:
        load_config(put(at, text), source="test")
    except ConfigError as error:
        told = str(error)
        shown = format_key(tuple(text if part == KEY else part for part in at))
        assert shown in told or at[-1] == KEY, told
        assert told.encode() and all(line.isprintable() for line in told.split("\n"))
        return True
    return False


def expand(text: str, variables: dict[str, str]) -> str:
    """Expand a container's environment as Kubernetes does (third_party/forked/golang/expansion)."""

    def one(match: re.Match[str]) -> str:
        found = match.group()
        return "$" if found == "$$" else variables.get(found[2:-1], found)

    return re.sub(r"\$\$|\$\([^)]*\)", one, text)


def travel(body: dict[str, Any]) -> dict[str, Any]:
    """Return a body as the host gets it: through JSON and the YAML of a server-side apply."""
    return dict(yaml.safe_load(yaml.safe_dump(json.loads(json.dumps(body)), allow_unicode=True)))


def follow_greeting(text: str, _folder: Path) -> str:
    bodies = build_workload(load_config(put(("workload", "greeting"), text), source="test"))
    deployment = travel(next(body for body in bodies if body["kind"] == "Deployment"))
    value = deployment["spec"]["template"]["spec"]["containers"][0]["env"][0]["value"]
    got = expand(value, {"KUBERNETES_SERVICE_HOST": "10.95.0.1", "GREETING": "other", "HOME": "/"})
    page = f"greeting={got}\nsecret=00\nnode=n\n".encode().decode(errors="replace")
    assert check_answer(page, greeting=text, fingerprint="00") == {"node": "n", "secret": "00"}
    return got


def follow_annotation(text: str, _folder: Path) -> str:
    cfg = load_config(put(("access", "loadBalancerAnnotations", "a"), text), source="test")
    return str(travel(build_endpoint_service(cfg))["metadata"]["annotations"]["a"])


def follow_context(text: str, folder: Path) -> str:
    file = folder / "config"
    cluster = {"name": "c", "cluster": {"server": "https://example.org:6443"}}
    context = {"name": text, "context": {"cluster": "c", "user": "u"}}
    user = {"name": "u", "user": {"token": "t"}}
    file.write_text(yaml.safe_dump({"clusters": [cluster], "contexts": [context], "users": [user]}))
    cfg = load_config(put(("host", "context"), text), source="test")
    access = resolve_access(kubeconfig=str(file), context=cfg.host.context, namespace="n", cluster="dev")
    assert HostApi.connect(access).server == "https://example.org:6443"
    return str(parse_credential_arguments(access).host_context)


def parse_credential_arguments(access: Any) -> argparse.Namespace:
    """Return what `kinky credential` reads of the arguments that the inner kubeconfig gives it."""
    host = HostApi(FakeConnection(), access)
    kubeconfig = Path(write_inner_kubeconfig(host, "dev", "https://127.0.0.1:1", kinky_command="/bin/kinky"))
    (user,) = yaml.safe_load(kubeconfig.read_text())["users"]
    return build_parser("credential").parse_args(user["user"]["exec"]["args"][1:])


def follow_kubeconfig(text: str, folder: Path) -> str:
    file = folder / text.replace("/", "")
    file.write_text("{}")
    cfg = load_config(put(("host", "kubeconfig"), str(file)), source="test")
    access = resolve_access(kubeconfig=cfg.host.kubeconfig, context=None, namespace="n", cluster="dev")
    assert str(parse_credential_arguments(access).host_kubeconfig) == str(file)
    return text if access.kubeconfig == str(file) else access.kubeconfig


def follow_holder(text: str, _folder: Path) -> str:
    lease = load_config(put((*LEASE, "holder"), text), source="test").cluster.lease
    assert lease is not None and lease.holder is not None
    job = travel(build_lease("dev", seconds=lease.seconds, stack="s", holder=lease.holder))
    return Lease.parse(job).holder


def follow_archive(text: str, folder: Path) -> str:
    file = folder / text.replace("/", "")
    files = {
        "manifest.json": [{"Config": "c.json", "Layers": []}],
        "c.json": {"config": {"Labels": {VERSION_LABEL: default_release().kubernetes_version}}},
    }
    with tarfile.open(file, "w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(json.dumps(content))
            archive.addfile(member, io.BytesIO(json.dumps(content).encode()))
    assert check_archive(load_config(put(("image", "archive"), str(file)), source="test"), base=folder) == []
    return text


def follow_ca(text: str, folder: Path) -> str:
    file = folder / text.replace("/", "")
    file.write_bytes(certificates.make_ca("test").certificate)
    at = ("secretsStore", "vault", "caFile")
    assert check_ca(load_config(put(at, str(file)), source="test"), base=folder) == []
    return text


FOLLOWED: dict[KeyPath, Callable[[str, Path], str]] = {
    ("access", "loadBalancerAnnotations", "a"): follow_annotation,
    (*LEASE, "holder"): follow_holder,
    ("host", "context"): follow_context,
    ("host", "kubeconfig"): follow_kubeconfig,
    ("image", "archive"): follow_archive,
    ("secretsStore", "vault", "caFile"): follow_ca,
    ("workload", "greeting"): follow_greeting,
}
"""Texts that take nearly everything, each with what its value is at the end of its way."""


@pytest.fixture(autouse=True)
def ca(monkeypatch: pytest.MonkeyPatch) -> None:
    """No cluster has to be asked for the CA that stands beside the inner kubeconfig."""
    monkeypatch.setattr("kinky.reach.credential.fetch_ca", lambda *_: Pair(b"a CA", b""))


def test_the_walk_finds_every_text() -> None:
    found = {format_key(at) for at in TEXTS}
    assert found >= {"cluster.name", "cluster.domain", "image.reference", "encryption.kmsSocket", "workload.greeting"}
    assert found >= {"secretsStore.vault.prefix", "workers[0].taints[0]", "network.podCidrs[0]", "workers[0].labels.a"}
    assert {format_key(at) for at in FOLLOWED} <= found


@pytest.mark.parametrize("at", TEXTS, ids=format_key)
def test_fault_28_a_text_is_refused_or_arrives_as_it_was(at: KeyPath, tmp_path: Path) -> None:
    for number, text in enumerate(HOSTILE):
        if is_refused(at, text):
            continue
        assert at in FOLLOWED or re.fullmatch(r"[A-Za-z0-9@%+=:,./;~*?&|!$`'\"<>#(){}\[\]\\^_-]+", text), (at, text)
        if at in FOLLOWED:
            folder = tmp_path / str(number)
            folder.mkdir()
            assert FOLLOWED[at](text, folder) == text


@pytest.mark.parametrize("at", TEXTS, ids=format_key)
def test_fault_28_a_control_character_is_refused(at: KeyPath) -> None:
    assert [text for text in CONTROLS if not is_refused(at, text)] == []


@pytest.mark.parametrize("text", [text for text in HOSTILE if "'" not in text])
def test_fault_28_a_greeting_is_what_the_workload_says(text: str, tmp_path: Path) -> None:
    assert not is_refused(("workload", "greeting"), text)
    assert follow_greeting(text, tmp_path) == text


@pytest.mark.parametrize(
    ("at", "text", "rule"),
    [
        (("virtualMachine", "cpuModel"), "a b", "the value has a space at place 2"),
        (("secretsStore", "vault", "audience"), "a,b", "allowed is printable ASCII without spaces and commas"),
        (("secretsStore", "vault", "audience"), "a ", "allowed is printable ASCII without spaces and commas"),
        (("host", "kubeconfig"), "/a:b", "must be the path of one file"),
        (("image", "reference"), "example.org/node:vé", "LATIN SMALL LETTER E WITH ACUTE"),
        (("workload", "greeting"), "a\x00b", "must not hold control characters"),
    ],
)
def test_fault_28_the_rule_is_named(at: KeyPath, text: str, rule: str) -> None:
    with pytest.raises(ConfigError) as error:
        load_config(put(at, text), source="test")
    assert rule in str(error.value)


@pytest.mark.parametrize("stack", ["a b", "*", "a[b]", "a\nb", "grüß", "x" * 101, ""])
def test_fault_28_a_stack_is_named_as_pulumi_has_it(stack: str) -> None:
    with pytest.raises(ConfigError, match="the name of a stack has letters, digits"):
        read_stack_file(stack)
