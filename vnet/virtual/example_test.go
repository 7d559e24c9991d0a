package virtual_test

import (
	"fmt"
	"time"

	"skynet/sched"
	"skynet/sched/stepper"
	"skynet/vnet"
	"skynet/vnet/virtual"
)

// talker prints what it hears.
type talker struct{ name string }

func (t talker) Opened(c vnet.Conn)         { c.Write([]byte("hello")) }
func (t talker) Data(_ vnet.Conn, p []byte) { fmt.Printf("%s hears %s\n", t.name, p) }
func (t talker) EOF(c vnet.Conn)            { c.Close() }
func (t talker) Writable(vnet.Conn)         {}
func (t talker) Closed(_ vnet.Conn, reason error) {
	fmt.Printf("%s: %v\n", t.name, reason)
}

// A partition delays a stream, and its handle tells what it did.
func Example() {
	step := stepper.New(stepper.Options{Seed: 1})
	fabric := virtual.New(step, virtual.Options{Seed: 1})
	alice, bob := fabric.Host(0, "alice"), fabric.Host(1, "bob")

	var conn vnet.Conn
	bob.Listen(vnet.TCP, ":7000", func(c vnet.Conn) vnet.Handler {
		conn = c
		return talker{"bob"}
	})
	alice.Dial(vnet.TCP, "bob:7000", talker{"alice"})
	step.Run(sched.Time(time.Second), nil)

	cut := fabric.Cut([]string{"bob"}, []string{"alice"})
	conn.Write([]byte("good bye"))
	step.Run(sched.Time(2*time.Second), nil)
	fmt.Println("dropped", cut.Effects().Dropped)
	cut.End()
	step.Run(sched.Time(5*time.Second), nil)
	// Output:
	// bob hears hello
	// dropped 4
	// alice hears good bye
}
