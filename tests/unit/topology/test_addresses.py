"""Addresses with a fixed meaning."""

import pytest

from kinky.config.load import load_config
from kinky.topology.addresses import dns_ip


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
    assert dns_ip(cfg) == dns
