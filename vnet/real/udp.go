package real

import (
	"errors"
	"fmt"
	"net"

	"skynet/vnet"
)

// ListenPacket implements [vnet.Network].
func (n *Network) ListenPacket(protocol, address string, h vnet.PacketHandler) (vnet.PacketConn, error) {
	if protocol != vnet.UDP {
		return nil, fmt.Errorf("vnet: listen %s: %w: got protocol %q, want %q",
			address, vnet.ErrAddress, protocol, vnet.UDP)
	}
	if err := checkAddress(address, true); err != nil {
		return nil, fmt.Errorf("vnet: listen udp %q: %w", address, err)
	}
	conn, err := net.ListenPacket("udp", address)
	if err != nil {
		return nil, fmt.Errorf("vnet: listen udp %s: %w", address, mapError(err))
	}
	c := &packetConn{net: n, id: n.ids.Add(1), conn: conn.(*net.UDPConn), handler: h}
	if !n.open(c.id, c) {
		conn.Close()
		return nil, fmt.Errorf("vnet: listen udp %s: %w", address, vnet.ErrClosed)
	}
	go c.run()
	return c, nil
}

type packetConn struct {
	net     *Network
	id      uint64
	conn    *net.UDPConn
	handler vnet.PacketHandler
}

// ID implements [vnet.PacketConn].
func (c *packetConn) ID() uint64 { return c.id }

// LocalAddr implements [vnet.PacketConn].
func (c *packetConn) LocalAddr() string { return c.conn.LocalAddr().String() }

// WriteTo implements [vnet.PacketConn]. The address must be numeric, since a look-up would block; "localhost" is
// understood.
func (c *packetConn) WriteTo(p []byte, to string) error {
	address, err := parseAddrPort(to)
	if err != nil {
		return fmt.Errorf("vnet: write udp %q: %w", to, err)
	}
	if _, err := c.conn.WriteToUDPAddrPort(p, address); err != nil {
		return fmt.Errorf("vnet: write udp %s: %w", to, mapError(err))
	}
	return nil
}

// Close implements [vnet.PacketConn].
func (c *packetConn) Close() error {
	c.net.shut(c.id)
	return ignoreClosed(c.conn.Close())
}

// run reads datagrams until the socket is closed. Other errors are reports about datagrams sent earlier (an ICMP
// "port unreachable"), which UDP does not promise to tell.
func (c *packetConn) run() {
	defer c.net.running.Done()
	buffer := make([]byte, 1<<16)
	for {
		n, from, err := c.conn.ReadFromUDPAddrPort(buffer)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err == nil {
			work := c.net.options.lend()
			c.handler.Packet(c, formatAddrPort(from), buffer[:n])
			returned(work)
		}
	}
}
