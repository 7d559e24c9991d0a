package config

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"go.starlark.net/starlark"

	"skynet/runtime"
)

// field is a key of a dict setting and what takes its value.
type field struct {
	name string
	set  func(starlark.Value) error
}

// fields reads a dict whose keys are words.
func fields(v starlark.Value, words ...field) error {
	d, ok := v.(*starlark.Dict)
	if !ok {
		return fmt.Errorf("got %s, want a dict", v.Type())
	}
	for _, item := range d.Items() {
		if err := setField(item[0], item[1], words); err != nil {
			return err
		}
	}
	return nil
}

func setField(key, v starlark.Value, words []field) error {
	name, _ := starlark.AsString(key)
	var known []string
	for _, w := range words {
		if w.name != name {
			known = append(known, w.name)
			continue
		}
		if err := w.set(v); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		return nil
	}
	return fmt.Errorf("unknown key %s, want one of %s%s", key, strings.Join(known, ", "), near(name, known))
}

func pair(key string, v starlark.Value) starlark.Tuple {
	return starlark.Tuple{starlark.String(key), v}
}

// dict makes a dict of pairs whose keys are strings.
func dict(pairs ...starlark.Tuple) *starlark.Dict {
	d := starlark.NewDict(len(pairs))
	for _, p := range pairs {
		_ = d.SetKey(p[0], p[1]) // a string is hashable, the dict not frozen
	}
	return d
}

func text(to *string, v starlark.Value) error {
	s, ok := starlark.AsString(v)
	if !ok {
		return fmt.Errorf("got %s, want string", v.Type())
	}
	*to = s
	return nil
}

// address takes "host:port"; the host may be empty, a name, or an IPv6 address in brackets.
func address(to *string, v starlark.Value) error {
	s, _ := starlark.AsString(v)
	colon := strings.LastIndexByte(s, ':')
	if colon < 0 || strings.Contains(s[:colon], ":") && !strings.HasPrefix(s, "[") {
		return fmt.Errorf(`got %s, want "host:port"`, v)
	}
	if _, err := strconv.ParseUint(s[colon+1:], 10, 16); err != nil {
		return fmt.Errorf("got %s, want a port from 0 to 65535", v)
	}
	*to = s
	return nil
}

func duration(to *time.Duration, v starlark.Value) error {
	d, err := runtime.Duration(v)
	if err != nil {
		return err
	}
	if d <= 0 {
		return fmt.Errorf("got %s, want more than 0", v)
	}
	*to = d
	return nil
}

func number[T int | uint64](to *T, v starlark.Value, lo, hi int64) error {
	i, ok := v.(starlark.Int)
	if !ok {
		return fmt.Errorf("got %s, want int", v.Type())
	}
	n, ok := i.Int64()
	if !ok || n < lo || n > hi {
		return fmt.Errorf("got %v, want %d to %d", i, lo, hi)
	}
	*to = T(n)
	return nil
}
