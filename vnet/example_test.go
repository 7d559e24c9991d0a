package vnet_test

import (
	"fmt"
	"time"

	"skynet/sched"
	"skynet/sched/stepper"
	"skynet/vnet"
	"skynet/vnet/real"
	"skynet/vnet/virtual"
)

// echo sends back what it hears, and ends when its peer does.
type echo struct{}

func (echo) Opened(vnet.Conn)           {}
func (echo) Data(c vnet.Conn, p []byte) { c.Write(p) }
func (echo) EOF(c vnet.Conn)            { c.Close() }
func (echo) Writable(vnet.Conn)         {}
func (echo) Closed(vnet.Conn, error)    {}

// asker says hello, and ends when it has heard the answer.
type asker struct{ ended chan error }

func (a asker) Opened(c vnet.Conn)               { c.Write([]byte("hello")) }
func (a asker) Data(c vnet.Conn, p []byte)       { fmt.Printf("heard %s\n", p); c.Close() }
func (a asker) EOF(c vnet.Conn)                  { c.Close() }
func (a asker) Writable(vnet.Conn)               {}
func (a asker) Closed(_ vnet.Conn, reason error) { a.ended <- reason }

// ask is written once for every network.
func ask(server, client vnet.Network, address string) (ended chan error) {
	ended = make(chan error, 1)
	l, err := server.Listen(vnet.TCP, address, func(vnet.Conn) vnet.Handler { return echo{} })
	if err != nil {
		ended <- err
		return ended
	}
	if _, err := client.Dial(vnet.TCP, l.Addr(), asker{ended}); err != nil {
		ended <- err
	}
	return ended
}

// The same handlers talk over the network of the machine and over a virtual one.
func Example() {
	loopback := real.New(real.Options{})
	defer loopback.Close()
	fmt.Println(<-ask(loopback, loopback, "127.0.0.1:0"))

	step := stepper.New(stepper.Options{Seed: 1})
	fabric := virtual.New(step, virtual.Options{Seed: 1})
	ended := ask(fabric.Host(0, "server"), fabric.Host(1, "client"), "server:7000")
	step.Run(sched.Time(time.Second), nil)
	fmt.Println(<-ended)
	// Output:
	// heard hello
	// <nil>
	// heard hello
	// <nil>
}
