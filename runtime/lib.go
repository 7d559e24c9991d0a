package runtime

import (
	"fmt"
	"log/slog"
	"strings"

	"go.starlark.net/starlark"

	"skynet/runtime/store"
	"skynet/runtime/wire"
)

// logLibrary is log.debug, info, warn, error(message, **fields).
func logLibrary() *library {
	level := func(level slog.Level) builtin {
		return func(co *coroutine, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
			attrs := make([]any, 0, len(kwargs))
			for _, kw := range kwargs {
				attrs = append(attrs, attribute(string(kw[0].(starlark.String)), kw[1]))
			}
			co.charge()
			co.log(level, words(args), attrs...)
			return starlark.None, nil
		}
	}
	return innerLibrary(
		"log",
		member{"debug", level(levelDebug)},
		member{"info", level(levelInfo)},
		member{"warn", level(levelWarn)},
		member{"error", level(levelError)},
	)
}

// attributes makes fields of a log line of what Go code gives: slog.Attr, or a name and a value, which may be one of Starlark.
func attributes(given []any) []any {
	attrs := make([]any, 0, len(given))
	for i := 0; i < len(given); i++ {
		if a, ok := given[i].(slog.Attr); ok {
			attrs = append(attrs, slog.Attr{Key: fieldName(a.Key), Value: a.Value})
			continue
		}
		name, ok := given[i].(string)
		if !ok || i+1 == len(given) {
			attrs = append(attrs, given[i])
			continue
		}
		i++
		if v, ok := given[i].(starlark.Value); ok {
			attrs = append(attrs, attribute(name, v))
		} else {
			attrs = append(attrs, slog.Any(fieldName(name), given[i]))
		}
	}
	return attrs
}

// fieldName is the name of a field as a log line has it: what the line says by itself under a name is not overwritten.
func fieldName(name string) string {
	switch name {
	case slog.TimeKey, slog.LevelKey, slog.MessageKey, "message", "node", "service", "session", "source", "trace":
		return name + "_"
	}
	return name
}

// attribute makes a field of a log line. A handler may keep it, so it holds nothing that can change.
func attribute(name string, v starlark.Value) slog.Attr {
	name = fieldName(name)
	switch v := v.(type) {
	case starlark.String:
		return slog.String(name, string(v))
	case starlark.Bool:
		return slog.Bool(name, bool(v))
	case starlark.Float:
		if f := float64(v); f-f == 0 { // JSON has no other ones
			return slog.Float64(name, f)
		}
	case starlark.Int:
		if i, ok := v.Int64(); ok {
			return slog.Int64(name, i)
		}
	}
	if tooLargeToPrint(v) == nil { // a copy may be small, as strings are shared
		if copied, err := wire.Copy(v); err == nil {
			copied.Freeze()
			return slog.Any(name, FieldValue{copied})
		}
	}
	return slog.String(name, printed(v))
}

// FieldValue is the value of a field of a log line that is no string, number or bool: a frozen copy of a list, a dict, an
// address, … Logs show it as Starlark prints it.
type FieldValue struct{ starlark.Value }

// MarshalText prints the value, for the text and JSON handlers of log/slog.
func (v FieldValue) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// words joins values with spaces, strings without quotes, as print does.
func words(args starlark.Tuple) string {
	parts := make([]string, len(args))
	for i, v := range args {
		if s, ok := starlark.AsString(v); ok {
			parts[i] = s
		} else {
			parts[i] = printed(v)
		}
	}
	return strings.Join(parts, " ")
}

// skynetError is Skynet's name for writing a line to the log.
func skynetError(co *coroutine, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	co.charge()
	co.log(levelError, words(args))
	return starlark.None, starlark.UnpackArgs(b.Name(), nil, kwargs)
}

// randomLibrary draws from the service's own stream: seeded in simulation, from the system's entropy in production.
func randomLibrary() *library {
	return innerLibrary(
		"random",
		member{"int", func(co *coroutine, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
			var lo, hi int64
			if err := starlark.UnpackArgs(b.Name(), args, kwargs, "lo", &lo, "hi", &hi); err != nil {
				return nil, err
			}
			if lo > hi || hi-lo < 0 {
				return nil, fmt.Errorf("%s: got %d to %d, want lo <= hi", b.Name(), lo, hi)
			}
			return starlark.MakeInt64(co.svc.stream().Between(lo, hi)), nil
		}},
		member{"chance", func(co *coroutine, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
			var v starlark.Value
			if err := starlark.UnpackArgs(b.Name(), args, kwargs, "p", &v); err != nil {
				return nil, err
			}
			p, ok := starlark.AsFloat(v)
			if !ok || !(p >= 0 && p <= 1) {
				return nil, fmt.Errorf("%s: got %v, want a probability from 0 to 1", b.Name(), v)
			}
			return starlark.Bool(co.svc.stream().Chance(uint32(p * 1e6))), nil
		}},
		member{"choice", func(co *coroutine, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
			var seq starlark.Indexable
			if err := starlark.UnpackArgs(b.Name(), args, kwargs, "sequence", &seq); err != nil {
				return nil, err
			}
			if seq.Len() == 0 {
				return nil, fmt.Errorf("%s: got an empty %s, want one with elements", b.Name(), seq.Type())
			}
			return seq.Index(co.svc.stream().IntN(seq.Len())), nil
		}},
		member{"shuffle", func(co *coroutine, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
			var seq starlark.Indexable
			if err := starlark.UnpackArgs(b.Name(), args, kwargs, "sequence", &seq); err != nil {
				return nil, err
			}
			out := make([]starlark.Value, seq.Len())
			for i, j := range co.svc.stream().Perm(len(out)) {
				out[i] = seq.Index(j)
			}
			return starlark.NewList(out), nil
		}},
	)
}

// storeLibrary is the node's durable store. Writes are visible at once and durable after sync().
func storeLibrary() *library {
	return newLibrary(
		"store",
		member{"put", storeBuiltin(func(st store.Store, co *coroutine, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
			var key string
			var value starlark.Value
			if err := starlark.UnpackArgs(b.Name(), args, kwargs, "key", &key, "value", &value); err != nil {
				return nil, err
			}
			op, err := putOp(key, value)
			if err != nil {
				return nil, err
			}
			return starlark.None, st.Apply([]store.Op{op})
		})},
		member{"get", storeBuiltin(func(st store.Store, co *coroutine, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
			var key string
			var def starlark.Value = starlark.None
			if err := starlark.UnpackArgs(b.Name(), args, kwargs, "key", &key, "default?", &def); err != nil {
				return nil, err
			}
			data, ok, err := st.Get(key)
			if err != nil || !ok {
				return def, err
			}
			return co.svc.node.decoder.Value(data)
		})},
		member{"delete", storeBuiltin(func(st store.Store, co *coroutine, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
			var key string
			if err := starlark.UnpackArgs(b.Name(), args, kwargs, "key", &key); err != nil {
				return nil, err
			}
			return starlark.None, st.Apply([]store.Op{{Key: key, Delete: true}})
		})},
		member{"available", func(co *coroutine, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
			return starlark.Bool(co.svc.node.store != nil), starlark.UnpackArgs(b.Name(), args, kwargs)
		}},
		member{"scan", storeBuiltin(storeScan)},
		member{"batch", storeBuiltin(storeBatch)},
		member{"sync", storeBuiltin(func(st store.Store, co *coroutine, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
			if err := starlark.UnpackArgs(b.Name(), args, kwargs); err != nil {
				return nil, err
			}
			co.charge()
			return starlark.None, co.offload("store.sync", st.Sync)
		})},
	)
}

type storeFunc func(st store.Store, co *coroutine, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error)

// storeBuiltin adds what all store built-ins share: there must be a store, and errors are led by the name.
func storeBuiltin(f storeFunc) builtin {
	return func(co *coroutine, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
		st := co.svc.node.store
		if st == nil {
			return nil, fmt.Errorf("%s: node %s has no store; set store in its configuration", b.Name(), co.svc.node.name)
		}
		v, err := f(st, co, b, args, kwargs)
		if err != errKilled {
			err = of(b.Name(), err)
		}
		return v, err
	}
}

func putOp(key string, value starlark.Value) (store.Op, error) {
	data, err := wire.AppendValue(nil, value)
	return store.Op{Key: key, Value: data}, err
}

// storeScan returns [(key, value)] in order of the keys.
func storeScan(st store.Store, co *coroutine, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var prefix, from string
	var limit int
	if err := starlark.UnpackArgs(b.Name(), args, kwargs, "prefix?", &prefix, "start?", &from, "limit?", &limit); err != nil {
		return nil, err
	}
	entries, err := st.Scan(prefix, from, limit)
	if err != nil {
		return nil, err
	}
	out := make([]starlark.Value, len(entries))
	for i, e := range entries {
		v, err := co.svc.node.decoder.Value(e.Value)
		if err != nil {
			return nil, fmt.Errorf("value of %q: %w", e.Key, err)
		}
		out[i] = starlark.Tuple{starlark.String(e.Key), v}
	}
	return starlark.NewList(out), nil
}

// storeBatch puts and deletes as one.
func storeBatch(st store.Store, _ *coroutine, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	puts, deletes := starlark.NewDict(0), starlark.NewList(nil)
	if err := starlark.UnpackArgs(b.Name(), args, kwargs, "puts?", &puts, "deletes?", &deletes); err != nil {
		return nil, err
	}
	var ops []store.Op
	for _, item := range puts.Items() {
		key, ok := starlark.AsString(item[0])
		if !ok {
			return nil, fmt.Errorf("puts: got a %s as key, want string", item[0].Type())
		}
		op, err := putOp(key, item[1])
		if err != nil {
			return nil, err
		}
		ops = append(ops, op)
	}
	for i := range deletes.Len() {
		key, ok := starlark.AsString(deletes.Index(i))
		if !ok {
			return nil, fmt.Errorf("deletes: got a %s as key, want string", deletes.Index(i).Type())
		}
		ops = append(ops, store.Op{Key: key, Delete: true})
	}
	return starlark.None, st.Apply(ops)
}
