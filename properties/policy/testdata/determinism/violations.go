// Package determinism breaks every rule of the determinism lint once; the marks say what must be found.
package determinism

import (
	"context"
	crand "crypto/rand" // want "import of crypto/rand"
	"errors"
	"fmt"
	"hash/maphash" // want "import of hash/maphash"
	"maps"
	"math"
	"math/rand"           // want "import of math/rand"
	randv2 "math/rand/v2" // want "import of math/rand/v2"
	"os"
	"regexp"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"
	"unsafe" // want "import of unsafe"
)

func goroutine() {
	go goroutine() // want "go statement"
	go goroutine() //determinism:ok the sweep's own workers, outside of any run
	//determinism:ok the sweep's own workers, outside of any run
	go goroutine()
	//determinism:ok // want "without a reason"
	go goroutine() // want "go statement"
	//determinism:ok the line it was for is gone // want "excuses nothing"
}

func clocks(ctx context.Context) {
	_ = time.Now()                             // want "time.Now: the clock is the scheduler's"
	_ = time.Since(time.Time{})                // want "time.Since"
	_ = time.Until(time.Time{})                // want "time.Until"
	time.Sleep(1)                              // want "time.Sleep: timers are the scheduler's"
	_ = time.After(1)                          // want "time.After"
	_ = time.AfterFunc(1, goroutine)           // want "time.AfterFunc"
	_ = time.NewTimer(1)                       // want "time.NewTimer"
	_ = time.NewTicker(1)                      // want "time.NewTicker"
	_ = time.Tick(1)                           // want "time.Tick"
	_, cancel := context.WithTimeout(ctx, 1)   // want "context.WithTimeout"
	now := time.Now                            // want "time.Now"
	_ = time.Duration(3) * time.Second         // durations are integers
	_ = time.Unix(0, 0).After(time.Unix(1, 0)) // a method of the same name
	_, _ = cancel, now
}

func randomness() {
	_, _, _ = rand.Int(), randv2.Int(), crand.Reader
	_ = maphash.String(maphash.MakeSeed(), "a")
	_ = unsafe.Sizeof(0)
}

func machine() {
	_ = os.Getenv("HOME")              // want "os.Getenv: the result must not depend on the machine"
	_ = runtime.GOMAXPROCS(0)          // want "runtime.GOMAXPROCS"
	_ = runtime.NumGoroutine()         // want "runtime.NumGoroutine"
	_ = time.Unix(0, 0).In(time.Local) // want "time.Local"
	fmt.Printf("%p", os.Stdin)         // want "%p prints an address"
	_ = fmt.Sprintf("%#p", os.Stdin)   // want "%p prints an address"
	fmt.Println("100%pure", "50% p")
}

func channels(a, b chan int) {
	select { // want "select over 2 channels"
	case <-a:
	case <-b:
	}
	select { // one channel and a default is no choice
	case <-a:
	default:
	}
}

type set map[string]bool

func order(m map[string]int, s set, list []int) {
	for range m { // want "range over a map of type map"
	}
	for range s { // want "range over a map of type set"
	}
	for range list {
	}
	for k := range m { //determinism:ok a sum does not depend on the order
		_ = k
	}
	for range maps.Keys(m) { // want "maps.Keys: map order"
	}
	for range slices.Sorted(maps.Keys(m)) {
	}
}

func generic[M map[K]V, K comparable, V any](m M) {
	for range m { // want "range over a map of type M"
	}
}

var (
	errSentinel = errors.New("sentinel")
	table       = map[string]int{"a": 1}
	names       = [...]string{"a", "b"}
	pattern     = regexp.MustCompile("a+")
	function    = goroutine

	counter   int                    // want "variable counter is written"
	cache     = map[string]int{}     // want "variable cache is written"
	addressed int                    // want "variable addressed is written"
	emptied   = map[string]int{}     // want "variable emptied is written"
	mutex     sync.Mutex             // want "variable mutex is written"
	locks     [2]sync.Mutex          // want "holds a sync.Mutex"
	number    atomic.Int64           // want "variable number is written"
	pointer   = &counted{}           // want "holds a pointer to determinism.counted"
	nested    = []struct{ p *int }{} // want "holds a pointer to int"
	constant  = &point{1, 2}         // nothing writes to a point, so this is a table
	points    = []*point{constant}
	growing   = &list{}        // want "holds a pointer to determinism.list"
	pipe      = make(chan int) // want "holds a channel"
	pool      sync.Pool        // want "variable pool is written" "sync.Pool: what it hands out"
	excused   = 0              //determinism:ok counts for a debugger that is attached by hand
	filled    [3]int

	_ fmt.Stringer = (*counted)(nil)
)

type counted struct{ n int }

type point struct{ x, y int }

type list struct{ items []int }

func (l *list) add(i int) { l.items = append(l.items, i) }

func (c *counted) inc() { c.n++ }

func (c *counted) String() string { return fmt.Sprint(c.n) }

func init() { filled[0] = 1 }

func state() {
	counter++
	excused++
	cache["a"] = table["a"]
	_ = &addressed
	delete(emptied, "a")
	mutex.Lock()
	number.Add(1)
	pool.Put(names[0])
	counter := 0 // a local of the same name
	counter++
	_, _, _, _, _, _, _, _, _, _, _ = errSentinel, pattern, function, pointer, pipe, nested, locks[0].TryLock, counter, points, filled[0], growing
}

func floats(x float64, n int) {
	const exact = 1.5 * 2
	_ = x + 1                 // want "float arithmetic"
	x *= 2                    // want "float arithmetic"
	x++                       // want "float arithmetic"
	_ = x < 3                 // want "float arithmetic"
	_ = math.Sqrt(float64(n)) // want "float arithmetic"
	_ = float64(n)            // a conversion decides nothing
	_ = n*2 + exact
}
