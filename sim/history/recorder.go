package history

import "slices"

// Recorder collects a history while it happens. The zero value is ready. It is not safe for concurrent use: in a
// simulation everything comes from one loop.
type Recorder struct {
	ops       []Operation
	processes int
	events    int64
	now       int64
	idle      map[string][]int // of each client the processes that may invoke, the one used last at the end
}

// Handle names an operation that was begun.
type Handle int

// Begin records that client invokes op at virtual time now. The operation runs under a process of the client's that is
// idle, or a new one, so a client may have several operations running. Begin keeps args. A time below an earlier event's counts as
// that event's.
func (r *Recorder) Begin(client, op string, args []Value, now int64) Handle {
	index, at := r.event(now)
	r.ops = append(r.ops, Operation{
		Process: r.take(client), Client: client, Op: op, Args: args, Call: index, CallTime: at, Return: Open,
	})
	return Handle(len(r.ops) - 1)
}

// End records how the operation of h completed at virtual time now; value is looked at if outcome is OK, reason if it
// is not. Only the first End of an operation counts, since what a client was told once is what it believes; End
// reports whether it was. After Unknown the process is never used again.
func (r *Recorder) End(h Handle, outcome Outcome, value Value, reason string, now int64) bool {
	op := &r.ops[h]
	if op.Return != Open {
		return false
	}
	op.Return, op.ReturnTime = r.event(now)
	op.Outcome = outcome
	if outcome == OK {
		op.Value = Value(value.text())
	} else {
		op.Error = reason
	}
	if outcome != Unknown {
		r.idle[op.Client] = append(r.idle[op.Client], op.Process)
	}
	return true
}

// Process returns the number of the process that runs, or ran, the operation of h.
func (r *Recorder) Process(h Handle) int { return r.ops[h].Process }

// Len returns the number of operations begun so far.
func (r *Recorder) Len() int { return len(r.ops) }

// History returns what was recorded so far; operations that have not completed are unknown in it.
func (r *Recorder) History() History { return History{slices.Clone(r.ops)} }

func (r *Recorder) event(now int64) (index, at int64) {
	r.now = max(r.now, now)
	r.events++
	return r.events - 1, r.now
}

func (r *Recorder) take(client string) int {
	if free := r.idle[client]; len(free) > 0 {
		r.idle[client] = free[:len(free)-1]
		return free[len(free)-1]
	}
	if r.idle == nil {
		r.idle = make(map[string][]int)
	}
	r.processes++
	return r.processes - 1
}
