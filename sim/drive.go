package sim

import (
	"skynet/runtime/store"
	"skynet/sim/disk"
)

// drive is a node's store: its disk, which faults may make fail.
type drive struct {
	store.Store
	machine *machine
}

// fails reports the error of an operation while a fault is on, and counts it for each of them.
func (d *drive) fails() error {
	if len(d.machine.diskFaults) == 0 {
		return nil
	}
	for _, f := range d.machine.diskFaults {
		f.effects.DiskErrors++
	}
	return disk.ErrInjected
}

func (d *drive) Get(key string) ([]byte, bool, error) {
	if err := d.fails(); err != nil {
		return nil, false, err
	}
	return d.Store.Get(key)
}

func (d *drive) Scan(prefix, from string, limit int) ([]store.Entry, error) {
	if err := d.fails(); err != nil {
		return nil, err
	}
	return d.Store.Scan(prefix, from, limit)
}

func (d *drive) Apply(batch []store.Op) error {
	if err := d.fails(); err != nil {
		return err
	}
	return d.Store.Apply(batch)
}

func (d *drive) Sync() error {
	if err := d.fails(); err != nil {
		return err
	}
	return d.Store.Sync()
}
