package domain

import (
	"fmt"

	"github.com/vishvananda/netlink"
	v1 "kubevirt.io/api/core/v1"
	cmdv1 "kubevirt.io/kubevirt/pkg/handler-launcher-com/cmd/v1"
	"kubevirt.io/kubevirt/pkg/network/cache"
	netsetup "kubevirt.io/kubevirt/pkg/network/setup"
	"kubevirt.io/kubevirt/pkg/virt-launcher/virtwrap/api"

	"kinky.dev/toolchain/container-launcher/guest"
)

const (
	// What the API server fills in where a template says nothing.
	defaultGrace = int64(30)
	// Shown as the machine type of the instance.
	machineType = "container"
	bytesPerKiB = 1024
)

// describe returns the domain that stands for the guest in virt-handler's eyes.
func describe(vmi *v1.VirtualMachineInstance, name string) *api.Domain {
	domain := api.NewDomainReferenceFromName(vmi.Namespace, vmi.Name)
	domain.ObjectMeta.UID = vmi.UID
	domain.Spec = *api.NewMinimalDomainSpec(name)
	domain.Spec.Name = name
	domain.Spec.OS.Type.Machine = machineType
	// A guest that can be asked to power off: one that had to be killed has failed.
	domain.Spec.Features = &api.Features{ACPI: &api.FeatureEnabled{}}
	if vmi.Spec.Domain.Firmware != nil {
		domain.Spec.UUID = string(vmi.Spec.Domain.Firmware.UUID)
	}
	grace := defaultGrace
	if vmi.Spec.TerminationGracePeriodSeconds != nil {
		grace = *vmi.Spec.TerminationGracePeriodSeconds
	}
	domain.Spec.Metadata.KubeVirt.UID = vmi.UID
	domain.Spec.Metadata.KubeVirt.GracePeriod = &api.GracePeriodMetadata{DeletionGracePeriodSeconds: grace}
	for _, nic := range vmi.Spec.Domain.Devices.Interfaces {
		domain.Spec.Devices.Interfaces = append(domain.Spec.Devices.Interfaces, api.Interface{
			Type:  "ethernet",
			Model: &api.Model{Type: "virtio-non-transitional"},
			MAC:   &api.MAC{MAC: nic.MacAddress},
			Alias: api.NewUserDefinedAlias(nic.Name),
		})
	}
	for index, disk := range vmi.Spec.Domain.Devices.Disks {
		domain.Spec.Devices.Disks = append(domain.Spec.Devices.Disks, api.Disk{
			Type:   "file",
			Device: "disk",
			Source: api.DiskSource{File: disk.Name},
			Target: api.DiskTarget{Device: fmt.Sprintf("vd%c", 'a'+index)},
			Alias:  api.NewUserDefinedAlias(disk.Name),
		})
	}
	if memory := memoryOf(vmi); memory > 0 {
		domain.Spec.CurrentMemory = &api.Memory{Value: uint64(memory) / bytesPerKiB, Unit: "KiB"}
	}
	return domain
}

// connect has KubeVirt prepare the pod's network, and returns where the guest is plugged in: at the bridge of the device
// that QEMU would have opened.
func connect(vmi *v1.VirtualMachineInstance, domain *api.Domain, options *cmdv1.VirtualMachineOptions) (guest.Network, error) {
	var attachments map[string]string
	if options != nil {
		attachments = options.GetInterfaceDomainAttachment()
	}
	configurator := netsetup.NewVMNetworkConfigurator(vmi, cache.CacheCreator{}, netsetup.WithDomainAttachments(attachments))
	if err := configurator.SetupPodNetworkPhase2(domain, vmi.Spec.Networks); err != nil {
		return guest.Network{}, err
	}
	if len(domain.Spec.Devices.Interfaces) != 1 {
		return guest.Network{}, fmt.Errorf("a container guest has one interface, not %d", len(domain.Spec.Devices.Interfaces))
	}
	nic := domain.Spec.Devices.Interfaces[0]
	if nic.Target == nil || nic.MAC == nil {
		return guest.Network{}, fmt.Errorf("this network binding gives no device")
	}
	device, err := netlink.LinkByName(nic.Target.Device)
	if err != nil {
		return guest.Network{}, fmt.Errorf("device %s: %w", nic.Target.Device, err)
	}
	bridge, err := netlink.LinkByIndex(device.Attrs().MasterIndex)
	if err != nil {
		return guest.Network{}, fmt.Errorf("bridge of device %s: %w", nic.Target.Device, err)
	}
	return guest.Network{Bridge: bridge.Attrs().Name, MAC: nic.MAC.MAC}, nil
}
