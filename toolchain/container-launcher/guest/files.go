package guest

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

const kibi = 1024

// writeGround writes the folder by which a guest's scripts know that they run in a container.
func writeGround(folder string, disks map[string]*loop) error {
	if err := os.RemoveAll(folder); err != nil {
		return err
	}
	places := filepath.Join(folder, filepath.Base(placeDisks))
	for _, path := range []string{places, filepath.Join(folder, filepath.Base(placeCredentials))} {
		if err := os.MkdirAll(path, 0o755); err != nil {
			return err
		}
	}
	for serial, device := range disks {
		if err := os.Symlink(device.path(), filepath.Join(places, serial)); err != nil {
			return err
		}
	}
	return nil
}

// writeIdentity writes machine-id and cloud-init's source into the guest's root.
func writeIdentity(root string, spec Spec) error {
	machineID := strings.ToLower(strings.ReplaceAll(spec.UUID, "-", ""))
	if err := os.WriteFile(filepath.Join(root, "etc/machine-id"), []byte(machineID+"\n"), 0o444); err != nil {
		return err
	}
	seed := filepath.Join(root, placeSeed)
	if err := os.MkdirAll(seed, 0o700); err != nil {
		return err
	}
	for name, content := range spec.Seed {
		if err := os.WriteFile(filepath.Join(seed, name), []byte(content), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// writeMemory writes a /proc/meminfo whose total is the guest's limit: kubelet takes the node's size from it.
func writeMemory(path string, limit int64) error {
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return err
	}
	return os.WriteFile(path, limitMemory(text, limit), 0o444)
}

func limitMemory(meminfo []byte, limit int64) []byte {
	for _, key := range []string{"MemTotal", "MemFree", "MemAvailable"} {
		line := fmt.Sprintf("%-15s %8d kB", key+":", limit/kibi)
		meminfo = regexp.MustCompile("(?m)^"+key+": .*$").ReplaceAll(meminfo, []byte(line))
	}
	return meminfo
}
