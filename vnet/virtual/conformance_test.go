package virtual_test

import (
	"testing"
	"time"

	"skynet/sched"
	"skynet/sched/stepper"
	"skynet/vnet"
	"skynet/vnet/virtual"
	"skynet/vnet/vnettest"
)

func world(protocol string, link virtual.Link) func(t *testing.T) *vnettest.World {
	return func(*testing.T) *vnettest.World {
		s := stepper.New(stepper.Options{Seed: 1, Strategy: stepper.Random(sched.NewStream(1, "strategy"))})
		f := virtual.New(s, virtual.Options{Seed: 1})
		f.SetDefault(link)
		return &vnettest.World{
			Protocol: protocol, Address: "b:0", Silent: protocol == vnet.KCP,
			Client: f.Host(0, "a"), Server: f.Host(1, "b"),
			Run: func(stop func() bool) bool {
				return s.Run(s.Now().Add(time.Hour), stop) == stepper.Stopped
			},
		}
	}
}

var (
	calm  = virtual.Link{Latency: virtual.Constant(time.Millisecond)}
	rough = virtual.Link{
		Latency: virtual.Lognormal(2*time.Millisecond, 30*time.Millisecond), Loss: 50_000, Bandwidth: 20 << 20,
	}
)

func TestTCP(t *testing.T)      { vnettest.Run(t, world(vnet.TCP, calm)) }
func TestTCPRough(t *testing.T) { vnettest.Run(t, world(vnet.TCP, rough)) }
func TestKCP(t *testing.T)      { vnettest.Run(t, world(vnet.KCP, calm)) }
func TestUDP(t *testing.T)      { vnettest.RunPackets(t, world(vnet.UDP, calm)) }
