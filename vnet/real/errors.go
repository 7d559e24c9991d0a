package real

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"

	"skynet/vnet"
)

// mapError wraps err in the reason of package vnet that callers test for; what has none is passed on.
func mapError(err error) error {
	if err == nil || isReason(err) {
		return err
	}
	if reason := reasonOf(err); reason != nil {
		if errno, ok := errors.AsType[syscall.Errno](err); ok && errno.Error() == reason.Error() {
			return reason // the system's words are the same
		}
		return fmt.Errorf("%w (%v)", reason, err)
	}
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return op.Err // callers have named the operation and the address
	}
	return err
}

func isReason(err error) bool {
	for _, reason := range []error{vnet.ErrRefused, vnet.ErrReset, vnet.ErrTimeout, vnet.ErrClosed, vnet.ErrAddress} {
		if errors.Is(err, reason) {
			return true
		}
	}
	return false
}

func reasonOf(err error) error {
	var dns *net.DNSError
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return vnet.ErrRefused
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), errors.Is(err, syscall.ECONNABORTED):
		return vnet.ErrReset
	case errors.Is(err, syscall.ETIMEDOUT), errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH),
		errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		return vnet.ErrTimeout
	case errors.Is(err, net.ErrClosed), errors.Is(err, io.ErrClosedPipe), errors.Is(err, context.Canceled):
		return vnet.ErrClosed
	case errors.As(err, &dns) && dns.IsNotFound, errors.Is(err, syscall.EADDRNOTAVAIL):
		return vnet.ErrAddress
	}
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		return vnet.ErrTimeout
	}
	return nil
}
