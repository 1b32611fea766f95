package guest

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

const (
	loopMajor    = 7
	loopAttempts = 64
)

// section is a part of a file, in bytes; size 0 means up to the end.
type section struct {
	offset, size uint64
}

// loop is a loop device that the kernel frees when nobody has it open or mounted, so that a killed launcher leaves none.
type loop struct {
	file   *os.File
	number uint32
}

func (l *loop) path() string { return fmt.Sprintf("/dev/loop%d", l.number) }

// attach makes a loop device of a section of a file.
func attach(path string, part section, readOnly bool) (*loop, error) {
	mode, flags := os.O_RDWR, uint32(unix.LO_FLAGS_AUTOCLEAR)
	if readOnly {
		mode, flags = os.O_RDONLY, flags|unix.LO_FLAGS_READ_ONLY
	}
	backing, err := os.OpenFile(path, mode, 0)
	if err != nil {
		return nil, err
	}
	defer backing.Close()
	config := unix.LoopConfig{Fd: uint32(backing.Fd())}
	config.Info.Offset, config.Info.Sizelimit, config.Info.Flags = part.offset, part.size, flags
	copy(config.Info.File_name[:], path)
	control, err := os.OpenFile("/dev/loop-control", os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("loop devices: %w", err)
	}
	defer control.Close()
	for range loopAttempts {
		device, err := freeLoop(control, mode)
		if err != nil {
			return nil, err
		}
		err = unix.IoctlLoopConfigure(int(device.file.Fd()), &config)
		if err == nil {
			return device, nil
		}
		device.file.Close()
		// Another guest was quicker.
		if !errors.Is(err, unix.EBUSY) {
			return nil, fmt.Errorf("attach %s to %s: %w", path, device.path(), err)
		}
	}
	return nil, fmt.Errorf("no free loop device for %s after %d attempts", path, loopAttempts)
}

func freeLoop(control *os.File, mode int) (*loop, error) {
	number, err := unix.IoctlRetInt(int(control.Fd()), unix.LOOP_CTL_GET_FREE)
	if err != nil {
		return nil, fmt.Errorf("no free loop device: %w", err)
	}
	device := &loop{number: uint32(number)}
	// A container's /dev has the nodes of the devices that were there when it started.
	err = unix.Mknod(device.path(), unix.S_IFBLK|0o600, int(unix.Mkdev(loopMajor, device.number)))
	if err != nil && !errors.Is(err, unix.EEXIST) {
		return nil, fmt.Errorf("make %s: %w", device.path(), err)
	}
	device.file, err = os.OpenFile(device.path(), mode, 0)
	return device, err
}
