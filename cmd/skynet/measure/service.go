package measure

import (
	"errors"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"skynet/runtime"
)

// nursery is a node with a service that launches others.
type nursery struct {
	host     *host
	launch   round
	launcher []*runtime.Address // the only one
	alone    int                // how many services there are without the launched ones
}

func newNursery() (*nursery, error) {
	h, launcher, err := load{script: "launcher.star", workers: 1, pairs: 1}.start()
	if err != nil {
		return nil, err
	}
	return &nursery{host: h, launch: h.shared(launcher, "launch"), launcher: launcher, alone: len(h.node.Services())}, nil
}

// clear ends what was launched, and waits.
func (n *nursery) clear() error {
	if err := n.host.each(n.launcher, "end"); err != nil {
		return err
	}
	for len(n.host.node.Services()) > n.alone {
		time.Sleep(time.Millisecond)
	}
	return nil
}

// launching prepares one service that launches others, one after the other. They are ended outside of the time.
func launching() (*rig, error) {
	nursery, err := newNursery()
	if err != nil {
		return nil, err
	}
	return &rig{close: nursery.host.close, round: func(n int) (float64, error) {
		cost, err := nursery.launch(n)
		return cost, errors.Join(err, nursery.clear())
	}}, nil
}

// idling measures what n idle services add to the resident memory of the process, for each of them. Every round has a
// fresh node: the memory of one that has had services would be used again.
func idling() (*rig, error) {
	return &rig{close: func() {}, round: func(n int) (float64, error) {
		nursery, err := newNursery()
		if err != nil {
			return 0, err
		}
		defer nursery.host.close()
		added, err := nursery.growth(n)
		return float64(added) / float64(n), errors.Join(err, nursery.clear())
	}}, nil
}

// growth launches n services and returns by how much the resident memory grew.
func (n *nursery) growth(services int) (int, error) {
	before, err := resident()
	if err != nil {
		return 0, err
	}
	if _, err := n.launch(services); err != nil {
		return 0, err
	}
	after, err := resident()
	return after - before, err
}

// resident is the resident memory of the process in bytes, after the garbage has been given back.
func resident() (int, error) {
	debug.FreeOSMemory()
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(text))
	if len(fields) < 2 {
		return 0, errors.New("/proc/self/statm: got fewer than 2 numbers")
	}
	pages, err := strconv.Atoi(fields[1])
	return pages * os.Getpagesize(), err
}
