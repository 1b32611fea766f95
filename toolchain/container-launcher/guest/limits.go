package guest

import (
	"bufio"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/moby/sys/capability"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

const cpuPeriod = uint64(100000)

// kernelDevices are character devices of the kernel as a whole: memory, ports, log, virtual machines, disks.
var kernelDevices = [][2]int64{
	{1, 1},    // mem
	{1, 4},    // port
	{1, 11},   // kmsg
	{10, 232}, // kvm
	{10, 236}, // device mapper
	{10, 237}, // loop-control
}

// resources limits what the guest may use and which devices it may read and write.
//
// Everything is allowed but a list, because a privileged pod inside asks for all devices, and a group that allows only a
// list could not grant that. Making a node is allowed: only reading and writing through it matters.
func (b bundle) resources() *specs.LinuxResources {
	limits := &specs.LinuxResources{Devices: []specs.LinuxDeviceCgroup{{Allow: true, Access: "rwm"}}}
	for _, device := range kernelDevices {
		limits.Devices = append(limits.Devices, specs.LinuxDeviceCgroup{
			Type: "c", Major: pointer(device[0]), Minor: pointer(device[1]), Access: "rw",
		})
	}
	for _, major := range b.cgroup.blockMajors {
		limits.Devices = append(limits.Devices, specs.LinuxDeviceCgroup{Type: "b", Major: pointer(major), Access: "rw"})
	}
	if b.spec.MemoryBytes > 0 {
		limits.Memory = &specs.LinuxMemory{Limit: pointer(b.spec.MemoryBytes)}
	}
	if b.spec.CPUs > 0 {
		limits.CPU = &specs.LinuxCPU{Quota: pointer(b.spec.CPUs * int64(cpuPeriod)), Period: pointer(cpuPeriod)}
	}
	return limits
}

// readBlockMajors returns the numbers of all drivers of disks in /proc/devices but the loop driver: guests have loops.
func readBlockMajors(devices io.Reader) []int64 {
	var majors []int64
	block := false
	for lines := bufio.NewScanner(devices); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		switch {
		case strings.HasPrefix(lines.Text(), "Block devices"):
			block = true
		case block && len(fields) == 2:
			major, err := strconv.ParseInt(fields[0], 10, 64)
			if err == nil && major != loopMajor && !slices.Contains(majors, major) {
				majors = append(majors, major)
			}
		}
	}
	return majors
}

// machineCapabilities change the machine: modules, hardware, clock, security modules, the kernel's log, sleep.
var machineCapabilities = []capability.Cap{
	capability.CAP_SYS_MODULE, capability.CAP_SYS_RAWIO, capability.CAP_SYS_TIME, capability.CAP_MAC_ADMIN,
	capability.CAP_MAC_OVERRIDE, capability.CAP_SYSLOG, capability.CAP_WAKE_ALARM, capability.CAP_BLOCK_SUSPEND,
}

// readCapabilities returns what the guest may be given: what the launcher has, without what changes the machine.
func readCapabilities() ([]string, error) {
	own, err := capability.NewPid2(0)
	if err != nil {
		return nil, err
	}
	if err := own.Load(); err != nil {
		return nil, err
	}
	var names []string
	for _, each := range capability.ListKnown() {
		if own.Get(capability.BOUNDING, each) && !slices.Contains(machineCapabilities, each) {
			names = append(names, "CAP_"+strings.ToUpper(each.String()))
		}
	}
	return names, nil
}

// systemCalls refuses what no capability and no mount keeps from the guest: the kernel's log and its replacement, swap.
func systemCalls() *specs.LinuxSeccomp {
	return &specs.LinuxSeccomp{
		DefaultAction: specs.ActAllow,
		Architectures: []specs.Arch{specs.ArchX86_64, specs.ArchX86, specs.ArchX32},
		Syscalls: []specs.LinuxSyscall{{
			Names:  []string{"syslog", "kexec_load", "kexec_file_load", "swapon", "swapoff"},
			Action: specs.ActErrno,
		}},
	}
}

func pointer[T any](value T) *T { return &value }
