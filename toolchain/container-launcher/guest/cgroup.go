package guest

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

const leaf = "launcher"

// hierarchy is the control group of a guest, below that of the launcher's container.
type hierarchy struct {
	unified     bool
	path        string
	blockMajors []int64
}

// kernelView is where the kernel tells about control groups and drivers.
type kernelView struct {
	cgroups, self, devices string
}

func thisKernel() kernelView {
	return kernelView{cgroups: "/sys/fs/cgroup", self: "/proc/self/cgroup", devices: "/proc/devices"}
}

// isUnified tells whether the tree is one of version 2: its root alone has this file.
func (k kernelView) isUnified() bool {
	_, err := os.Stat(filepath.Join(k.cgroups, "cgroup.controllers"))
	return err == nil
}

// findHierarchy tells which version of control groups there is and where the guest's goes.
//
// With version 1 a container sees its own groups as the root of each mount. With version 2 a privileged one sees the whole
// tree, and a group with processes cannot have children with limits, so the launcher's processes move to a child as well.
func (k kernelView) findHierarchy(name string) (hierarchy, error) {
	devices, err := os.Open(k.devices)
	if err != nil {
		return hierarchy{}, err
	}
	defer devices.Close()
	found := hierarchy{unified: k.isUnified(), path: "/" + name, blockMajors: readBlockMajors(devices)}
	if !found.unified {
		return found, nil
	}
	own, err := os.ReadFile(k.self)
	if err != nil {
		return found, err
	}
	group, err := unifiedGroup(string(own))
	if err != nil {
		return found, err
	}
	if err := k.makeRoom(group); err != nil {
		return found, fmt.Errorf("move the launcher to its own control group: %w", err)
	}
	found.path = filepath.Join(group, name)
	return found, nil
}

// unifiedGroup returns the group of version 2 in the text of /proc/PID/cgroup, without the launcher's leaf.
func unifiedGroup(text string) (string, error) {
	for _, line := range strings.Split(text, "\n") {
		if group, ok := strings.CutPrefix(line, "0::"); ok {
			return filepath.Join("/", strings.TrimSuffix(group, "/"+leaf)), nil
		}
	}
	return "", fmt.Errorf("no control group of version 2 in %q", text)
}

// makeRoom moves a group's processes aside, unless it is the root of the tree, which alone lacks this file. The root may
// have processes beside children with limits, and its kernel threads cannot be moved.
func (k kernelView) makeRoom(group string) error {
	path := filepath.Join(k.cgroups, group)
	_, err := os.Stat(filepath.Join(path, "cgroup.type"))
	if os.IsNotExist(err) && group == "/" {
		return nil
	}
	if err != nil {
		return err
	}
	return moveToLeaf(path)
}

// moveToLeaf moves every process of a group to its child for the launcher.
func moveToLeaf(group string) error {
	own := filepath.Join(group, leaf)
	if err := os.MkdirAll(own, 0o755); err != nil {
		return err
	}
	processes, err := os.ReadFile(filepath.Join(group, "cgroup.procs"))
	if err != nil {
		return err
	}
	for _, process := range strings.Fields(string(processes)) {
		if _, err := strconv.Atoi(process); err != nil {
			return fmt.Errorf("%q in cgroup.procs is not a process", process)
		}
		err := os.WriteFile(filepath.Join(own, "cgroup.procs"), []byte(process), 0)
		// It may have ended meanwhile.
		if err != nil && !strings.Contains(err.Error(), unix.ESRCH.Error()) {
			return err
		}
	}
	return nil
}

// environment returns what systemd has to be told. It gave version 1 up, and uses it only when it is asked to twice.
func (h hierarchy) environment() []string {
	const variable, silence = "SYSTEMD_PROC_CMDLINE=", "systemd.show_status=no quiet"
	if h.unified {
		return []string{variable + silence}
	}
	const force = "SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1"
	return []string{
		force, variable + "systemd.unified_cgroup_hierarchy=0 systemd.legacy_systemd_cgroup_controller=1 " + force + " " + silence,
	}
}
