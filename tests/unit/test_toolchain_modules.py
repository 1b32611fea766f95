"""What the recipes of the tools have to keep true, so that a package is compiled once and not for each tool."""

from __future__ import annotations

import re

import pytest

from kinky import paths
from kinky.config.load import load_config
from kinky.manifests.addons import coredns
from kinky.releases import list_releases
from kinky.toolchain import tools as toolchain

EVERYWHERE = ("golang.org/x/net", "golang.org/x/sys", "golang.org/x/text", "google.golang.org/protobuf")
CLIENTS = (
    *EVERYWHERE,
    *(f"k8s.io/{name}" for name in ("api", "apimachinery", "client-go", "klog/v2", "kube-openapi", "utils")),
    *(f"sigs.k8s.io/{name}" for name in ("json", "randfill", "yaml")),
    *(f"github.com/go-openapi/{name}" for name in ("jsonpointer", "jsonreference", "swag")),
    *("github.com/emicklei/go-restful/v3", "github.com/fxamacker/cbor/v2", "github.com/go-logr/logr"),
    *("github.com/google/gnostic-models", "github.com/json-iterator/go", "github.com/spf13/pflag"),
    *("go.yaml.in/yaml/v2", "go.yaml.in/yaml/v3", "golang.org/x/oauth2", "golang.org/x/term", "golang.org/x/time"),
)


def versions(folder: str) -> dict[str, str]:
    text = (paths.project_root() / "toolchain" / folder / "go.mod").read_text()
    found = dict(re.findall(r"(?m)^(?:require )?\t?([\w./~-]+) (v\S+)(?: // indirect)?$", text))
    return found | dict(re.findall(r"(?m)^\t([\w./~-]+) => \S+ (v\S+)$", text))


def list_folders() -> list[str]:
    """Return the folders of all tools in all releases, as they are called below toolchain/."""
    tools = [tool for release in list_releases() for tool in toolchain.load_tools(release).values() if not tool.script]
    return sorted({str(tool.directory.relative_to(paths.project_root() / "toolchain")) for tool in tools})


def differing(tools: list[str], modules: tuple[str, ...]) -> dict[str, dict[str, str]]:
    found = {tool: versions(tool) for tool in tools}
    pins = {module: {tool: found[tool][module] for tool in tools if module in found[tool]} for module in modules}
    return {module: pin for module, pin in pins.items() if len(set(pin.values())) > 1}


def test_all_tools_share_what_the_go_project_publishes() -> None:
    assert not differing(list_folders(), EVERYWHERE)


@pytest.mark.parametrize("tools", [["kubernetes/v1.36", "coredns", "flannel"], ["kubevirt", "pulumi-kubernetes"]])
def test_users_of_the_kubernetes_client_share_it(tools: list[str]) -> None:
    assert not differing(tools, CLIENTS)
    assert all("k8s.io/client-go" in versions(tool) for tool in tools)


def test_coredns_has_exactly_the_plugins_of_the_corefile() -> None:
    cfg = load_config({"cluster": {"name": "t"}, "host": {"embedded": True}}, source="test")
    (data,) = (body["data"] for body in coredns.build_coredns(cfg) if body["kind"] == "ConfigMap")
    named = set(re.findall(r"(?m)^    (\w+)", data["Corefile"]))
    main = (paths.project_root() / "toolchain" / "coredns" / "main.go").read_text()
    assert set(re.findall(r'_ "github.com/coredns/coredns/plugin/(\w+)"', main)) == named
