// Command vault serves HashiCorp Vault's own core for KinKy's slow tests: storage in memory, key/value and JWT only.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
	jwt "github.com/hashicorp/vault-plugin-auth-jwt"
	kv "github.com/hashicorp/vault-plugin-secrets-kv"
	"github.com/hashicorp/vault/helper/namespace"
	vaulthttp "github.com/hashicorp/vault/http"
	"github.com/hashicorp/vault/internalshared/configutil"
	"github.com/hashicorp/vault/sdk/helper/consts"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/hashicorp/vault/sdk/physical/inmem"
	"github.com/hashicorp/vault/vault"
)

// plugins are the only backends beside the core's own (sys, token, identity, cubbyhole).
var (
	engines = map[string]logical.Factory{"kv": kv.Factory}
	methods = map[string]logical.Factory{"jwt": jwt.Factory}
)

// options are those of `python -m tests.vault_server`, without faults.
type options struct {
	listen, certificate, key, tokenFile string
	inherited                           int
}

func main() {
	var wanted options
	flag.StringVar(&wanted.listen, "listen", "", "address and port")
	flag.IntVar(&wanted.inherited, "listen-fd", -1, "a listening socket of the parent, served too")
	flag.StringVar(&wanted.certificate, "certificate", "", "file with the certificate of the server")
	flag.StringVar(&wanted.key, "key", "", "file with its key")
	flag.StringVar(&wanted.tokenFile, "root-token-file", "", "file with the operator's token")
	flag.Parse()
	if err := run(wanted); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(wanted options) error {
	token, err := os.ReadFile(wanted.tokenFile)
	if err != nil {
		return err
	}
	// Warnings may quote what a client sent, so only errors of the core are told.
	core, err := newCore(hclog.New(&hclog.LoggerOptions{Level: hclog.Error, Output: os.Stderr}))
	if err != nil {
		return err
	}
	if err := start(core, strings.TrimSpace(string(token))); err != nil {
		return err
	}
	listeners, err := open(wanted)
	if err != nil {
		return err
	}
	fmt.Printf("serving on %s\n", listeners[0].Addr())
	return serve(core, listeners, wanted)
}

// open opens the listener of this process, and takes the one of its parent, perhaps in another network namespace.
func open(wanted options) ([]net.Listener, error) {
	own, err := net.Listen("tcp", wanted.listen)
	if err != nil || wanted.inherited < 0 {
		return []net.Listener{own}, err
	}
	inherited, err := net.FileListener(os.NewFile(uintptr(wanted.inherited), "inherited"))
	return []net.Listener{own, inherited}, err
}

// serve answers on all listeners until the process is told to stop.
func serve(core *vault.Core, listeners []net.Listener, wanted options) error {
	handler := vaulthttp.Handler.Handler(&vault.HandlerProperties{
		Core:                  core,
		MaxRequestSize:        32 << 20,
		MaxRequestDuration:    90 * time.Second,
		ListenerConfig:        &configutil.Listener{Type: "tcp", Address: wanted.listen},
		DisablePrintableCheck: true,
	})
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	stopped := make(chan os.Signal, 1)
	signal.Notify(stopped, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-stopped
		server.Close()
	}()
	ended := make(chan error, len(listeners))
	for _, listener := range listeners {
		go func() { ended <- server.ServeTLS(listener, wanted.certificate, wanted.key) }()
	}
	// The first that ends takes the others with it.
	if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func newCore(logger hclog.Logger) (*vault.Core, error) {
	storage, err := inmem.NewInmem(nil, logger)
	if err != nil {
		return nil, err
	}
	return vault.NewCore(&vault.CoreConfig{
		Physical:           storage,
		StorageType:        "inmem",
		LogicalBackends:    engines,
		CredentialBackends: methods,
		BuiltinRegistry:    registry{},
		Logger:             logger,
		// All is in memory and for tests; locking it needs a right that a test may not have.
		DisableMlock: true,
	})
}

// start initialises and unseals the core and makes the given token the only root token.
func start(core *vault.Core, token string) error {
	ctx := namespace.RootContext(context.Background())
	result, err := core.Initialize(ctx, &vault.InitParams{
		BarrierConfig: &vault.SealConfig{SecretShares: 1, SecretThreshold: 1},
	})
	if err != nil {
		return err
	}
	if unsealed, err := core.Unseal(result.SecretShares[0]); err != nil || !unsealed {
		return errors.Join(errors.New("the core stays sealed"), err)
	}
	for _, request := range []*logical.Request{
		{ID: "own-root", Path: "auth/token/create", Data: map[string]any{
			"id": token, "policies": []string{"root"}, "no_parent": true, "no_default_policy": true,
		}},
		{ID: "first-root-ends", Path: "auth/token/revoke-self"},
	} {
		request.Operation, request.ClientToken = logical.UpdateOperation, result.RootToken
		response, err := core.HandleRequest(ctx, request)
		if err != nil {
			return fmt.Errorf("%s: %w", request.ID, err)
		}
		if response.IsError() {
			return fmt.Errorf("%s: %w", request.ID, response.Error())
		}
	}
	return nil
}

// registry tells the core which plugins are compiled in.
type registry struct{}

func of(kind consts.PluginType) map[string]logical.Factory {
	switch kind {
	case consts.PluginTypeSecrets:
		return engines
	case consts.PluginTypeCredential:
		return methods
	}
	return nil
}

func (registry) Contains(name string, kind consts.PluginType) bool {
	_, found := of(kind)[name]
	return found
}

func (registry) Get(name string, kind consts.PluginType) (func() (any, error), bool) {
	factory, found := of(kind)[name]
	return func() (any, error) { return factory, nil }, found
}

func (registry) Keys(kind consts.PluginType) []string {
	var names []string
	for name := range of(kind) {
		names = append(names, name)
	}
	return names
}

func (registry) DeprecationStatus(name string, kind consts.PluginType) (consts.DeprecationStatus, bool) {
	return consts.Supported, registry{}.Contains(name, kind)
}

func (registry) IsBuiltinEntPlugin(string, consts.PluginType) bool { return false }
