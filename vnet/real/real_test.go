package real_test

import (
	"testing"

	"go.uber.org/goleak"

	"skynet/vnet"
	"skynet/vnet/real"
	"skynet/vnet/vnettest"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, // kcp-go's global timers never end
		goleak.IgnoreTopFunction("github.com/xtaci/kcp-go/v5.(*TimedSched).sched"),
		goleak.IgnoreTopFunction("github.com/xtaci/kcp-go/v5.(*TimedSched).prepend"))
}

func world(protocol string) func(t *testing.T) *vnettest.World {
	return func(*testing.T) *vnettest.World {
		return &vnettest.World{
			Protocol: protocol, Address: "127.0.0.1:0", Silent: protocol == vnet.KCP,
			Server: real.New(real.Options{}), Client: real.New(real.Options{}),
		}
	}
}

func TestTCP(t *testing.T) { vnettest.Run(t, world(vnet.TCP)) }
func TestKCP(t *testing.T) { vnettest.Run(t, world(vnet.KCP)) }
func TestUDP(t *testing.T) { vnettest.RunPackets(t, world(vnet.UDP)) }
