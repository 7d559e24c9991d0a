package sim_test

import (
	"reflect"
	"testing"

	"skynet/sim"
)

// TestEffectsAddEverything wants every count added: one that is forgotten stays at its old value.
func TestEffectsAddEverything(t *testing.T) {
	var one, sum sim.Effects
	var counts func(v reflect.Value, each func(n reflect.Value))
	counts = func(v reflect.Value, each func(n reflect.Value)) {
		if v.Kind() != reflect.Struct {
			each(v)
			return
		}
		for i := range v.NumField() {
			counts(v.Field(i), each)
		}
	}
	next := uint64(0)
	counts(reflect.ValueOf(&one).Elem(), func(n reflect.Value) {
		next++
		n.SetUint(next)
	})
	sum.Add(one)
	sum.Add(one)
	next = 0
	counts(reflect.ValueOf(sum), func(n reflect.Value) {
		if next++; n.Uint() != 2*next {
			t.Errorf("count %d: got %d, want %d", next, n.Uint(), 2*next)
		}
	})
	if next < 15 {
		t.Errorf("got %d counts, want all", next)
	}
}
