package guest

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/google/uuid"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// Signals that systemd takes from a container's host (systemd(1): SIGRTMIN+4, SIGRTMIN+5).
const (
	signalPowerOff = syscall.Signal(34 + 4)
	signalReboot   = syscall.Signal(34 + 5)
)

// Machine is a running guest over all its boots.
type Machine struct {
	spec    Spec
	say     func(format string, arguments ...any)
	root    *rootDisk
	disks   map[string]*loop
	console *serialConsole
	cgroup  hierarchy
	done    chan struct{}
	end     End
	mu      sync.Mutex
	pid     int
	ending  bool
}

// boot is one life of a guest's init.
type boot struct {
	network netns.NsHandle
	console io.Closer
	status  chan int
}

// Start starts a guest; it returns when init runs. What was made is gone again if it fails.
func Start(spec Spec, say func(format string, arguments ...any)) (m *Machine, err error) {
	m = &Machine{spec: spec, say: say, disks: map[string]*loop{}, done: make(chan struct{})}
	defer func() {
		if err != nil {
			m.release()
		}
	}()
	if err := os.MkdirAll(spec.Work, 0o711); err != nil {
		return m, err
	}
	if m.cgroup, err = thisKernel().findHierarchy(spec.Name); err != nil {
		return m, err
	}
	if m.root, err = mountRootDisk(spec.RootImage, spec.Work); err != nil {
		return m, err
	}
	for serial, file := range spec.Disks {
		if m.disks[serial], err = attach(file, section{}, false); err != nil {
			return m, err
		}
	}
	if m.console, err = openConsole(spec.ConsoleLog, spec.ConsoleSocket); err != nil {
		return m, fmt.Errorf("console: %w", err)
	}
	first, err := m.boot()
	if err != nil {
		return m, err
	}
	go m.follow(first)
	return m, nil
}

// Done is closed when the guest has ended for good; End tells how.
func (m *Machine) Done() <-chan struct{} { return m.done }

// End tells how the guest ended.
func (m *Machine) End() End { return m.end }

// PowerOff asks the guest to power itself off.
func (m *Machine) PowerOff() error { return m.signal(signalPowerOff, true) }

// Reboot asks the guest to reboot.
func (m *Machine) Reboot() error { return m.signal(signalReboot, false) }

// Kill ends the guest at once.
func (m *Machine) Kill() error { return m.signal(syscall.SIGKILL, true) }

func (m *Machine) signal(number syscall.Signal, ending bool) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ending = m.ending || ending
	if m.pid == 0 {
		return nil
	}
	if err := syscall.Kill(m.pid, number); err != nil && !errors.Is(err, syscall.ESRCH) {
		return err
	}
	return nil
}

// boot starts init over a fresh root file system.
func (m *Machine) boot() (_ *boot, err error) {
	begin := time.Now()
	this := &boot{network: -1, status: make(chan int, 1)}
	defer func() {
		if err != nil {
			m.clear(this)
		}
	}()
	root, err := m.root.overlay(m.spec.Work)
	if err != nil {
		return nil, err
	}
	if this.network, err = plug(m.spec.Network); err != nil {
		return nil, err
	}
	config, err := m.prepare(root, pathOf(this.network))
	if err != nil {
		return nil, err
	}
	if err := config.write(m.spec.Work); err != nil {
		return nil, err
	}
	if err := m.run(this); err != nil {
		return nil, err
	}
	m.say("init of %s started in %.2f s", m.spec.Name, time.Since(begin).Seconds())
	return this, nil
}

func (m *Machine) file(name string) string { return filepath.Join(m.spec.Work, name) }

// prepare writes the files that a virtual machine would have as hardware.
func (m *Machine) prepare(root, network string) (bundle, error) {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &now); err != nil {
		return bundle{}, err
	}
	b := bundle{
		spec: m.spec, root: root, network: network, disks: m.disks, cgroup: m.cgroup, uptime: now.Sec,
		ground: m.file("ground"), bootID: m.file("boot_id"),
	}
	var err error
	if b.capabilities, err = readCapabilities(); err != nil {
		return b, fmt.Errorf("capabilities: %w", err)
	}
	if err := os.WriteFile(b.bootID, []byte(uuid.NewString()+"\n"), 0o444); err != nil {
		return b, err
	}
	if m.spec.MemoryBytes > 0 {
		b.memory = m.file("meminfo")
		if err := writeMemory(b.memory, m.spec.MemoryBytes); err != nil {
			return b, err
		}
	}
	if err := writeGround(b.ground, m.disks); err != nil {
		return b, err
	}
	return b, writeIdentity(root, m.spec)
}

// follow starts the guest again after each reboot, and tells its end.
func (m *Machine) follow(current *boot) {
	for {
		status := <-current.status
		m.mu.Lock()
		m.pid = 0
		again := status == statusRebooted && !m.ending
		m.mu.Unlock()
		m.say("init of %s ended: status %d", m.spec.Name, status)
		m.clear(current)
		m.end = endOf(status)
		if again {
			next, err := m.boot()
			if err == nil {
				current = next
				continue
			}
			m.say("reboot of %s: %v", m.spec.Name, err)
			m.end = Crashed
		}
		m.release()
		close(m.done)
		return
	}
}

// clear ends what belongs to one boot.
func (m *Machine) clear(this *boot) {
	dropOverlay(m.spec.Work)
	if this.network >= 0 {
		_ = this.network.Close()
	}
	if this.console != nil {
		_ = this.console.Close()
	}
}

// release gives back everything of the machine.
func (m *Machine) release() {
	for _, device := range m.disks {
		if device != nil && device.file != nil {
			_ = device.file.Close()
		}
	}
	if m.root != nil {
		m.root.release()
	}
	if m.console != nil {
		m.console.close()
	}
}
