package runtime

// Ending is the way a service ended.
type Ending string

// The ways a service ends. All but Exited and Stopped are abnormal: they take the services linked to it along, and a
// supervisor restarts what is transient.
const (
	Exited  Ending = "exit"    // it called skynet.exit
	Stopped Ending = "stopped" // it was asked to end in an orderly way, or its node was
	Killed  Ending = "killed"  // skynet.kill, or the stop of its node took too long
	Failed  Ending = "failed"  // init failed, a limit was exceeded, or a linked service ended abnormally
	Gone    Ending = "gone"    // it had ended before anybody watched it, or never was
	Lost    Ending = "lost"    // its node can no longer be reached; whether it lives is unknown
)

// Reason says why a service ended. The zero value is that of a service that lives.
type Reason struct {
	Kind Ending
	// Message says more, for people; it may be empty.
	Message string
}

// Abnormal tells whether those linked to the service end with it.
func (r Reason) Abnormal() bool { return r.Kind != Exited && r.Kind != Stopped }

// String returns "kind", or "kind: message".
func (r Reason) String() string {
	if r.Message == "" {
		return string(r.Kind)
	}
	return string(r.Kind) + ": " + r.Message
}
