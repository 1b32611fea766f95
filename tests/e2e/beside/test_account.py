"""A user without root, whose account on the host has only the documented rights: from the first preview to the end."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kinky.accelerator import Accelerator
from kinky.nodeimage.build import current_node_image
from kinky.releases import default_release
from kinky.topology.nodes import build_nodes, control_planes
from tests.e2e.account import Account, lend_account
from tests.e2e.person import ALWAYS_THERE, DESTROY_SECONDS, UP_SECONDS, Person

pytestmark = pytest.mark.host

STACK = "local-account"
GRANTED = {"role.rbac.authorization.k8s.io/kinky-account", "rolebinding.rbac.authorization.k8s.io/kinky-account"}
"""Objects by which the account has its rights in the cluster's namespace."""


@pytest.fixture(scope="module")
def account(admin: Person) -> Iterator[Account]:
    """The account on the running host.

    Container guests are for stacks of the embedded host, so the user's own folder has the account's kubeconfig where
    the embedded host would have put root's.
    """
    sections = {
        "cluster": {"name": STACK, "ephemeral": True},
        "host": {"namespace": STACK, "embedded": True, "accelerator": Accelerator.CONTAINER.value},
        "image": {"reference": current_node_image(default_release()).reference},
        # Kubernetes, Go and the proof that the workload answers have to take it as it is.
        "workload": {"greeting": "costs $$5 $(KUBERNETES_SERVICE_HOST)"},
    }
    with lend_account(admin, stack=STACK, sections=sections) as someone:
        yield someone


def test_fault_21_a_preview_before_the_first_up_needs_no_other_right(account: Account) -> None:
    assert account.may("create", "rolebindings") and not account.may("bind", "roles")
    account.kinky("preview", limit_seconds=600)
    assert account.left_on_host() == {*ALWAYS_THERE, *GRANTED}


def test_fault_21_up_needs_no_other_right(account: Account) -> None:
    account.kinky("up", limit_seconds=UP_SECONDS)
    account.kinky("preview", "--expect-no-changes", limit_seconds=600)
    assert account.kinky("gate", "show").startswith("open since")


def test_fault_21_kubectl_goes_through_the_forward_of_the_user(account: Account) -> None:
    assert f"{STACK}-worker-0" in account.kubectl("get", "nodes", "--output", "name")


def test_fault_21_destroy_needs_no_other_right_and_no_living_inner_cluster(account: Account) -> None:
    for node in control_planes(build_nodes(account.config)):
        account.halt(node.name)
    account.kinky("destroy", limit_seconds=2 * DESTROY_SECONDS)
    assert account.left_on_host() == {*ALWAYS_THERE, *GRANTED}
