package guest

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const devices = "Character devices:\n  1 mem\n 10 misc\n\nBlock devices:\n  7 loop\n  8 sd\n253 zram\n254 virtblk\n259 blkext\n"

// fakeKernel returns a tree as a kernel would show it; files maps a path below the control groups to its content.
func fakeKernel(t *testing.T, self string, files map[string]string) kernelView {
	t.Helper()
	root := t.TempDir()
	view := kernelView{cgroups: filepath.Join(root, "cgroup"), self: filepath.Join(root, "self"), devices: filepath.Join(root, "devices")}
	write(t, view.self, self)
	write(t, view.devices, devices)
	if err := os.MkdirAll(view.cgroups, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, content := range files {
		write(t, filepath.Join(view.cgroups, name), content)
	}
	return view
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestVersion1SeesItsOwnGroupsAsTheRoot(t *testing.T) {
	view := fakeKernel(t, "4:memory:/kubepods/pod1/abc\n", map[string]string{"memory/cgroup.procs": "1\n"})
	found, err := view.findHierarchy("node-0")
	if err != nil {
		t.Fatal(err)
	}
	if found.unified || found.path != "/node-0" {
		t.Errorf("found %+v", found)
	}
	environment := strings.Join(found.environment(), " ")
	if !strings.Contains(environment, "SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1") {
		t.Errorf("systemd is not told of version 1: %s", environment)
	}
}

func TestVersion2MovesTheLauncherAside(t *testing.T) {
	view := fakeKernel(t, "0::/kubepods/pod1/abc\n", map[string]string{
		"cgroup.controllers":               "cpu memory\n",
		"kubepods/pod1/abc/cgroup.type":    "domain\n",
		"kubepods/pod1/abc/cgroup.procs":   "1\n17\n",
		"kubepods/pod1/abc/memory.current": "1\n",
	})
	found, err := view.findHierarchy("node-0")
	if err != nil {
		t.Fatal(err)
	}
	if !found.unified || found.path != "/kubepods/pod1/abc/node-0" {
		t.Errorf("found %+v", found)
	}
	environment := strings.Join(found.environment(), " ")
	if strings.Contains(environment, "LEGACY") || !strings.Contains(environment, "systemd.show_status=no") {
		t.Errorf("systemd is told %s", environment)
	}
	moved, err := os.ReadFile(filepath.Join(view.cgroups, "kubepods/pod1/abc/launcher/cgroup.procs"))
	if err != nil || string(moved) != "17" {
		t.Errorf("the last process moved is %q, %v", moved, err)
	}
}

func TestVersion2LeavesTheRootAsItIs(t *testing.T) {
	view := fakeKernel(t, "0::/\n", map[string]string{"cgroup.controllers": "cpu memory\n", "cgroup.procs": "1\n2\n"})
	found, err := view.findHierarchy("node-0")
	if err != nil {
		t.Fatal(err)
	}
	if found.path != "/node-0" {
		t.Errorf("found %+v", found)
	}
	if _, err := os.Stat(filepath.Join(view.cgroups, leaf)); !os.IsNotExist(err) {
		t.Errorf("the root has a group for the launcher: %v", err)
	}
}

func TestVersion2RefusesATreeThatLacksItsGroup(t *testing.T) {
	view := fakeKernel(t, "0::/kubepods/pod1/abc\n", map[string]string{"cgroup.controllers": "cpu memory\n"})
	if found, err := view.findHierarchy("node-0"); err == nil {
		t.Errorf("found %+v", found)
	}
}

func TestVersion2WithItsOwnNamespaceHasTheGroupAsTheRoot(t *testing.T) {
	for _, self := range []string{"0::/\n", "0::/" + leaf + "\n"} {
		view := fakeKernel(t, self, map[string]string{
			"cgroup.controllers": "cpu memory\n", "cgroup.type": "domain\n", "cgroup.procs": "1\n",
		})
		found, err := view.findHierarchy("node-0")
		if err != nil {
			t.Fatal(err)
		}
		if found.path != "/node-0" {
			t.Errorf("found %+v for %q", found, self)
		}
	}
}

func TestVersion2FindsTheSameGroupAfterTheMove(t *testing.T) {
	group, err := unifiedGroup("0::/kubepods/pod1/abc/launcher\n")
	if err != nil || group != "/kubepods/pod1/abc" {
		t.Errorf("group %q, %v", group, err)
	}
	if _, err := unifiedGroup("4:memory:/x\n"); err == nil {
		t.Error("a group was found where there is none")
	}
}

func TestDisksOfTheMachineAreDenied(t *testing.T) {
	majors := readBlockMajors(strings.NewReader(devices))
	if !slices.Equal(majors, []int64{8, 253, 254, 259}) {
		t.Errorf("majors %v: the loop driver must be missing, all others there", majors)
	}
	limits := bundle{cgroup: hierarchy{blockMajors: majors}, spec: Spec{MemoryBytes: 1 << 30, CPUs: 2}}.resources()
	denied := 0
	for _, rule := range limits.Devices[1:] {
		if rule.Allow || rule.Access != "rw" {
			t.Errorf("rule %+v", rule)
		}
		denied++
	}
	if denied != len(kernelDevices)+len(majors) {
		t.Errorf("%d devices are denied", denied)
	}
	if *limits.Memory.Limit != 1<<30 || *limits.CPU.Quota != 2*int64(*limits.CPU.Period) {
		t.Errorf("limits %+v", limits)
	}
}
