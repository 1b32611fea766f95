"""The node's script that leads traffic to other nodes through the overlay, in a network namespace of its own."""

import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "node-image" / "files" / "usr" / "lib" / "kinky" / "peers"
STORY = r"""
set -u
ip link set lo up
while :; do "$1"; sleep 0.5; done & # as systemd does
ip link add flannel.1 type vxlan id 1 dev lo dstport 8472 local 127.0.0.1 nolearning
ip addr add 10.244.1.0/32 dev flannel.1
# A look at this time fails: the interface is down. No event comes after it.
ip neigh add 10.244.2.0 lladdr 02:00:00:00:00:02 dev flannel.1 nud permanent
bridge fdb add 02:00:00:00:00:02 dev flannel.1 dst 10.96.0.2
sleep 2
ip link set flannel.1 up
routes() { ip route show table 77 2> /dev/null | cut -d ' ' -f 1-3 | tr '\n' ';'; }
wait_for() {
    for _ in $(seq 100); do [ "$(routes)" = "$1" ] && return; sleep 0.2; done
    echo "not there: $1, but: $(routes)"; exit 1
}
wait_for "10.96.0.2 via 10.244.2.0;"
# The second half of a peer comes late.
ip neigh add 10.244.3.0 lladdr 02:00:00:00:00:03 dev flannel.1 nud permanent
sleep 2
bridge fdb add 02:00:00:00:00:03 dev flannel.1 dst 10.96.0.3
wait_for "10.96.0.2 via 10.244.2.0;10.96.0.3 via 10.244.3.0;"
# networkd removes rules that are not its own, whenever it configures a link.
ip rule flush pref 76
ip rule flush pref 77
ip neigh del 10.244.2.0 dev flannel.1
wait_for "10.96.0.3 via 10.244.3.0;"
rules() { ip rule | grep '^7[67]:' | cut -f 2 | sed 's/ *$//' | tr '\n' ';'; }
wanted="from all ipproto tcp dport 6443 lookup main;from all ipproto tcp dport 10250 lookup main;"
wanted+="from all ipproto tcp dport 2379-2380 lookup main;from all ipproto udp dport 8472 lookup main;"
wanted+="from all lookup 77;"
for _ in $(seq 100); do [ "$(rules)" = "$wanted" ] && exit; sleep 0.2; done
echo "other rules: $(rules)"; exit 1
"""


@pytest.fixture(scope="module")
def namespaces() -> list[str]:
    """Return the start of a command that runs in namespaces of its own, without root."""
    start = ["unshare", "--user", "--map-root-user", "--net", "--pid", "--fork", "--kill-child"]
    vxlan = "ip link add flannel.1 type vxlan id 1 dev lo dstport 8472 && jq --version && bridge -V"
    tried = subprocess.run([*start, "sh", "-c", vxlan], capture_output=True, text=True, check=False)
    if tried.returncode != 0:
        pytest.skip(f"no network namespace with a VXLAN interface on this machine: {tried.stderr.strip()}")
    return start


def test_routes_follow_the_peers_also_after_a_look_that_failed(namespaces: list[str]) -> None:
    command = [*namespaces, "bash", "-c", STORY, "story", str(SCRIPT)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
