"""The core of HashiCorp Vault 1.14.8 as a server for tests: what our own one (`tests/vault_server`) is compared with.

Its licence is the Mozilla Public License 2.0; later releases have another one. It is built from the Go module, with the
engine and the auth method that KinKy uses, in memory. As a module Vault is not meant to be built by others: it replaces
its sdk by a folder that the module lacks. The release v0.9.2 that it names instead has nearly all of it; `STAGE` makes
a copy that has the rest. Needs Go and, the first time, ten minutes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from kinky.toolchain.tools import Tool, ensure_tool

PROGRAM: Final = "vault-real"
LATER_IN_LOGICAL: Final = """
type CtxKeyRequestRole struct{}

func (CtxKeyRequestRole) String() string { return "request-role" }

type bodyKey struct{}

func CreateContextOriginalBody(parent context.Context, body io.ReadCloser) context.Context {
	return context.WithValue(parent, bodyKey{}, body)
}

func ContextOriginalBodyValue(ctx context.Context) (io.ReadCloser, bool) {
	body, known := ctx.Value(bodyKey{}).(io.ReadCloser)
	return body, known
}
"""
LATER_IN_PHYSICAL: Final = """
type FencingHABackend interface {
	HABackend
	RegisterActiveNodeLock(l Lock) error
}
"""
STAGE: Final = (
    {"from": ".", "to": "sdk"},
    {
        "from": "logical/request.go",
        "to": "sdk/logical/request.go",
        "edit": [[r"import \(", 'import (\n\t"io"'], [r"\Z", LATER_IN_LOGICAL]],
    },
    {"from": "physical/physical.go", "to": "sdk/physical/physical.go", "edit": [[r"\Z", LATER_IN_PHYSICAL]]},
    # The release refuses what Vault itself declares for its enterprise paths.
    {
        "from": "framework/backend.go",
        "to": "sdk/framework/backend.go",
        "edit": [[r'panic\(fmt\.Sprintf\("Pattern %v defines a CreateOperation.*', "_ = i"]],
    },
)


def build() -> Path:
    """Return the program, built first if need be.

    Raises:
        KinkyError: it cannot be built.
    """
    tool = Tool(
        name=PROGRAM,
        version="v0.9.2",
        module="github.com/hashicorp/vault/sdk",
        sum="h1:H1kitfl1rG2SHbeGEyvhEqmIjVKE3E6c2q3ViKOs6HA=",
        programs={PROGRAM: "."},
        directory=Path(__file__).parent,
        stage=STAGE,
    )
    return ensure_tool(tool) / PROGRAM
