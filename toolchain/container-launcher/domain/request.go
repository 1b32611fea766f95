// Package domain answers virt-handler's requests for one virtual machine instance with a container guest.
package domain

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	v1 "kubevirt.io/api/core/v1"
	cloudinit "kubevirt.io/kubevirt/pkg/cloud-init"
	"kubevirt.io/kubevirt/pkg/config"
	containerdisk "kubevirt.io/kubevirt/pkg/container-disk"
	hostdisk "kubevirt.io/kubevirt/pkg/host-disk"

	"kinky.dev/toolchain/container-launcher/guest"
)

const (
	privateFolder = "/var/run/kubevirt-private"
	// On a volume of the pod: an overlay cannot lie on the container's own root, which is one.
	workFolder = "/var/run/libvirt/kinky-guest"
)

// buildSpec returns what a guest is made of, and makes the files of its empty disks.
func buildSpec(vmi *v1.VirtualMachineInstance) (guest.Spec, error) {
	console := filepath.Join(privateFolder, string(vmi.UID), "virt-serial0")
	spec := guest.Spec{
		Name:          vmi.Name,
		Disks:         map[string]string{},
		Work:          workFolder,
		ConsoleLog:    console + "-log",
		ConsoleSocket: console,
		MemoryBytes:   memoryOf(vmi),
		CPUs:          cpusOf(vmi),
	}
	if vmi.Spec.Domain.Firmware != nil {
		spec.UUID = string(vmi.Spec.Domain.Firmware.UUID)
	}
	serials := map[string]string{}
	for _, disk := range vmi.Spec.Domain.Devices.Disks {
		serials[disk.Name] = disk.Serial
	}
	for index, volume := range vmi.Spec.Volumes {
		if err := addVolume(&spec, index, volume, serials[volume.Name]); err != nil {
			return spec, fmt.Errorf("volume %s: %w", volume.Name, err)
		}
	}
	if spec.RootImage == "" {
		return spec, fmt.Errorf("no containerDisk among the volumes of %s", vmi.Name)
	}
	var err error
	spec.Seed, err = readSeed(vmi)
	return spec, err
}

func addVolume(spec *guest.Spec, index int, volume v1.Volume, serial string) error {
	switch {
	case volume.ContainerDisk != nil:
		spec.RootImage = containerdisk.GetDiskTargetPathFromLauncherView(index)
	case volume.EmptyDisk != nil:
		file := filepath.Join(workFolder, "disks", volume.Name+".img")
		spec.Disks[serial] = file
		return makeDisk(file, volume.EmptyDisk.Capacity.Value())
	case volume.HostDisk != nil:
		// virt-handler has made a file of a claim, and says so here.
		spec.Disks[serial] = hostdisk.GetMountedHostDiskPath(volume.Name, volume.HostDisk.Path)
	case volume.Secret != nil:
		spec.Credentials = filepath.Join(config.SecretSourceDir, volume.Name)
	case volume.CloudInitNoCloud != nil:
	default:
		return fmt.Errorf("a container guest has no such volume")
	}
	return nil
}

func makeDisk(file string, size int64) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}
	disk, err := os.OpenFile(file, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer disk.Close()
	return disk.Truncate(size)
}

func readSeed(vmi *v1.VirtualMachineInstance) (map[string]string, error) {
	data, err := cloudinit.ReadCloudInitVolumeDataSource(vmi, config.SecretSourceDir)
	if err != nil || data == nil {
		return nil, err
	}
	meta, err := json.Marshal(data.NoCloudMetaData)
	if err != nil {
		return nil, err
	}
	seed := map[string]string{"user-data": data.UserData, "meta-data": string(meta)}
	if data.NetworkData != "" {
		seed["network-config"] = data.NetworkData
	}
	return seed, nil
}

func memoryOf(vmi *v1.VirtualMachineInstance) int64 {
	if memory := vmi.Spec.Domain.Memory; memory != nil && memory.Guest != nil {
		return memory.Guest.Value()
	}
	return 0
}

func cpusOf(vmi *v1.VirtualMachineInstance) int64 {
	cpu := vmi.Spec.Domain.CPU
	if cpu == nil {
		return 0
	}
	return int64(max(cpu.Sockets, 1) * max(cpu.Cores, 1) * max(cpu.Threads, 1))
}
