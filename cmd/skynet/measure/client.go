package measure

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// Client is the body of the process that [Options.Client] starts: the clients of an echo server, which no server has in its own
// process, where they would share a scheduler with it. The first line of in is the server's address and the number of connections;
// each further line, a number of echoes, makes a round that the connections share, and prints to out the ns that one took. It
// returns at the end of in, or with the first error.
func Client(in io.Reader, out io.Writer) error {
	lines := bufio.NewScanner(in)
	if !lines.Scan() {
		return lines.Err()
	}
	var address string
	var n int
	if _, err := fmt.Sscan(lines.Text(), &address, &n); err != nil || n < 1 {
		return fmt.Errorf("got %q, want an address and a number of connections", lines.Text())
	}
	conns, err := connect(address, n)
	defer func() {
		for _, c := range conns {
			c.Close()
		}
	}()
	if err != nil {
		return err
	}
	for lines.Scan() {
		var echoes int
		if _, err := fmt.Sscan(lines.Text(), &echoes); err != nil || echoes < 1 {
			return fmt.Errorf("got %q, want a number of echoes", lines.Text())
		}
		cost, err := bounceAll(conns, max(1, echoes/n))
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintln(out, cost); err != nil {
			return err
		}
	}
	return lines.Err()
}

func connect(address string, n int) (conns []net.Conn, err error) {
	for range n {
		c, err := net.DialTimeout("tcp", address, patience)
		if err != nil {
			return conns, err
		}
		conns = append(conns, c)
	}
	return conns, nil
}

// bounceAll makes n echoes on each connection, all connections at the same time, and returns what one took.
func bounceAll(conns []net.Conn, n int) (float64, error) {
	errs := make([]error, len(conns))
	var running sync.WaitGroup
	begun := time.Now()
	for i, c := range conns {
		running.Go(func() { errs[i] = bounce(c, n) })
	}
	running.Wait()
	return per(time.Since(begun), n*len(conns)), errors.Join(errs...)
}

// bounce sends 16 bytes and waits for them, n times.
func bounce(c net.Conn, n int) error {
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	var buf [16]byte
	for range n {
		if _, err := c.Write(buf[:]); err != nil {
			return err
		}
		if _, err := io.ReadFull(c, buf[:]); err != nil {
			return err
		}
	}
	return nil
}

// startClients starts a process whose n connections to address make the echoes of the round that it returns.
func startClients(open *closers, process *exec.Cmd, address string, n int) (round, error) {
	in, err := process.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := process.StdoutPipe()
	if err != nil {
		return nil, err
	}
	var complaint strings.Builder
	process.Stderr = &complaint
	if err := process.Start(); err != nil {
		return nil, fmt.Errorf("start the clients: %w", err)
	}
	wait := sync.OnceValue(func() error {
		in.Close()
		return process.Wait()
	})
	open.push(func() { wait() })
	answers := bufio.NewScanner(out)
	if _, err := fmt.Fprintln(in, address, n); err != nil {
		return nil, fmt.Errorf("the clients: %w", err)
	}
	return func(total int) (cost float64, err error) {
		if _, err = fmt.Fprintln(in, total); err == nil && answers.Scan() {
			_, err = fmt.Sscan(answers.Text(), &cost)
			return cost, err
		}
		err = errors.Join(err, answers.Err(), wait())
		return 0, fmt.Errorf("the clients: %w: %s", err, strings.TrimSpace(complaint.String()))
	}, nil
}
