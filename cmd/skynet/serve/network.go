package serve

import (
	"log/slog"
	"slices"
	"sync"

	"skynet/vnet"
	"skynet/vnet/real"
)

// Listening is an open port.
type Listening struct {
	Protocol string // vnet.TCP or vnet.KCP
	Address  string // with the real port
}

// network is the machine's network, which also notes and logs the ports that are opened.
type network struct {
	*real.Network
	log *slog.Logger

	mu   sync.Mutex
	open []Listening
}

// Listen implements [vnet.Network].
func (n *network) Listen(protocol, address string, accept func(vnet.Conn) vnet.Handler) (vnet.Listener, error) {
	l, err := n.Network.Listen(protocol, address, accept)
	if err != nil {
		return nil, err
	}
	n.log.Info("listening", "protocol", protocol, "address", l.Addr())
	n.mu.Lock()
	defer n.mu.Unlock()
	n.open = append(n.open, Listening{protocol, l.Addr()})
	return l, nil
}

// ports lists what was opened so far.
func (n *network) ports() []Listening {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.open)
}
