"""A text that is refused is told by the first rule that it breaks."""

from __future__ import annotations

import re
from typing import Any, get_args

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kinky.config import values
from kinky.config.load import load_config
from kinky.errors import ConfigError

HTTPS_PORT = re.compile(r"https://[^:]*:(0+|[0-9]{5})")
LETTERS = 'letters, digits, "-", "_" and "."'
LOWER = 'lower-case letters, digits and "-"'
TOLD = {
    "ImageReference": {
        "r.local/Org/node:v1": 'a part of the path must be in lower case: "O" at place 9',
        "R.local/org/node:v1": 'the registry must be in lower case: "R" at place 1',
        "node": "has no registry; write it first, as in registry.example/kinky/node:v1",
        "node image": 'has a space at place 5; allowed are letters, digits, ".", "_", "-", "/", ":" and "@"',
        "https://r.local/org/node": "must not begin with https://; an image begins with its registry",
        "r.local/org/node:": "the tag is missing",
        "r.local/org//node": 'the path has "/" twice in a row at place 12',
        "r.local/org/node/": 'the path must not end with "/"',
        "r.local/": "the path is missing",
        "r.local:x/org/node": 'has the port "x", which must be a number',
        "r.local/org/node:-v1": 'the tag must begin with a letter, a digit or "_", begins with "-"',
        f"r.local/org/node:{'v' * 129}": "the tag must have at most 128 characters, has 129",
        "r.local/org/node@sha256:abc": "has a digest of 3 characters; it must be 64 digits and letters from a to f, "
        "in lower case",
        "r.local/org/node@md5:abc": "has a digest that does not begin with sha256:",
        f"r.local/{'a' * 510}": "must have at most 512 characters, has 518",
        "": "must not be empty",
    },
    "Name": {
        "MyCluster": 'must be in lower case: "M" at place 1',
        "my_cluster": f'has "_" at place 3; allowed are {LOWER}',
        "my cluster": f"has a space at place 3; allowed are {LOWER}",
        "my.cluster": f'has "." at place 3; allowed are {LOWER}',
        "1st": 'must begin with a lower-case letter, begins with "1"',
        "first-": 'must end with a lower-case letter or a digit, ends with "-"',
        "\u0430bc": f'has "\u0430" (CYRILLIC SMALL LETTER A, U+0430) at place 1; allowed are {LOWER}',
        "a\u200bc": f"has the control character U+200B at place 2; allowed are {LOWER}",
        "a" * 64: "must have at most 63 characters, has 64",
        "": "must not be empty",
    },
    "Subdomain": {
        "Cluster.local": 'a part of the name must be in lower case: "C" at place 1',
        "cluster..local": 'has "." twice in a row at place 8',
        "cluster.local.": 'must not end with "."',
        ".local": 'must not begin with "."',
        "clus_ter.local": f'a part of the name has "_" at place 5; allowed are {LOWER}',
        f"{'a' * 64}.local": "a part of the name must have at most 63 characters, has 64",
    },
    "LabelKey": {
        "not a key": f"the name has a space at place 4; allowed are {LETTERS}",
        "a/b/c": "has 2 slashes; a prefix and a name have one between them, as in example.com/zone",
        "Example.com/zone": 'a part of the prefix must be in lower case: "E" at place 1',
        "/zone": "the prefix is missing",
        "example.com/": "the name is missing",
        "zone-": 'the name must end with a letter or a digit, ends with "-"',
        "z" * 64: "the name must have at most 63 characters, has 64",
    },
    "LabelValue": {
        "a/b": f'the value has "/" at place 2; allowed are {LETTERS}',
        "_a": 'the value must begin with a letter or a digit, begins with "_"',
        "a b": f"the value has a space at place 2; allowed are {LETTERS}",
    },
    "Taint": {
        "dedicated=web": "has no effect; add :NoSchedule at its end, or another of NoSchedule, PreferNoSchedule, "
        "NoExecute",
        "dedicated=web:noschedule": 'has the effect "noschedule", which must be one of: NoSchedule, PreferNoSchedule, '
        "NoExecute",
        "=web:NoSchedule": "the name is missing",
        "dedicated=my web:NoSchedule": f"the value has a space at place 13; allowed are {LETTERS}",
    },
    "HttpsAddress": {
        "http://vault.example": 'must begin with https://, in lower case, begins with "http://"',
        "vault.example:8200": "must begin with https://",
        "https://vault.example/v1": 'must end after the host and its port, has "/" at place 22',
        "https://me:pw@vault.example": "must not hold a user or a password",
        "https://vault.example:99999": 'has the port "99999", which must be a number from 1 to 65535',
        "https://vault_1": 'the host has "_" at place 14; allowed are letters, digits, "." and "-"',
        "https://": "the host is missing",
    },
    "StorePath": {
        "/secret": 'must not begin with "/"',
        "secret/": 'must not end with "/"',
        "a//b": 'has "/" twice in a row at place 2',
        "../other": 'a part of the path must begin with a letter, a digit or "_", begins with "."',
        "my secret": 'a part of the path has a space at place 3; allowed are letters, digits, "_", "." and "-"',
    },
    "Socket": {
        "/var/run/kms.sock": "must be below /run, as in /run/kms/plugin.sock",
        "/run/kms.sock": "must be in a folder of its own below /run, as in /run/kms/plugin.sock",
        "/run/containerd/kms.sock": "must be in a folder of its own below /run, not in /run/containerd",
        "/run/kms/a/b.sock": "must be directly in its folder below /run, as in /run/kms/plugin.sock",
        "/run/KMS/plugin.sock": 'a part of the path must be in lower case: "K" at place 6',
    },
    "Text": {
        "": "must not be empty",
        " \t": "must not be empty",
        "a\nb": "must be one line of text, has a line break at place 2",
        "a\0b": "must not hold control characters, has the control character U+0000 at place 2",
    },
    "Label": {
        "A": 'must be in lower case: "A" at place 1',
        "a-": 'must end with a lower-case letter or a digit, ends with "-"',
    },
    "ObjectName": {"a..b": 'has "." twice in a row at place 2', "a_b": 'a part of the name has "_" at place 2'},
    "AnnotationKey": {"a/b/c": "has 2 slashes"},
    "FilePath": {"/a:/b": 'must be the path of one file, has ":" at place 3', "": "must not be empty"},
    "AnnotationValue": {"a\x1b": "must not hold control characters, has the control character U+001B at place 2"},
    "Audience": {"a b": "has a space at place 2; allowed is printable ASCII", "": "must not be empty"},
    "CpuModel": {"host model": "the value has a space at place 5"},
    "Cidr": {
        "services": 'the address has "s" at place 1; allowed are digits and "."',
        "10.243.0.0": "must have a prefix length, such as 10.243.0.0/16",
        "10.243.0.0/99": 'has the prefix length "99", which must be a number from 0 to 32',
        "10.243.0/16": "must have four numbers with dots between them, has 3",
        "10.243.0.256/16": 'has the number "256", which must be from 0 to 255, without zeros in front',
        "10.243.00.0/16": 'has the number "00", which must be from 0 to 255, without zeros in front',
        "10.243.0.1/16": "must be the network itself, not an address in it: 10.243.0.0/16",
        "fd00::/64": "must be an IPv4 network: this release gives nodes one family",
    },
}
VALID = {
    "ImageReference": ["r.local/org/node:V1", "localhost:5000/node", f"a/b@sha256:{'0' * 64}", "a/b__c.d:_x"],
    "Name": ["a", "a-1", "a" * 63],
    "EmptyOrLabel": ["", "a"],
    "Label": ["0", "a-1"],
    "ObjectName": ["a", f"{'a' * 100}.b"],
    "AnnotationKey": ["zone", "Example.com/Zone_1"],
    "FilePath": ["/a b/c.yaml", "~/x"],
    "AnnotationValue": ["", "a\nb\tc"],
    "Audience": ["openbao", "https://a.b/c?d"],
    "CpuModel": ["Skylake-Server", "host-model"],
    "Subdomain": ["cluster.local", "1.a"],
    "LabelKey": ["zone", "example.com/Zone_1", "a.b/c"],
    "LabelValue": ["", "A_b.c"],
    "Taint": ["a:NoExecute", "example.com/a=B:PreferNoSchedule"],
    "HttpsAddress": ["https://Vault.example:8200", "https://10.0.0.1"],
    "StorePath": ["secret", "_a/b.c-d"],
    "Socket": ["/run/kms/plugin.sock"],
    "Text": ["a", " a\tb ", "costs $$5 'x' \"y\" ł"],
    "Cidr": ["10.243.0.0/16", "0.0.0.0/0"],
}


def rule_of(name: str) -> values.Rule:
    return next(part for part in get_args(getattr(values, name)) if isinstance(part, values.Rule))


@pytest.mark.parametrize(
    ("name", "text", "told"), [(name, text, told) for name, cases in TOLD.items() for text, told in cases.items()]
)
def test_fault_18_the_first_broken_rule_is_told(name: str, text: str, told: str) -> None:
    assert (rule_of(name).problem(text) or "").startswith(told)


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, texts in VALID.items() for text in texts])
def test_fault_18_what_is_right_stays_right(name: str, text: str) -> None:
    assert rule_of(name).problem(text) is None


def test_fault_18_each_form_is_in_these_tables() -> None:
    texts = {
        name
        for name, found in vars(values).items()
        if get_args(found)[:1] == (str,)
        # A choice among a few words has no form.
        and any(isinstance(part, values.Rule) and "enum" not in part.schema for part in get_args(found))
    }
    assert texts == set(VALID)
    assert texts - {"EmptyOrLabel"} == set(TOLD)


PIECES = ["a", "A", "0", "-", "_", ".", "/", ":", "@", "=", "#", "?", " ", "\n", "\0", "é", "\u0430", "a" * 64]
STARTS = ["", "https://", "http://", "/run/", "/run/kms/", "r.local/", "a/b:", "a/b@sha256:", "10.0.0.0/", "1.2.3."]
ENDS = ["", ":NoSchedule", ":8200", "/16"]


@pytest.mark.parametrize("name", sorted(VALID))
@settings(max_examples=400)
@given(
    start=st.sampled_from(STARTS),
    middle=st.lists(st.sampled_from(PIECES), max_size=6).map("".join),
    end=st.sampled_from(ENDS),
)
@example(start="", middle="", end="")
def test_fault_18_the_rules_agree_with_the_pattern_and_each_has_a_name(
    name: str, start: str, middle: str, end: str
) -> None:
    """Editors get the pattern; a fault without a name would be told by the symptom again."""
    rule, text = rule_of(name), start + middle + end
    problem = rule.problem(text)
    if name == "Cidr":
        return
    longest = int(str(rule.schema["maxLength"]))
    fits = re.fullmatch(str(rule.schema["pattern"])[1:-1], text) is not None and len(text) <= longest
    if problem is None:
        assert fits
    elif fits:
        assert name == "HttpsAddress"
        assert HTTPS_PORT.match(text), "the pattern knows no largest port"
    elif not problem.startswith("must have at most"):
        assert not re.fullmatch(r"must be (an? .*|lower-case letters, .*)", problem), problem


def refused(settings: dict[str, Any]) -> str:
    with pytest.raises(ConfigError) as caught:
        load_config({"cluster": {"name": "dev"}, "host": {"embedded": True}, **settings}, source="x.yaml")
    return str(caught.value)


def test_fault_18_a_value_of_another_type_is_told_what_to_do() -> None:
    told = refused({"network": {"overlayPort": "18472"}, "cluster": {"name": 5, "ephemeral": "true"}})
    assert 'network.overlayPort = "18472": must be a whole number; leave out the quotes\n' in told
    assert 'cluster.ephemeral = "true": must be true or false; leave out the quotes\n' in told
    assert "cluster.name = 5: must be text; put it in quotes\n" in told
    assert 'access.localPort = "many": must be a whole number\n' in refused({"access": {"localPort": "many"}})


def test_fault_18_a_password_in_an_address_is_not_repeated() -> None:
    told = refused({"secretsStore": {"kind": "vault", "vault": {"address": "https://me:hunter2@vault.example"}}})
    assert 'address = "https://[taken out]@vault.example": must not hold a user or a password' in told
    assert "hunter2" not in told


@pytest.mark.parametrize(
    ("item", "told"),
    [
        (1.5, "must be a port, or a range of ports such as 30000-30010"),
        (True, "must be a port, or a range of ports such as 30000-30010"),
        ("30000-", "must be a port, or a range of ports such as 30000-30010"),
        ("30005-30001", "must begin with the lower port"),
        (80, "must be from 30000 to 32767, because Kubernetes serves NodePorts there"),
        ("30000-40000", "must be from 30000 to 32767, because Kubernetes serves NodePorts there"),
    ],
)
def test_a_published_port_is_a_node_port_or_a_range_of_them(item: object, told: str) -> None:
    problem = refused({"access": {"nodePorts": [30001, item]}})
    assert problem.startswith("x.yaml: 1 problem\n")
    assert "access.nodePorts[1] = " in problem
    assert told in problem


def test_published_ports_are_few_and_none_is_the_overlays() -> None:
    assert "must name at most 64 ports, names 66" in refused({"access": {"nodePorts": ["30000-30064", 31000]}})
    told = refused({"access": {"nodePorts": ["30000-30010"]}, "network": {"overlayPort": 30005}})
    assert "network.overlayPort = 30005: is among the published NodePorts" in told
