"""Addresses with a fixed meaning."""

import pytest

from kinky.config.load import load_config
from kinky.topology.addresses import AddressList, dns_addresses


@pytest.mark.parametrize(
    ("cidr", "dns"),
    [
        ("10.95.0.0/16", "10.95.0.10"),
        ("172.16.32.16/28", "172.16.32.26"),
    ],
)
def test_dns_has_the_tenth_address(cidr: str, dns: str) -> None:
    raw = {"cluster": {"name": "dev"}, "host": {"embedded": True}, "network": {"serviceCidrs": [cidr]}}
    cfg = load_config(raw, source="test")
    assert dns_addresses(cfg).texts == [dns]


def test_the_first_family_is_the_primary_one() -> None:
    both = AddressList.parse(["fd00::1", "10.0.0.1"])
    assert (str(both.primary), both.primary_host, both.texts) == ("fd00::1", "[fd00::1]", ["fd00::1", "10.0.0.1"])
    assert AddressList.parse(["10.0.0.1"]).primary_host == "10.0.0.1"


@pytest.mark.parametrize("texts", [[], ["10.0.0.1", "10.0.0.2"], ["None"], ["10.0.0.0/24"]])
def test_what_is_no_list_of_addresses_is_refused(texts: list[str]) -> None:
    with pytest.raises(ValueError, match=r"address|appear"):
        AddressList.parse(texts)
