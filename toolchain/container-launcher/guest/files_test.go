package guest

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// disk returns a disk with a GPT; each pair is a partition's first and last sector.
func disk(pairs ...[2]uint64) *bytes.Reader {
	content := make([]byte, 1<<20)
	copy(content[sectorBytes:], partitionMagic)
	for number, pair := range pairs {
		entry := content[partitionTable+number*partitionEntry:]
		binary.LittleEndian.PutUint64(entry[entryFirst:], pair[0])
		binary.LittleEndian.PutUint64(entry[entryLast:], pair[1])
	}
	return bytes.NewReader(content)
}

func TestTheLastPartitionIsFound(t *testing.T) {
	found, err := lastPartition(disk([2]uint64{2048, 4095}, [2]uint64{8192, 8193}, [2]uint64{4096, 8191}))
	if err != nil || found != (section{offset: 8192 * 512, size: 1024}) {
		t.Errorf("found %+v, %v", found, err)
	}
}

func TestADiskWithoutPartitionsIsRefused(t *testing.T) {
	for name, content := range map[string]*bytes.Reader{
		"no table": bytes.NewReader(make([]byte, 1<<20)), "empty table": disk(), "short": bytes.NewReader([]byte("x")),
	} {
		if found, err := lastPartition(content); err == nil {
			t.Errorf("%s: found %+v", name, found)
		}
	}
}

func TestMemoryIsTheLimit(t *testing.T) {
	text := string(limitMemory([]byte("MemTotal:       24000000 kB\nMemFree: 1 kB\nMemAvailable: 2 kB\nSwapTotal: 0 kB\n"), 3<<30))
	for _, line := range []string{"MemTotal:        3145728 kB\n", "MemAvailable:    3145728 kB\n", "SwapTotal: 0 kB\n"} {
		if !strings.Contains(text, line) {
			t.Errorf("%q lacks %q", text, line)
		}
	}
}

func TestTheGroundNamesDisksBySerial(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "ground")
	for range 2 { // the second boot finds the files of the first
		if err := writeGround(folder, map[string]*loop{"kinky-data": {number: 9}}); err != nil {
			t.Fatal(err)
		}
	}
	if target, err := os.Readlink(filepath.Join(folder, "disk", "kinky-data")); err != nil || target != "/dev/loop9" {
		t.Errorf("kinky-data is %q, %v", target, err)
	}
}

func TestIdentityComesFromTheFirmware(t *testing.T) {
	root := t.TempDir()
	if err := os.MkdirAll(filepath.Join(root, "etc"), 0o755); err != nil {
		t.Fatal(err)
	}
	spec := Spec{UUID: "6B6F2F4E-1111-5222-8333-444455556666", Seed: map[string]string{"user-data": "#cloud-config\n"}}
	if err := writeIdentity(root, spec); err != nil {
		t.Fatal(err)
	}
	for path, wanted := range map[string]string{
		"etc/machine-id": "6b6f2f4e111152228333444455556666\n", "var/lib/cloud/seed/nocloud/user-data": "#cloud-config\n",
	} {
		if content, err := os.ReadFile(filepath.Join(root, path)); err != nil || string(content) != wanted {
			t.Errorf("%s holds %q, %v", path, content, err)
		}
	}
}

func TestTheConfigurationKeepsTheMachineFromTheGuest(t *testing.T) {
	config := bundle{spec: Spec{Work: "/w"}, network: "/proc/1/fd/3", capabilities: []string{"CAP_CHOWN"}}.configuration()
	places := map[string][]string{}
	for _, mount := range config.Mounts {
		places[mount.Destination] = append(mount.Options, mount.Source)
	}
	for place, option := range map[string]string{"/proc/sys": "ro", "/sys": "ro", "/dev/kmsg": "/dev/null", "/.image": "ro"} {
		if !strings.Contains(strings.Join(places[place], " "), option) {
			t.Errorf("%s is mounted with %v", place, places[place])
		}
	}
	if _, ok := places[placeCredentials]; ok {
		t.Error("credentials are mounted though there are none")
	}
	if !strings.Contains(strings.Join(config.Linux.MaskedPaths, " "), "/proc/sysrq-trigger") {
		t.Error("sysrq is not masked")
	}
	if len(config.Linux.Seccomp.Syscalls) != 1 || config.Linux.Seccomp.Syscalls[0].Names[0] != "syslog" {
		t.Error("the kernel's log can be read")
	}
	own, err := readCapabilities()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range own {
		if name == "CAP_SYS_MODULE" || name == "CAP_SYSLOG" || name == "CAP_SYS_TIME" {
			t.Errorf("the guest has %s", name)
		}
	}
}

func TestAnEndIsKnownByItsStatus(t *testing.T) {
	for status, wanted := range map[int]End{130: PoweredOff, 129: Rebooted, 137: Crashed, 1: Crashed, 0: Crashed} {
		if end := endOf(status); end != wanted {
			t.Errorf("status %d is end %d", status, end)
		}
	}
}
