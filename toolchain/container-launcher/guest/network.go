package guest

import (
	"fmt"
	"net"
	"os"
	"runtime"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
	"kubevirt.io/kubevirt/pkg/network/driver/ethtool"
)

const interfaceName = "eth0"

// plug makes a network namespace whose eth0 is a port of the bridge.
//
// The namespace lives as long as the returned file is open or a process is in it.
func plug(where Network) (netns.NsHandle, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	outside, err := netns.Get()
	if err != nil {
		return -1, err
	}
	defer outside.Close()
	inside, err := netns.New()
	if err != nil {
		return -1, fmt.Errorf("make a network namespace: %w", err)
	}
	defer func() {
		if err := netns.Set(outside); err != nil {
			panic(fmt.Sprintf("thread cannot leave the guest's network namespace: %v", err))
		}
	}()
	if where.Bridge == "" {
		return inside, nil
	}
	if err := connect(where, outside, inside); err != nil {
		inside.Close()
		return -1, fmt.Errorf("plug eth0 into bridge %s: %w", where.Bridge, err)
	}
	// Let the guest compute its checksums. A NAT on the way would take the half-made one of a packet inside VXLAN for the
	// outer packet's, and break it.
	if err := (ethtool.Ethtool{}).TXChecksumOff(interfaceName); err != nil {
		inside.Close()
		return -1, fmt.Errorf("checksums of eth0: %w", err)
	}
	return inside, nil
}

func connect(where Network, outside, inside netns.NsHandle) error {
	address, err := net.ParseMAC(where.MAC)
	if err != nil {
		return err
	}
	// By default it wants IPsec as well, which a kernel may lack.
	links, err := netlink.NewHandleAt(outside, unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer links.Close()
	bridge, err := links.LinkByName(where.Bridge)
	if err != nil {
		return err
	}
	attributes := netlink.NewLinkAttrs()
	// The last four octets: a name has at most 15 characters.
	attributes.Name = fmt.Sprintf("guest%x", []byte(address[2:]))
	attributes.MTU, attributes.MasterIndex = bridge.Attrs().MTU, bridge.Attrs().Index
	// After a reboot the kernel may not yet have removed the one before.
	if old, err := links.LinkByName(attributes.Name); err == nil {
		_ = links.LinkDel(old)
	}
	pair := &netlink.Veth{
		LinkAttrs:        attributes,
		PeerName:         interfaceName,
		PeerHardwareAddr: address,
		PeerNamespace:    netlink.NsFd(inside),
	}
	if err := links.LinkAdd(pair); err != nil {
		return err
	}
	return links.LinkSetUp(pair)
}

// pathOf names an open namespace for another process.
func pathOf(namespace netns.NsHandle) string {
	return fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), int(namespace))
}
