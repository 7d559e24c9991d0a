package wire

import (
	"strings"

	"go.starlark.net/starlark"
)

// Starlark does not tell whether a container is frozen, but every mutation looks at that before anything else, and an
// error says so. The functions below attempt a mutation that can have no effect. A container that is merely being
// iterated refuses it too, in other words, and is not frozen.

func frozenList(l *starlark.List) bool {
	if l.Len() == 0 {
		return saysFrozen(l.Clear())
	}
	return saysFrozen(l.SetIndex(0, l.Index(0)))
}

func frozenDict(d *starlark.Dict) bool {
	_, _, err := d.Delete(absent{})
	return saysFrozen(err)
}

func frozenSet(s *starlark.Set) bool {
	_, err := s.Delete(absent{})
	return saysFrozen(err)
}

func saysFrozen(err error) bool {
	if err == nil || err == error(absentError{}) {
		return false
	}
	return strings.Contains(err.Error(), " frozen ")
}

// absent is a dict key that no dict can have, because it has no hash.
type absent struct{}

type absentError struct{}

func (absent) String() string        { return "absent" }
func (absent) Type() string          { return "absent" }
func (absent) Freeze()               {}
func (absent) Truth() starlark.Bool  { return false }
func (absent) Hash() (uint32, error) { return 0, absentError{} }
func (absentError) Error() string    { return "absent has no hash" }
