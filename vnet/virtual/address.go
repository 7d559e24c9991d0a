package virtual

import (
	"fmt"
	"strings"

	"skynet/vnet"
)

// Ports from firstEphemeral on are given to dialled streams and to listeners that ask for port 0.
const (
	firstEphemeral = 49152
	lastPort       = 65535
)

// parseAddress splits "host:port". The host is a node's name, or one of the ways to say "this host", which give "".
func parseAddress(address string) (host string, port int, err error) {
	colon := strings.LastIndexByte(address, ':')
	if colon < 0 {
		return "", 0, fmt.Errorf("%w: got %q, want host:port", vnet.ErrAddress, address)
	}
	if port, err = parsePort(address[colon+1:]); err != nil {
		return "", 0, err
	}
	host = address[:colon]
	if bare, ok := strings.CutPrefix(host, "["); ok {
		host, ok = strings.CutSuffix(bare, "]")
		if !ok {
			return "", 0, fmt.Errorf("%w: got %q, want a ] before the port", vnet.ErrAddress, address)
		}
	} else if strings.ContainsRune(host, ':') {
		return "", 0, fmt.Errorf("%w: got %q, want [host]:port for a host with a colon", vnet.ErrAddress, address)
	}
	switch host {
	case "0.0.0.0", "127.0.0.1", "localhost", "::", "::1":
		host = ""
	}
	return host, port, nil
}

func parsePort(s string) (int, error) {
	port := 0
	for _, digit := range []byte(s) {
		if digit < '0' || digit > '9' || port > lastPort {
			port = lastPort + 1
			break
		}
		port = 10*port + int(digit-'0')
	}
	if s == "" || port > lastPort {
		return 0, fmt.Errorf("%w: got port %q, want 0 to %d", vnet.ErrAddress, s, lastPort)
	}
	return port, nil
}
