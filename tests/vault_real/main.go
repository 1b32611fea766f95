// A real server of Vault's API for tests: the core of HashiCorp Vault 1.14.8 (MPL-2.0) with the engine and the auth
// method that KinKy uses, in memory, over HTTPS. It takes the arguments of tests/vault_server, save --faults.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/hashicorp/go-hclog"
	jwt "github.com/hashicorp/vault-plugin-auth-jwt"
	kv "github.com/hashicorp/vault-plugin-secrets-kv"
	"github.com/hashicorp/vault/helper/namespace"
	vaulthttp "github.com/hashicorp/vault/http"
	"github.com/hashicorp/vault/sdk/helper/consts"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/hashicorp/vault/sdk/physical/inmem"
	"github.com/hashicorp/vault/vault"
)

// noPlugins says that every mount's type is one of the factories given to the core.
type noPlugins struct{}

func (noPlugins) Contains(string, consts.PluginType) bool { return false }
func (noPlugins) Get(string, consts.PluginType) (func() (interface{}, error), bool) {
	return nil, false
}
func (noPlugins) Keys(consts.PluginType) []string { return nil }
func (noPlugins) DeprecationStatus(string, consts.PluginType) (consts.DeprecationStatus, bool) {
	return consts.Unknown, false
}
func (noPlugins) IsBuiltinEntPlugin(string, consts.PluginType) bool { return false }

func main() {
	address := flag.String("listen", "", "ADDRESS:PORT")
	descriptor := flag.Int("listen-fd", -1, "a listening socket of the parent, served too")
	certificate := flag.String("certificate", "", "file")
	key := flag.String("key", "", "file")
	tokenFile := flag.String("root-token-file", "", "file")
	flag.Parse()
	token, err := os.ReadFile(*tokenFile)
	check(err)
	core := start(strings.TrimSpace(string(token)))
	listener, err := net.Listen("tcp", *address)
	check(err)
	server := &http.Server{Handler: vaulthttp.Handler.Handler(&vault.HandlerProperties{Core: core})}
	if *descriptor >= 0 {
		inherited, err := net.FileListener(os.NewFile(uintptr(*descriptor), "inherited"))
		check(err)
		go func() { check(server.ServeTLS(inherited, *certificate, *key)) }()
	}
	fmt.Printf("serving on https://%s\n", listener.Addr())
	go func() { check(server.ServeTLS(listener, *certificate, *key)) }()
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGTERM, syscall.SIGINT)
	<-ended
}

// start returns an unsealed core whose one root token is the given one.
func start(token string) *vault.Core {
	logger := hclog.New(&hclog.LoggerOptions{Level: hclog.Error, Output: os.Stderr})
	storage, err := inmem.NewInmem(nil, logger)
	check(err)
	core, err := vault.NewCore(&vault.CoreConfig{
		Physical:           storage,
		LogicalBackends:    map[string]logical.Factory{"kv": kv.Factory},
		CredentialBackends: map[string]logical.Factory{"jwt": jwt.Factory},
		BuiltinRegistry:    noPlugins{},
		DisableMlock:       true,
		Logger:             logger,
	})
	check(err)
	ctx := context.Background()
	made, err := core.Initialize(ctx, &vault.InitParams{BarrierConfig: &vault.SealConfig{SecretShares: 1, SecretThreshold: 1}})
	check(err)
	_, err = core.Unseal(made.SecretShares[0])
	check(err)
	request := &logical.Request{
		ID: "root", Operation: logical.UpdateOperation, ClientToken: made.RootToken, Path: "auth/token/create",
		Data: map[string]interface{}{"id": token, "policies": []string{"root"}, "no_parent": true},
	}
	answer, err := core.HandleRequest(namespace.RootContext(ctx), request)
	check(err)
	if answer.IsError() {
		log.Fatal(answer.Error())
	}
	return core
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
