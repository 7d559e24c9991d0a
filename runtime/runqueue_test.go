package runtime

import "testing"

// TestRunQueueKeepsItsSize: a queue that always holds something, as that of a service whose handlers fork each other,
// keeps its order and does not grow.
func TestRunQueueKeepsItsSize(t *testing.T) {
	var q runQueue
	next := 0
	push := func() {
		q.push(runnable{co: &coroutine{live: next}})
		next++
	}
	for range 10 {
		push()
	}
	for want := range 100_000 {
		if got := q.pop().co.live; got != want {
			t.Fatalf("pop() = entry %d, want %d", got, want)
		}
		push()
	}
	if q.len() != 10 || cap(q.items) > 1000 {
		t.Errorf("got %d entries in room for %d, want 10 in less than 1,000", q.len(), cap(q.items))
	}
}
