// Package guest runs the root file system of a node image as a system container of crun.
package guest

// Spec says what a guest is made of.
type Spec struct {
	// Name is the guest's host name, and its name as a container.
	Name string
	// UUID is the firmware's; the guest's machine-id follows from it.
	UUID string
	// RootImage is the disk of the node image (qcow2); its last partition holds the root file system.
	RootImage string
	// Disks maps a disk's serial to the raw file with its content.
	Disks map[string]string
	// Credentials is the folder with the node's credentials; empty if it has none.
	Credentials string
	// Seed maps a file name of cloud-init's NoCloud source to its content.
	Seed map[string]string
	// Network says where the guest is plugged in.
	Network Network
	// MemoryBytes and CPUs are limits; 0 is none.
	MemoryBytes int64
	CPUs        int64
	// ConsoleLog gets everything that the guest writes to its console; ConsoleSocket serves it.
	ConsoleLog, ConsoleSocket string
	// Work is a folder for files that die with the guest.
	Work string
}

// Network is the bridge that the guest's eth0 is plugged into, and its address there.
type Network struct {
	Bridge string
	MAC    string
}

// End says how a guest came to its end.
type End int

const (
	// Crashed: its init died.
	Crashed End = iota
	// PoweredOff: it powered itself off.
	PoweredOff
	// Rebooted: it wants to be started again.
	Rebooted
)

// Places in the guest that its scripts know (node-image/files/usr/lib/kinky/ground-container).
const (
	placeGround      = "/run/kinky-container"
	placeDisks       = placeGround + "/disk"
	placeCredentials = placeGround + "/credentials"
	placeImage       = "/.image"
	placeSeed        = "/var/lib/cloud/seed/nocloud"
)
