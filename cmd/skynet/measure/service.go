package measure

import (
	"errors"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"go.starlark.net/starlark"

	"skynet/runtime"
)

// goPair prepares two services written in Go that call as the scripts of the measurement "call" do.
func goPair() (*rig, error) {
	h, err := newHost(1, runtime.Cluster{}, "bench")
	if err != nil {
		return nil, err
	}
	_, err = h.launch("go-echo", "echo")
	if err != nil {
		h.close()
		return nil, err
	}
	callers, err := h.launchAll("go-caller", 1)
	if err != nil {
		h.close()
		return nil, err
	}
	return &rig{round: h.shared(callers, "calls"), close: h.close}, nil
}

// nursery is a node with a service that launches others.
type nursery struct {
	host     *host
	launch   round
	launcher []*runtime.Address // the only one
	alone    int                // how many services there are without the launched ones
}

func newNursery() (*nursery, error) {
	h, launch, err := talkers("launcher.star", "launch", 1, 1)
	if err != nil {
		return nil, err
	}
	services := h.node.Services()
	last := services[len(services)-1].Address()
	return &nursery{host: h, launch: launch, launcher: []*runtime.Address{last}, alone: len(services)}, nil
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

// idleServices is how many idle services share the memory that is measured.
const idleServices = 10_000

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

// lateTimers is how many timers one round of the lateness sets, and spread within how many seconds they are due.
const (
	lateTimers = 1000
	spread     = 0.1
)

// lateness measures by how many ms timers fire late, at the 99th percentile, in a service that does nothing else.
func lateness() (*rig, error) {
	h, err := newHost(1, runtime.Cluster{}, "bench")
	if err != nil {
		return nil, err
	}
	service, err := h.launch("timers.star", "")
	if err != nil {
		h.close()
		return nil, err
	}
	return &rig{close: h.close, round: func(n int) (float64, error) {
		v, err := h.node.Call(service, "lateness", starlark.Tuple{starlark.MakeInt(n), starlark.Float(spread)}, patience)
		if err != nil {
			return 0, err
		}
		seconds, _ := starlark.AsFloat(v)
		return seconds * 1e3, nil
	}}, nil
}
