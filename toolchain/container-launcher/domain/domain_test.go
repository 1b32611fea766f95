package domain

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/watch"
	v1 "kubevirt.io/api/core/v1"
	"kubevirt.io/kubevirt/pkg/virt-launcher/virtwrap/api"

	"kinky.dev/toolchain/container-launcher/guest"
)

func instance() *v1.VirtualMachineInstance {
	size := resource.MustParse("2Gi")
	vmi := v1.NewVMIReferenceFromNameWithNS("kinky-dev", "dev-worker-0")
	vmi.UID = "1234"
	vmi.Spec.Domain.Memory = &v1.Memory{Guest: &size}
	vmi.Spec.Domain.CPU = &v1.CPU{Sockets: 1, Cores: 2, Threads: 1}
	vmi.Spec.Domain.Devices.Disks = []v1.Disk{{Name: "etcd", Serial: "kinky-etcd"}}
	return vmi
}

func TestSizesAreLimits(t *testing.T) {
	vmi := instance()
	if memoryOf(vmi) != 2<<30 || cpusOf(vmi) != 2 {
		t.Errorf("memory %d, processors %d", memoryOf(vmi), cpusOf(vmi))
	}
	vmi.Spec.Domain.Memory, vmi.Spec.Domain.CPU = nil, nil
	if memoryOf(vmi) != 0 || cpusOf(vmi) != 0 {
		t.Errorf("limits where none were asked for")
	}
}

func TestVolumesBecomeDisksBySerial(t *testing.T) {
	spec := guest.Spec{Disks: map[string]string{}}
	claim := v1.Volume{Name: "etcd", VolumeSource: v1.VolumeSource{HostDisk: &v1.HostDisk{Path: "disk.img"}}}
	if err := addVolume(&spec, 3, claim, "kinky-etcd"); err != nil {
		t.Fatal(err)
	}
	if file := spec.Disks["kinky-etcd"]; !strings.HasSuffix(file, "/etcd/disk.img") {
		t.Errorf("the claim is %q", file)
	}
	unknown := v1.Volume{Name: "odd", VolumeSource: v1.VolumeSource{Sysprep: &v1.SysprepSource{}}}
	if err := addVolume(&spec, 4, unknown, ""); err == nil {
		t.Error("a volume of an unknown kind was taken")
	}
}

func TestAnInstanceWithoutContainerDiskIsRefused(t *testing.T) {
	if _, err := buildSpec(instance()); err == nil || !strings.Contains(err.Error(), "no containerDisk") {
		t.Errorf("error %v", err)
	}
}

func TestEndsAreShownAsForQemu(t *testing.T) {
	for _, each := range []struct {
		end    guest.End
		killed bool
		state  api.LifeCycle
		reason api.StateChangeReason
	}{
		{guest.PoweredOff, false, api.Shutoff, api.ReasonShutdown},
		{guest.Rebooted, false, api.Shutoff, api.ReasonShutdown},
		{guest.Crashed, false, api.Crashed, api.ReasonCrashed},
		{guest.Crashed, true, api.Shutoff, api.ReasonDestroyed},
	} {
		if state, reason := finalState(each.end, each.killed); state != each.state || reason != each.reason {
			t.Errorf("%+v is told as %s, %s", each, state, reason)
		}
	}
}

type recorder struct{ events []watch.Event }

func (r *recorder) SendDomainEvent(event watch.Event) error {
	r.events = append(r.events, event)
	return nil
}

func TestAManagerWithoutGuestTakesEveryEnd(t *testing.T) {
	seen := &recorder{}
	manager := NewManager("kinky-dev_dev-worker-0", seen)
	for _, act := range []func(*v1.VirtualMachineInstance) error{manager.KillVMI, manager.SignalShutdownVMI, manager.DeleteVMI} {
		if err := act(instance()); err != nil {
			t.Error(err)
		}
	}
	manager.MarkGracefulShutdownVMI()
	if domains, err := manager.ListAllDomains(); err != nil || len(domains) != 0 || !manager.IsIdle() || len(seen.events) != 0 {
		t.Errorf("domains %v, events %v, %v", domains, seen.events, err)
	}
}

func TestDeletionIsToldOnce(t *testing.T) {
	seen := &recorder{}
	manager := NewManager("kinky-dev_dev-worker-0", seen)
	manager.domain = describe(instance(), "kinky-dev_dev-worker-0")
	for range 2 {
		if err := manager.DeleteVMI(instance()); err != nil {
			t.Fatal(err)
		}
	}
	<-manager.Notified()
	if len(seen.events) != 1 || seen.events[0].Object.(*api.Domain).ObjectMeta.DeletionTimestamp == nil {
		t.Errorf("events %+v", seen.events)
	}
}

func TestTheDomainHasWhatStatusShows(t *testing.T) {
	shown := describe(instance(), "kinky-dev_dev-worker-0")
	if shown.Spec.OS.Type.Machine != machineType || len(shown.Spec.Devices.Disks) != 1 || shown.Spec.CurrentMemory.Value != 2<<20 {
		t.Errorf("domain %+v", shown.Spec)
	}
	if shown.Spec.Features == nil || shown.Spec.Features.ACPI == nil {
		t.Error("a guest that had to be killed would be shown as one that succeeded")
	}
	if shown.Spec.Metadata.KubeVirt.GracePeriod.DeletionGracePeriodSeconds != defaultGrace {
		t.Errorf("grace period %+v", shown.Spec.Metadata.KubeVirt.GracePeriod)
	}
}
