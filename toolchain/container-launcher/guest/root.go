package guest

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	exportPatience = 30 * time.Second
	exportPoll     = 10 * time.Millisecond
)

// rootDisk is the node image's root file system, mounted read-only.
//
// A qcow2 has to be read by QEMU's block layer: its storage daemon shows the content as a file (FUSE), and a loop device
// makes a disk of that. It starts in a fraction of the time of a conversion, and takes no space.
type rootDisk struct {
	daemon *exec.Cmd
	image  string
	raw    string
}

// mountRootDisk mounts the root file system of a node image at WORK/image.
func mountRootDisk(disk, work string) (r *rootDisk, err error) {
	r = &rootDisk{image: filepath.Join(work, "image"), raw: filepath.Join(work, "disk.raw")}
	defer func() {
		if err != nil {
			r.release()
		}
	}()
	if err := os.MkdirAll(r.image, 0o755); err != nil {
		return r, err
	}
	if err := r.export(disk); err != nil {
		return r, fmt.Errorf("export %s: %w", disk, err)
	}
	raw, err := os.Open(r.raw)
	if err != nil {
		return r, err
	}
	part, err := lastPartition(raw)
	raw.Close()
	if err != nil {
		return r, err
	}
	device, err := attach(r.raw, part, true)
	if err != nil {
		return r, err
	}
	// From here on the mount keeps the device.
	defer device.file.Close()
	if err := unix.Mount(device.path(), r.image, "ext4", unix.MS_RDONLY|unix.MS_NOATIME, ""); err != nil {
		return r, fmt.Errorf("mount the root file system of %s: %w", disk, err)
	}
	return r, nil
}

// export starts the storage daemon and waits until the file has the disk's content.
func (r *rootDisk) export(disk string) error {
	if err := os.WriteFile(r.raw, nil, 0o600); err != nil {
		return err
	}
	var said bytes.Buffer
	r.daemon = exec.Command("qemu-storage-daemon",
		"--blockdev", "driver=file,node-name=file,read-only=on,locking=off,filename="+escape(disk),
		"--blockdev", "driver=qcow2,node-name=disk,read-only=on,file=file",
		"--export", "type=fuse,id=disk,node-name=disk,writable=off,mountpoint="+escape(r.raw))
	r.daemon.Stdout, r.daemon.Stderr = &said, &said
	if err := r.daemon.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- r.daemon.Wait() }()
	for deadline := time.Now().Add(exportPatience); time.Now().Before(deadline); time.Sleep(exportPoll) {
		select {
		case err := <-ended:
			return fmt.Errorf("qemu-storage-daemon: %w: %s", err, strings.TrimSpace(said.String()))
		default:
		}
		if seen, err := os.Stat(r.raw); err == nil && seen.Size() > 0 {
			return nil
		}
	}
	return fmt.Errorf("qemu-storage-daemon did not export it in %s", exportPatience)
}

// escape doubles commas, which separate QEMU's options.
func escape(path string) string { return strings.ReplaceAll(path, ",", ",,") }

// release unmounts the file system and ends the daemon; both were made by mountRootDisk, or were not reached.
func (r *rootDisk) release() {
	_ = unix.Unmount(r.image, unix.MNT_DETACH)
	_ = unix.Unmount(r.raw, unix.MNT_DETACH)
	if r.daemon != nil && r.daemon.Process != nil {
		_ = r.daemon.Process.Signal(syscall.SIGTERM)
	}
}

// overlay puts a file system in memory over the image, as the initrd of a virtual machine does; it returns the root.
func (r *rootDisk) overlay(work string) (string, error) {
	memory, root := filepath.Join(work, "memory"), filepath.Join(work, "root")
	for _, folder := range []string{memory, root} {
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return "", err
		}
	}
	if err := unix.Mount("tmpfs", memory, "tmpfs", 0, "mode=0755"); err != nil {
		return "", fmt.Errorf("mount the memory of the root file system: %w", err)
	}
	upper, scratch := filepath.Join(memory, "upper"), filepath.Join(memory, "work")
	for _, folder := range []string{upper, scratch} {
		if err := os.Mkdir(folder, 0o755); err != nil {
			return "", err
		}
	}
	options := fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s", r.image, upper, scratch)
	if err := unix.Mount("overlay", root, "overlay", 0, options); err != nil {
		return "", fmt.Errorf("mount the overlay: %w", err)
	}
	return root, nil
}

// dropOverlay ends what overlay made, with everything that the guest wrote there.
func dropOverlay(work string) {
	_ = unix.Unmount(filepath.Join(work, "root"), unix.MNT_DETACH)
	_ = unix.Unmount(filepath.Join(work, "memory"), unix.MNT_DETACH)
}
