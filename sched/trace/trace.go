// Package trace is the record of a simulated run: every event is folded into a chained 64-bit hash, so that two runs
// are equal to the last event exactly if their hashes are (up to a collision), and checkpoints of the chain tell where
// two runs began to differ.
//
// The hash covers kinds, virtual times, ids, values and log texts. It never covers addresses, real time, file paths of
// the machine or anything else that may differ between two machines.
package trace

// Kind says what an event is. The values are part of every hash: append, never renumber.
type Kind uint8

// The kinds of events.
const (
	Pick    Kind = iota + 1 // a task gets a turn: A its id, B how many tasks stay queued on its node
	Timer                   // a timer fires: A its id
	Deliver                 // a segment or datagram arrives: A the link, B the packet number
	Send                    // a segment or datagram leaves: A the link, B the packet number
	Drop                    // the network loses, cuts or refuses something: A the link, B the packet number
	Net                     // a connection changes: A the connection, B what (opened, closed, reset)
	Rand                    // a random draw: A the value
	Clock                   // a clock read: A the value
	Disk                    // a disk operation: A what, B how many bytes
	Log                     // a log line: A the level, text the line
	Fault                   // a fault begins or ends: A its id, B 1 or 0, text what it is
	Op                      // a client operation: A the process, B 0 invoked, 1 returned; text the operation
	Node                    // a node starts, stops, crashes: A what, text its name
	Choice                  // a strategy chose: A the index, B among how many
	Message                 // a message between services: A the source, B the destination; text the command
	Check                   // a check was evaluated to something new: text which
	Offload                 // offloaded work runs and is done: A its number on its node
)

var kindNames = [...]string{
	"?", "pick", "timer", "deliver", "send", "drop", "net", "rand", "clock", "disk", "log", "fault", "op", "node", "choice",
	"message", "check", "offload",
}

// String returns the kind's name in trace files.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return "?"
}

// Event is one entry of a trace.
type Event struct {
	Index uint64 // position in the run, from 0
	Time  int64  // virtual nanoseconds since the start
	Kind  Kind
	Node  int32 // index of the node, -1 for the world
	A, B  uint64
	Text  string
}

// Every is the number of events between two checkpoints.
const Every = 1024

// Trace folds events. The zero value is ready; a nil *Trace ignores everything, which is what production has.
// It is not safe for concurrent use.
type Trace struct {
	hash        uint64
	count       uint64
	checkpoints []uint64

	// Sink, when set, is given every event after it was folded.
	Sink func(Event)

	// Keep asks for checkpoints; without it only the final hash is kept, so that memory stays flat.
	Keep bool
}

// Add folds an event without text.
func (t *Trace) Add(at int64, kind Kind, node int32, a, b uint64) {
	if t != nil {
		t.add(at, kind, node, a, b, "")
	}
}

// AddText folds an event with a text.
func (t *Trace) AddText(at int64, kind Kind, node int32, a, b uint64, text string) {
	if t != nil {
		t.add(at, kind, node, a, b, text)
	}
}

func (t *Trace) add(at int64, kind Kind, node int32, a, b uint64, text string) {
	whole := text
	h := t.hash
	h = fold(h, uint64(kind)|uint64(uint32(node))<<8|uint64(len(text))<<40)
	h = fold(h, uint64(at))
	h = fold(h, a)
	h = fold(h, b)
	for len(text) >= 8 {
		h = fold(h, uint64(text[0])|uint64(text[1])<<8|uint64(text[2])<<16|uint64(text[3])<<24|
			uint64(text[4])<<32|uint64(text[5])<<40|uint64(text[6])<<48|uint64(text[7])<<56)
		text = text[8:]
	}
	var tail uint64
	for i := 0; i < len(text); i++ {
		tail |= uint64(text[i]) << (8 * i)
	}
	t.hash = fold(h, tail)
	if t.Sink != nil {
		t.Sink(Event{Index: t.count, Time: at, Kind: kind, Node: node, A: a, B: b, Text: whole})
	}
	t.count++
	if t.Keep && t.count%Every == 0 {
		t.checkpoints = append(t.checkpoints, t.hash)
	}
}

// fold chains one word: a multiply and two xor-shifts in the manner of murmur3's finaliser, a bijection of h for each w, so that a
// difference once made is never undone by equal input.
func fold(h, w uint64) uint64 {
	h ^= w
	h *= 0xff51afd7ed558ccd
	h ^= h >> 32
	h *= 0xc4ceb9fe1a85ec53
	return h ^ h>>29
}

// Hash is the chained hash of everything folded so far.
func (t *Trace) Hash() uint64 { return t.hash }

// Count is the number of events folded so far.
func (t *Trace) Count() uint64 { return t.count }

// Checkpoints returns the hash after every [Every] events, when Keep was set.
func (t *Trace) Checkpoints() []uint64 { return t.checkpoints }
