//go:build linux && !gopoll && !race

package real

import (
	"syscall"
	"unsafe"
)

// readNow and writeNow are read(2) and write(2) on a socket that does not block. Unlike [syscall.Read] they do not tell Go's scheduler
// that a system call has begun and ended, which is for those that take long.

func readNow(fd int, p []byte) (int, error)  { return callNow(syscall.SYS_READ, fd, p) }
func writeNow(fd int, p []byte) (int, error) { return callNow(syscall.SYS_WRITE, fd, p) }

func callNow(number uintptr, fd int, p []byte) (int, error) {
	n, _, err := syscall.RawSyscall(number, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)))
	if err != 0 {
		return -1, err
	}
	return int(n), nil
}
