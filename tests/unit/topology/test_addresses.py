"""Addresses with a fixed meaning."""

import pytest

from kinky.config.load import load_config
from kinky.topology.addresses import api_service_ip, dns_ip, endpoint_name


@pytest.mark.parametrize(
    ("cidr", "api", "dns"),
    [
        ("10.95.0.0/16", "10.95.0.1", "10.95.0.10"),
        ("172.16.32.16/28", "172.16.32.17", "172.16.32.26"),
    ],
)
def test_the_first_and_the_tenth_address(cidr: str, api: str, dns: str) -> None:
    raw = {"cluster": {"name": "dev"}, "host": {"embedded": True}, "network": {"serviceCidrs": [cidr]}}
    cfg = load_config(raw, source="test")
    assert (api_service_ip(cfg), dns_ip(cfg)) == (api, dns)


def test_the_name_of_the_endpoint() -> None:
    assert endpoint_name("dev") == "api.dev.kinky.internal"
