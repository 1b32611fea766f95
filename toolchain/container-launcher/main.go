// Command container-launcher takes the place of virt-launcher: the instance that it runs is a container, not QEMU.
//
// `container-launcher guest FILE` runs a guest without KubeVirt, from a guest.Spec in JSON.
package main

import (
	"encoding/json"
	goflag "flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/types"
	v1 "kubevirt.io/api/core/v1"
	"kubevirt.io/client-go/log"
	cloudinit "kubevirt.io/kubevirt/pkg/cloud-init"
	containerdisk "kubevirt.io/kubevirt/pkg/container-disk"
	cmdclient "kubevirt.io/kubevirt/pkg/virt-handler/cmd-client"
	virtlauncher "kubevirt.io/kubevirt/pkg/virt-launcher"
	notifyclient "kubevirt.io/kubevirt/pkg/virt-launcher/notify-client"
	"kubevirt.io/kubevirt/pkg/virt-launcher/virtwrap/api"
	cmdserver "kubevirt.io/kubevirt/pkg/virt-launcher/virtwrap/cmd-server"

	"kinky.dev/toolchain/container-launcher/domain"
	"kinky.dev/toolchain/container-launcher/guest"
)

// virt-handler asks for the domain's deletion when it has seen its end; as long as virt-launcher waits for that.
const deletionPatience = 15 * time.Second

// settings are the arguments that virt-controller gives a launcher and that matter here.
type settings struct {
	share, ephemeral, disks string
	namespace, name, uid    string
	grace                   int
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "container-launcher:", err)
		os.Exit(1)
	}
}

func run() error {
	if len(os.Args) == 3 && os.Args[1] == "guest" {
		return runGuest(os.Args[2])
	}
	arguments := parse()
	log.InitializeLogging("container-launcher")
	if err := makeFolders(arguments); err != nil {
		return err
	}
	return serve(arguments)
}

func parse() settings {
	var s settings
	flags := pflag.CommandLine
	flags.StringVar(&s.share, "kubevirt-share-dir", "/var/run/kubevirt", "folder shared with virt-handler")
	flags.StringVar(&s.ephemeral, "ephemeral-disk-dir", "/var/run/kubevirt-ephemeral-disks", "folder for cloud-init's data")
	flags.StringVar(&s.disks, "container-disk-dir", "/var/run/kubevirt/container-disks", "folder with containerDisks")
	flags.StringVar(&s.namespace, "namespace", "", "namespace of the instance")
	flags.StringVar(&s.name, "name", "", "name of the instance")
	flags.StringVar(&s.uid, "uid", "", "UID of the instance")
	flags.IntVar(&s.grace, "grace-period-seconds", 30, "time between the request to end and the kill")
	// The others are QEMU's.
	flags.ParseErrorsWhitelist = pflag.ParseErrorsWhitelist{UnknownFlags: true}
	flags.AddGoFlag(goflag.CommandLine.Lookup("v"))
	pflag.Parse()
	return s
}

// makeFolders makes the folders that virt-handler and virtctl expect.
func makeFolders(s settings) error {
	// Others than root have to read them.
	defer syscall.Umask(syscall.Umask(0))
	private := filepath.Join("/var/run/kubevirt-private", s.uid)
	if err := virtlauncher.InitializePrivateDirectories(private); err != nil {
		return err
	}
	if err := cloudinit.SetLocalDirectory(filepath.Join(s.ephemeral, "cloud-init-data")); err != nil {
		return err
	}
	if err := containerdisk.SetLocalDirectory(s.disks); err != nil {
		return err
	}
	return virtlauncher.InitializeConsoleLogFile(private)
}

// serve answers virt-handler until the guest has ended, or until the end is asked for before there is one.
func serve(s settings) error {
	instance := v1.NewVMIReferenceWithUUID(s.namespace, s.name, types.UID(s.uid))
	notifier := notifyclient.NewNotifier(s.share)
	defer notifier.Close()
	manager := domain.NewManager(api.VMINamespaceKeyFunc(instance), notifier)
	cmdclient.SetBaseDir(s.share)
	stop := make(chan struct{})
	stopped, err := cmdserver.RunServer(cmdclient.UninitializedSocketOnGuest(), manager, stop, cmdserver.NewServerOptions(true))
	if err != nil {
		return err
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGHUP, syscall.SIGINT, syscall.SIGTERM, syscall.SIGQUIT)
	// The pod is ready when the socket has its name.
	if err := os.Rename(cmdclient.UninitializedSocketOnGuest(), cmdclient.SocketOnGuest()); err != nil {
		return err
	}
	wait(manager, signals, time.Duration(s.grace)*time.Second)
	close(stop)
	<-stopped
	return nil
}

func wait(manager *domain.Manager, signals <-chan os.Signal, grace time.Duration) {
	for {
		select {
		case number := <-signals:
			log.Log.Infof("signal: %s", number)
			if manager.IsIdle() {
				return
			}
			go manager.MarkGracefulShutdownVMI()
			time.AfterFunc(grace, func() { _ = manager.KillVMI(nil) })
		case <-manager.Ended():
			select {
			case <-manager.Notified():
			case <-time.After(deletionPatience):
				log.Log.Infof("virt-handler did not ask for the deletion in %s", deletionPatience)
				_ = manager.DeleteVMI(nil)
			}
			return
		}
	}
}

// runGuest runs the guest of a file until it ends; a signal powers it off, a second one kills it.
func runGuest(file string) error {
	content, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var spec guest.Spec
	if err := json.Unmarshal(content, &spec); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	machine, err := guest.Start(spec, func(format string, arguments ...any) { fmt.Printf(format+"\n", arguments...) })
	if err != nil {
		return err
	}
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	end := machine.PowerOff
	for {
		select {
		case <-signals:
			if err := end(); err != nil {
				return err
			}
			end = machine.Kill
		case <-machine.Done():
			if machine.End() == guest.Crashed {
				return fmt.Errorf("guest %s crashed", spec.Name)
			}
			return nil
		}
	}
}
