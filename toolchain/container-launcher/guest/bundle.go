package guest

import (
	"encoding/json"
	"os"
	"path/filepath"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// bundle is everything of one boot that goes into crun's configuration.
type bundle struct {
	spec    Spec
	root    string
	ground  string
	network string
	bootID  string
	memory  string
	disks   map[string]*loop
	cgroup  hierarchy
	uptime  int64
	// capabilities are those of its init.
	capabilities []string
}

// write writes config.json into a folder.
func (b bundle) write(folder string) error {
	content, err := json.Marshal(b.configuration())
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, "config.json"), content, 0o600)
}

func (b bundle) configuration() *specs.Spec {
	return &specs.Spec{
		Version:  specs.Version,
		Hostname: b.spec.Name,
		Root:     &specs.Root{Path: b.root},
		Process: &specs.Process{
			Terminal: true,
			Cwd:      "/",
			Args:     []string{"/sbin/init"},
			Env:      append([]string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "container=kinky", "TERM=dumb"}, b.cgroup.environment()...),
			Capabilities: &specs.LinuxCapabilities{
				Bounding: b.capabilities, Effective: b.capabilities, Permitted: b.capabilities,
			},
		},
		Mounts: b.mounts(),
		Linux: &specs.Linux{
			CgroupsPath: b.cgroup.path,
			Namespaces: []specs.LinuxNamespace{
				{Type: specs.PIDNamespace}, {Type: specs.MountNamespace}, {Type: specs.IPCNamespace},
				{Type: specs.UTSNamespace}, {Type: specs.CgroupNamespace}, {Type: specs.TimeNamespace},
				{Type: specs.NetworkNamespace, Path: b.network},
			},
			// Its uptime is counted from its own start, as in a virtual machine.
			TimeOffsets: map[string]specs.LinuxTimeOffset{"boottime": {Secs: -b.uptime}, "monotonic": {Secs: -b.uptime}},
			Resources:   b.resources(),
			Devices:     b.devices(),
			MaskedPaths: []string{"/proc/kcore", "/proc/keys", "/proc/kmsg", "/proc/sched_debug", "/proc/sysrq-trigger", "/proc/timer_list", "/sys/firmware"},
			Seccomp:     systemCalls(),
			// Volumes of pods travel between the node's mounts and theirs.
			RootfsPropagation: "shared",
		},
	}
}

func (b bundle) mounts() []specs.Mount {
	quiet := []string{"nosuid", "nodev", "noexec"}
	list := []specs.Mount{
		{Destination: "/proc", Type: "proc", Source: "proc", Options: quiet},
		// Settings of the whole kernel are not the guest's; those of its network are.
		{Destination: "/proc/sys", Type: "bind", Source: "/proc/sys", Options: append([]string{"bind", "ro"}, quiet...)},
		{Destination: "/proc/sys/net", Type: "bind", Source: "/proc/sys/net", Options: append([]string{"bind", "rw"}, quiet...)},
		// Kubelet and journald tell boots apart by it.
		{Destination: "/proc/sys/kernel/random/boot_id", Type: "bind", Source: b.bootID, Options: []string{"bind", "ro"}},
		{Destination: "/sys", Type: "sysfs", Source: "sysfs", Options: append([]string{"ro"}, quiet...)},
		{Destination: "/sys/fs/cgroup", Type: "cgroup", Source: "cgroup", Options: append([]string{"rw"}, quiet...)},
		{Destination: "/dev", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "mode=0755"}},
		{Destination: "/dev/pts", Type: "devpts", Source: "devpts", Options: []string{"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"}},
		{Destination: "/dev/shm", Type: "tmpfs", Source: "shm", Options: []string{"nosuid", "nodev", "mode=1777"}},
		{Destination: "/dev/mqueue", Type: "mqueue", Source: "mqueue", Options: quiet},
		// Kubelet wants one; the kernel's log is the machine's.
		{Destination: "/dev/kmsg", Type: "bind", Source: "/dev/null", Options: []string{"bind"}},
		{Destination: "/run", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "nodev", "mode=0755"}},
		{Destination: placeGround, Type: "bind", Source: b.ground, Options: []string{"bind", "ro"}},
		{Destination: placeImage, Type: "bind", Source: filepath.Join(b.spec.Work, "image"), Options: []string{"bind", "ro"}},
	}
	if b.memory != "" {
		list = append(list, specs.Mount{Destination: "/proc/meminfo", Type: "bind", Source: b.memory, Options: []string{"bind", "ro"}})
	}
	if b.spec.Credentials != "" {
		list = append(list, specs.Mount{Destination: placeCredentials, Type: "bind", Source: b.spec.Credentials, Options: []string{"bind", "ro"}})
	}
	return list
}

func (b bundle) devices() []specs.LinuxDevice {
	var list []specs.LinuxDevice
	mode := os.FileMode(0o660)
	for _, device := range b.disks {
		list = append(list, specs.LinuxDevice{Path: device.path(), Type: "b", Major: loopMajor, Minor: int64(device.number), FileMode: &mode})
	}
	return list
}
