"""A program that makes an inner cluster and puts something of its own into it."""

import pulumi
import pulumi_kubernetes as kubernetes

from kinky.components.inner_cluster import InnerCluster
from kinky.components.told import told_by_pulumi
from kinky.program import describe_stack, prepare

CONFIG = {"cluster": {"name": "shop"}, "host": {"embedded": True}, "workload": {"enabled": False}}

# The user sees a plain error: no traceback, and no text of a library.
with told_by_pulumi("the program shop"):
    cluster = InnerCluster("shop", prepare(CONFIG, source="__main__.py", stack=describe_stack()))
# `workloads` resolves only after the secrets store was proved; `deleted_with` lets a destroy skip what is inside.
inside = pulumi.ResourceOptions(provider=cluster.workloads, deleted_with=cluster)
kubernetes.core.v1.ConfigMap("greeting", data={"text": "hello"}, opts=inside)
pulumi.export("endpoint", cluster.endpoint)
