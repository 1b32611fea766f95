package domain

import (
	"fmt"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	v1 "kubevirt.io/api/core/v1"
	"kubevirt.io/client-go/log"
	cmdv1 "kubevirt.io/kubevirt/pkg/handler-launcher-com/cmd/v1"
	"kubevirt.io/kubevirt/pkg/virt-launcher/virtwrap/api"
	"kubevirt.io/kubevirt/pkg/virt-launcher/virtwrap/stats"

	"kinky.dev/toolchain/container-launcher/guest"
)

// The answer to the request must reach virt-handler before the launcher ends.
const answerTime = 500 * time.Millisecond

// Notifier tells virt-handler of each change.
type Notifier interface {
	SendDomainEvent(event watch.Event) error
}

// Manager is the domain manager of one instance: virt-handler talks to it as it does to libvirt's.
type Manager struct {
	unsupported
	name     string
	notifier Notifier
	mu       sync.Mutex
	machine  *guest.Machine
	domain   *api.Domain
	killed   bool
	deleted  bool
	ended    chan struct{}
	notified chan struct{}
}

// NewManager returns a manager without a guest; SyncVMI starts one.
func NewManager(name string, notifier Notifier) *Manager {
	return &Manager{name: name, notifier: notifier, ended: make(chan struct{}), notified: make(chan struct{})}
}

// Ended is closed when the guest has ended for good.
func (m *Manager) Ended() <-chan struct{} { return m.ended }

// Notified is closed when virt-handler knows that the domain is gone.
func (m *Manager) Notified() <-chan struct{} { return m.notified }

// IsIdle tells whether no guest was asked for yet.
func (m *Manager) IsIdle() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.machine == nil
}

// SyncVMI starts the guest of an instance, once.
func (m *Manager) SyncVMI(vmi *v1.VirtualMachineInstance, _ bool, options *cmdv1.VirtualMachineOptions) (*api.DomainSpec, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.domain != nil {
		return &m.domain.Spec, nil
	}
	spec, err := buildSpec(vmi)
	if err != nil {
		return nil, fmt.Errorf("container guest: %w", err)
	}
	described := describe(vmi, m.name)
	if spec.Network, err = connect(vmi, described, options); err != nil {
		return nil, fmt.Errorf("network of the container guest: %w", err)
	}
	machine, err := guest.Start(spec, log.Log.Infof)
	if err != nil {
		return nil, fmt.Errorf("container guest: %w", err)
	}
	m.machine, m.domain = machine, described
	m.tell(api.Running, api.ReasonUnknown, watch.Added)
	go m.follow()
	return &m.domain.Spec, nil
}

// tell sends the domain in a state to virt-handler; the caller holds the lock.
func (m *Manager) tell(state api.LifeCycle, reason api.StateChangeReason, kind watch.EventType) {
	m.domain.SetState(state, reason)
	if m.deleted {
		now := metav1.Now()
		m.domain.ObjectMeta.DeletionTimestamp = &now
	}
	if err := m.notifier.SendDomainEvent(watch.Event{Type: kind, Object: m.domain}); err != nil {
		log.Log.Reason(err).Errorf("virt-handler was not told of state %s", state)
	}
}

// follow tells how the guest has ended.
func (m *Manager) follow() {
	<-m.machine.Done()
	m.mu.Lock()
	defer m.mu.Unlock()
	state, reason := finalState(m.machine.End(), m.killed)
	m.tell(state, reason, watch.Modified)
	close(m.ended)
}

// finalState returns what libvirt would tell of such an end.
func finalState(end guest.End, killed bool) (api.LifeCycle, api.StateChangeReason) {
	switch {
	case killed:
		return api.Shutoff, api.ReasonDestroyed
	case end == guest.Crashed:
		return api.Crashed, api.ReasonCrashed
	}
	return api.Shutoff, api.ReasonShutdown
}

// KillVMI ends the guest at once.
func (m *Manager) KillVMI(*v1.VirtualMachineInstance) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.machine == nil {
		return nil
	}
	select {
	case <-m.machine.Done():
		return nil
	default:
	}
	m.killed = true
	return m.machine.Kill()
}

// SignalShutdownVMI asks the guest to power itself off; virt-handler kills it when the grace period is over.
func (m *Manager) SignalShutdownVMI(*v1.VirtualMachineInstance) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.machine == nil || m.domain.Spec.Metadata.KubeVirt.GracePeriod.DeletionTimestamp != nil {
		return nil
	}
	now := metav1.Now()
	m.domain.Spec.Metadata.KubeVirt.GracePeriod.DeletionTimestamp = &now
	return m.machine.PowerOff()
}

// SoftRebootVMI asks the guest to reboot.
func (m *Manager) SoftRebootVMI(*v1.VirtualMachineInstance) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.machine == nil {
		return refuse("reboot: it does not run")
	}
	return m.machine.Reboot()
}

// ResetVMI is for a guest that hangs, which no container guest can be told to do by force.
func (m *Manager) ResetVMI(*v1.VirtualMachineInstance) error {
	return refuse("be reset: delete the VirtualMachineInstance")
}

// DeleteVMI tells virt-handler that the domain is gone.
func (m *Manager) DeleteVMI(*v1.VirtualMachineInstance) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.domain == nil || m.deleted {
		return nil
	}
	m.deleted = true
	m.tell(api.NoState, api.ReasonNonExistent, watch.Modified)
	time.AfterFunc(answerTime, func() { close(m.notified) })
	return nil
}

// MarkGracefulShutdownVMI tells virt-handler that the launcher was asked to end.
func (m *Manager) MarkGracefulShutdownVMI() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.domain == nil {
		return
	}
	yes := true
	m.domain.Spec.Metadata.KubeVirt.GracePeriod.MarkedForGracefulShutdown = &yes
	m.tell(m.domain.Status.Status, m.domain.Status.Reason, watch.Modified)
}

// ListAllDomains returns the domain, if there is one.
func (m *Manager) ListAllDomains() ([]*api.Domain, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.domain == nil || m.deleted {
		return nil, nil
	}
	return []*api.Domain{m.domain.DeepCopy()}, nil
}

// GetDomainStats returns figures without content: the machine's own tools see the guest's processes.
func (m *Manager) GetDomainStats() (*stats.DomainStats, error) {
	return &stats.DomainStats{
		Name: m.name, Cpu: &stats.DomainStatsCPU{}, Memory: &stats.DomainStatsMemory{}, Load: &stats.DomainStatsLoad{},
		DirtyRate: &stats.DomainStatsDirtyRate{}, MigrateDomainJobInfo: &stats.DomainJobInfo{},
	}, nil
}

// GetGuestOSInfo returns what describe has put there: no agent in the guest tells more.
func (m *Manager) GetGuestOSInfo() *api.GuestOSInfo {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.domain == nil {
		return nil
	}
	info := m.domain.Status.OSInfo
	return &info
}
