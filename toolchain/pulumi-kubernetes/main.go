// Command pulumi-resource-kubernetes serves the Pulumi Kubernetes provider with the schema of its own module.
package main

import (
	_ "embed"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"

	"github.com/pulumi/pulumi-kubernetes/provider/v4/pkg/provider"
	"github.com/pulumi/pulumi/sdk/v3/go/common/workspace"
)

// version is the release of the Python SDK that the program imports; set by the linker.
var version string

//go:embed schema.json
var schema []byte

//go:embed terraform-mapping.json
var mapping []byte

func main() {
	folder, err := makeTemporaryFolder()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	stopped := make(chan os.Signal, 1)
	// Pulumi interrupts its providers when it is done with them.
	signal.Notify(stopped, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-stopped
		os.RemoveAll(folder)
		os.Exit(0)
	}()
	provider.Serve("kubernetes", version, schema, mapping)
	os.RemoveAll(folder)
}

// makeTemporaryFolder gives the process a private TMPDIR of its own, because the provider copies each kubeconfig,
// keys included, into a temporary file that it never removes. Folders of processes that were killed go too.
func makeTemporaryFolder() (string, error) {
	parent, err := workspace.GetPulumiPath("tmp", "resource-kubernetes")
	if err != nil {
		return "", err
	}
	left, _ := filepath.Glob(filepath.Join(parent, "*"))
	for _, folder := range left {
		pid, err := strconv.Atoi(filepath.Base(folder))
		if err == nil && syscall.Kill(pid, 0) == syscall.ESRCH {
			os.RemoveAll(folder)
		}
	}
	folder := filepath.Join(parent, strconv.Itoa(os.Getpid()))
	if err := os.RemoveAll(folder); err != nil {
		return "", err
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return "", err
	}
	return folder, os.Setenv("TMPDIR", folder)
}
