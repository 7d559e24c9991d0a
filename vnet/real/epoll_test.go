//go:build linux && !gopoll

package real_test

import (
	"io"
	"net"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"skynet/vnet"
	"skynet/vnet/real"
)

// TestStalledHandlingKeepsNobodyFromTheSockets has what the network lends block, once for each processor and once more: the
// connections get their echoes nevertheless, those whose bytes came with it included.
func TestStalledHandlingKeepsNobodyFromTheSockets(t *testing.T) {
	stalls := runtime.GOMAXPROCS(0) + 1
	release := make(chan struct{})
	var mu sync.Mutex
	stalled := 0
	n := real.New(real.Options{Lend: func() func() {
		return func() {
			mu.Lock()
			stall := stalled < stalls
			if stall {
				stalled++
			}
			mu.Unlock()
			if stall {
				<-release
			}
		}
	}})
	l, err := n.Listen(vnet.TCP, "127.0.0.1:0", func(vnet.Conn) vnet.Handler { return echo{} })
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	for range 4 * stalls {
		c, err := net.Dial("tcp", l.Addr())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		running.Go(func() {
			c.SetDeadline(time.Now().Add(time.Minute))
			var word [16]byte
			for range 20 {
				if _, err := c.Write(word[:]); err != nil {
					t.Error(err)
					return
				}
				if _, err := io.ReadFull(c, word[:]); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	running.Wait()
	mu.Lock()
	if stalled != stalls {
		t.Errorf("%d calls have blocked, want %d", stalled, stalls)
	}
	mu.Unlock()
	close(release)
	n.Close()
}

// echoServer listens with pollers that have all been used.
func echoServer(t *testing.T) vnet.Listener {
	n := real.New(real.Options{})
	t.Cleanup(func() { n.Close() })
	l, err := n.Listen(vnet.TCP, "127.0.0.1:0", func(vnet.Conn) vnet.Handler { return echo{} })
	if err != nil {
		t.Fatal(err)
	}
	for range runtime.GOMAXPROCS(0) {
		wantEcho(t, dial(t, l), "warm")
	}
	return l
}

func dial(t *testing.T, l vnet.Listener) *net.TCPConn {
	c, err := net.Dial("tcp", l.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(time.Minute))
	return c.(*net.TCPConn)
}

func wantEcho(t *testing.T, c net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(text))
	if n, err := io.ReadFull(c, got); err != nil || string(got) != text {
		t.Fatalf("echo: got %q, %v, want %q", got[:n], err, text)
	}
}

// TestUrgentData: urgent data, which read(2) stops at, is skipped, and what follows it is read without anything more to come.
func TestUrgentData(t *testing.T) {
	c := dial(t, echoServer(t))
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	for range 200 {
		if _, err := io.WriteString(c, "abc"); err != nil {
			t.Fatal(err)
		}
		raw.Control(func(fd uintptr) { err = unix.Send(int(fd), []byte("X"), unix.MSG_OOB) })
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(c, "def"); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, 6)
		if n, err := io.ReadFull(c, got); err != nil || string(got) != "abcdef" {
			t.Fatalf("got %q, %v, want %q", got[:n], err, "abcdef")
		}
	}
}

// TestAcceptWithOneDescriptorLeft: a connection that can be accepted and no more waits for a second descriptor.
func TestAcceptWithOneDescriptorLeft(t *testing.T) {
	l := echoServer(t)
	var before unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	defer unix.Setrlimit(unix.RLIMIT_NOFILE, &before)
	var files []int
	open := func() error {
		fd, err := unix.Open(os.DevNull, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err == nil {
			files = append(files, fd)
		}
		return err
	}
	give := func() (fd int) {
		fd = files[len(files)-1]
		files = files[:len(files)-1]
		unix.Close(fd)
		return fd
	}
	if err := open(); err != nil {
		t.Fatal(err)
	}
	limit := before
	limit.Cur = uint64(files[0]) + 16
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	var err error
	for err == nil {
		err = open()
	}
	if err != unix.EMFILE {
		t.Fatalf("open: got %v, want %v", err, unix.EMFILE)
	}
	defer func() {
		for len(files) > 0 {
			give()
		}
	}()
	given := [2]int{give(), give()} // for the client, and to accept
	c := dial(t, l)
	if _, err := io.WriteString(c, "x"); err != nil {
		t.Fatal(err)
	}
	used := func(fd int) bool {
		_, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
		return err == nil
	}
	for end := time.Now().Add(10 * time.Second); !used(given[0]) || !used(given[1]); runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatal("the connection was not accepted, or closed at once")
		}
	}
	give()
	got := make([]byte, 1)
	if _, err := io.ReadFull(c, got); err != nil {
		t.Errorf("echo: got %v, want it once there is a descriptor", err)
	}
}
