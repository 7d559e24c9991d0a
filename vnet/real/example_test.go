package real_test

import (
	"fmt"

	"skynet/vnet"
	"skynet/vnet/real"
)

// asker sends one question and waits for the answer.
type asker struct{ done chan struct{} }

func (a asker) Opened(c vnet.Conn)          { c.Write([]byte("hello")) }
func (a asker) Data(c vnet.Conn, p []byte)  { fmt.Printf("heard %s\n", p); c.Close() }
func (a asker) EOF(c vnet.Conn)             { c.Close() }
func (a asker) Writable(vnet.Conn)          {}
func (a asker) Closed(_ vnet.Conn, _ error) { close(a.done) }

func Example() {
	n := real.New(real.Options{})
	defer n.Close()
	l, err := n.Listen(vnet.TCP, "127.0.0.1:0", func(vnet.Conn) vnet.Handler { return echo{} })
	if err != nil {
		fmt.Println(err)
		return
	}
	a := asker{make(chan struct{})}
	if _, err := n.Dial(vnet.TCP, l.Addr(), a); err != nil {
		fmt.Println(err)
		return
	}
	<-a.done
	// Output: heard hello
}
