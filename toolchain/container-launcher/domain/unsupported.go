package domain

import (
	"fmt"
	"time"

	v1 "kubevirt.io/api/core/v1"
	cmdv1 "kubevirt.io/kubevirt/pkg/handler-launcher-com/cmd/v1"
	cmdclient "kubevirt.io/kubevirt/pkg/virt-handler/cmd-client"
	"kubevirt.io/kubevirt/pkg/virt-launcher/virtwrap/api"
	"kubevirt.io/kubevirt/pkg/virt-launcher/virtwrap/stats"
)

// unsupported answers what a container cannot do, or has nothing to tell of.
type unsupported struct{}

func refuse(action string) error { return fmt.Errorf("a container guest cannot %s", action) }

func (unsupported) PauseVMI(*v1.VirtualMachineInstance) error         { return refuse("be paused") }
func (unsupported) UnpauseVMI(*v1.VirtualMachineInstance) error       { return refuse("be paused") }
func (unsupported) FreezeVMI(*v1.VirtualMachineInstance, int32) error { return refuse("be frozen") }
func (unsupported) UnfreezeVMI(*v1.VirtualMachineInstance) error      { return refuse("be frozen") }
func (unsupported) MigrateVMI(*v1.VirtualMachineInstance, *cmdclient.MigrationOptions) error {
	return refuse("migrate")
}
func (unsupported) PrepareMigrationTarget(*v1.VirtualMachineInstance, bool, *cmdv1.VirtualMachineOptions) error {
	return refuse("migrate")
}
func (unsupported) CancelVMIMigration(*v1.VirtualMachineInstance) error { return refuse("migrate") }
func (unsupported) FinalizeVirtualMachineMigration(*v1.VirtualMachineInstance, *cmdv1.VirtualMachineOptions) error {
	return refuse("migrate")
}
func (unsupported) HotplugHostDevices(*v1.VirtualMachineInstance) error {
	return refuse("take host devices")
}
func (unsupported) Exec(string, string, []string, int32) (string, error) {
	return "", refuse("run a command: it has no guest agent")
}
func (unsupported) GuestPing(string) error { return refuse("answer a ping: it has no guest agent") }
func (unsupported) MemoryDump(*v1.VirtualMachineInstance, string) error {
	return refuse("dump its memory")
}
func (unsupported) UpdateVCPUs(*v1.VirtualMachineInstance, *cmdv1.VirtualMachineOptions) error {
	return refuse("change its processors while it runs")
}
func (unsupported) UpdateGuestMemory(*v1.VirtualMachineInstance) error {
	return refuse("change its memory while it runs")
}
func (unsupported) GetSEVInfo() (*v1.SEVPlatformInfo, error) { return nil, refuse("use SEV") }
func (unsupported) GetLaunchMeasurement(*v1.VirtualMachineInstance) (*v1.SEVMeasurementInfo, error) {
	return nil, refuse("use SEV")
}
func (unsupported) InjectLaunchSecret(*v1.VirtualMachineInstance, *v1.SEVSecretOptions) error {
	return refuse("use SEV")
}
func (unsupported) GetScreenshot(*v1.VirtualMachineInstance) (*cmdv1.ScreenshotResponse, error) {
	return nil, refuse("show a screen")
}
func (unsupported) GetQemuVersion() (string, error) { return "", refuse("tell QEMU's version") }
func (unsupported) GetDomainDirtyRateStats(time.Duration) (*stats.DomainStatsDirtyRate, error) {
	return &stats.DomainStatsDirtyRate{}, nil
}
func (unsupported) GetUsers() []v1.VirtualMachineInstanceGuestOSUser          { return nil }
func (unsupported) GetFilesystems() []v1.VirtualMachineInstanceFileSystem     { return nil }
func (unsupported) GetGuestInfo() (i v1.VirtualMachineInstanceGuestAgentInfo) { return i }
func (unsupported) InterfacesStatus() []api.InterfaceStatus                   { return nil }
