package guest

import (
	"encoding/binary"
	"fmt"
	"io"
)

const (
	sectorBytes       = 512
	partitionEntries  = 128
	partitionEntry    = 128
	entryFirst        = 32
	entryLast         = 40
	partitionTable    = 2 * sectorBytes
	partitionMagic    = "EFI PART"
	partitionMagicPos = sectorBytes
)

// lastPartition finds the last partition of a disk with a GPT: there the node image has its root file system.
func lastPartition(disk io.ReaderAt) (section, error) {
	magic := make([]byte, len(partitionMagic))
	if _, err := disk.ReadAt(magic, partitionMagicPos); err != nil {
		return section{}, fmt.Errorf("read the partition table: %w", err)
	}
	if string(magic) != partitionMagic {
		return section{}, fmt.Errorf("not a node image: no partition table (GPT) but %q", magic)
	}
	var found section
	for number := range int64(partitionEntries) {
		entry := make([]byte, partitionEntry)
		if _, err := disk.ReadAt(entry, partitionTable+number*partitionEntry); err != nil {
			return section{}, fmt.Errorf("read partition %d: %w", number+1, err)
		}
		first := binary.LittleEndian.Uint64(entry[entryFirst:])
		last := binary.LittleEndian.Uint64(entry[entryLast:])
		if first != 0 && first*sectorBytes > found.offset {
			found = section{offset: first * sectorBytes, size: (last - first + 1) * sectorBytes}
		}
	}
	if found.size == 0 {
		return section{}, fmt.Errorf("not a node image: its partition table is empty")
	}
	return found, nil
}
