"""What the files in tests/config do not show about rules between fields."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kinky import names
from kinky.config import check
from kinky.config.check import check_config
from kinky.config.load import load_config
from kinky.config.model import KinkyConfig
from kinky.embedded import layout
from kinky.errors import ConfigError

PRIVATE = st.tuples(st.integers(0, 255), st.integers(0, 255), st.integers(12, 20)).map(
    lambda parts: str(ipaddress.ip_network(f"10.{parts[0]}.{parts[1]}.0/{parts[2]}", strict=False))
)


def test_a_usable_configuration_has_no_problems() -> None:
    cfg = KinkyConfig.model_validate({"cluster": {"name": "dev"}, "host": {"embedded": True}})
    assert check_config(cfg) == []


@given(PRIVATE, PRIVATE, PRIVATE)
def test_networks_are_accepted_exactly_when_they_are_disjoint(pods: str, services: str, host: str) -> None:
    raw = {
        "cluster": {"name": "dev"},
        "image": {"reference": "registry.example/node:v1"},
        "host": {"encryptionAtRest": "attested"},
        "network": {"podCidrs": [pods], "serviceCidrs": [services], "hostCidrs": [host]},
    }
    one, two, three, card = (ipaddress.ip_network(text) for text in (pods, services, host, check.GUEST_NETWORK))
    meets = one.overlaps(two) or any(own.overlaps(other) for own in (one, two) for other in (three, card))
    try:
        load_config(raw, source="test")
    except ConfigError as error:
        assert meets, error
    else:
        assert not meets


@given(st.integers(1, 63), st.integers(1, 63))
def test_a_name_is_accepted_exactly_when_its_longest_node_is_a_label(cluster: int, pool: int) -> None:
    raw = {"cluster": {"name": "c" * cluster}, "workers": [{"pool": "p" * pool}], "host": {"embedded": True}}
    longest = max(len(names.node_name("c" * cluster, part, 0)) for part in ("p" * pool, names.CONTROL_PLANE))
    problems = check_config(KinkyConfig.model_validate(raw))
    assert bool(problems) is (longest > 63)


def test_the_embedded_host_s_networks_are_the_ones_it_has() -> None:
    assert set(check.EMBEDDED_HOST_NETWORKS.values()) == {
        str(ipaddress.ip_interface(layout.NODE_CIDR).network),
        layout.POD_CIDR,
        layout.SERVICE_CIDR,
    }


@pytest.mark.parametrize("cidr", ["127.0.0.0/16", "169.254.0.0/16", "224.0.0.0/8"])
def test_addresses_with_another_meaning_are_refused(cidr: str) -> None:
    with pytest.raises(ConfigError, match="mean something else"):
        load_config(
            {"cluster": {"name": "dev"}, "host": {"embedded": True}, "network": {"podCidrs": [cidr]}}, source="test"
        )
