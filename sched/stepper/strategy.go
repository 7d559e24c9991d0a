package stepper

import "skynet/sched"

// Random returns the strategy that picks uniformly among the enabled actions, drawing from stream.
func Random(stream *sched.Stream) sched.Strategy { return random{stream} }

type random struct{ stream *sched.Stream }

func (r random) Pick(enabled []sched.Action) int { return r.stream.IntN(len(enabled)) }

// FIFO returns the strategy that picks what has been enabled the longest.
func FIFO() sched.Strategy { return fifo{} }

type fifo struct{}

func (fifo) Pick([]sched.Action) int { return 0 }
