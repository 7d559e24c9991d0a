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
	open []*noted // in the order in which they were opened
}

// noted is a listener that its network knows of until it is closed.
type noted struct {
	vnet.Listener
	network  *network
	protocol string
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
	port := &noted{l, n, protocol}
	n.open = append(n.open, port)
	return port, nil
}

// Close implements [vnet.Listener].
func (l *noted) Close() error {
	n := l.network
	n.mu.Lock()
	n.open = slices.DeleteFunc(n.open, func(other *noted) bool { return other == l })
	n.mu.Unlock()
	return l.Listener.Close()
}

// ports lists what is open.
func (n *network) ports() (open []Listening) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, l := range n.open {
		open = append(open, Listening{l.protocol, l.Addr()})
	}
	return open
}
