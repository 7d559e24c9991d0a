package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"os"
)

// whole tells whether the bbolt file at path is as long as it says. bbolt maps it into memory and does not look: to read
// beyond the end of a file that was cut short is a fault that ends the process.
//
// Whatever else is wrong with the file is left to bbolt, which checks it, and so is a file that is not there.
func whole(path string) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	newest := newestMeta(f)
	info, err := f.Stat() // after the pages were read: who has the file open makes it longer first
	if err != nil || newest.size <= uint64(info.Size()) {
		return err
	}
	return fmt.Errorf("the file is cut short: got %d bytes, want %d", info.Size(), newest.size)
}

// meta is what whole wants to know of a meta page, of which a file has two.
type meta struct{ tx, size uint64 }

// newestMeta is the meta page that bbolt will use. Where there is none it says that nothing is needed.
func newestMeta(f *os.File) (newest meta) {
	at := int64(0)
	for range 2 {
		page := make([]byte, 80)
		if _, err := f.ReadAt(page, at); err != nil {
			return newest
		}
		at = int64(os.Getpagesize())
		if m, ok := readMeta(page); ok {
			at = int64(binary.NativeEndian.Uint32(page[24:]))
			if m.tx >= newest.tx {
				newest = m
			}
		}
	}
	return newest
}

// readMeta reads the first bytes of a page: a header of 16 bytes, then magic, version, page size and flags of 4 bytes
// each, root bucket (16), freelist (8), high water mark in pages (8), transaction (8) and the checksum of all that (8).
func readMeta(page []byte) (meta, bool) {
	const magic = 0xED0CDAED
	u64 := func(at int) uint64 { return binary.NativeEndian.Uint64(page[at:]) }
	sum := fnv.New64a()
	sum.Write(page[16:72])
	if binary.NativeEndian.Uint32(page[16:]) != magic || sum.Sum64() != u64(72) {
		return meta{}, false
	}
	return meta{tx: u64(64), size: u64(56) * uint64(binary.NativeEndian.Uint32(page[24:]))}, true
}
