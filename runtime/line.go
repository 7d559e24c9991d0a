package runtime

import "iter"

// line is a queue that its members can leave from any place: each of its methods takes constant time, on average, however long it is. So
// a service that ends can leave all the lines it stands in. The zero value is empty.
type line[K comparable, V any] struct {
	places []standing[K, V] // in the order in which the members came; the first is never a gap
	at     map[K]int        // the place of each member, counted from the first there ever was
	cut    int              // how many places are gone from the front
}

// standing is a place in a line, or a gap whose member has left.
type standing[K comparable, V any] struct {
	key   K
	value V
	taken bool
}

// len is how many members there are.
func (l *line[K, V]) len() int { return len(l.at) }

// add puts a member at the end. One that is in the line already keeps its place.
func (l *line[K, V]) add(key K, value V) {
	if i, ok := l.at[key]; ok {
		l.places[i-l.cut].value = value
		return
	}
	if l.at == nil {
		l.at = make(map[K]int)
	}
	l.at[key] = l.cut + len(l.places)
	l.places = append(l.places, standing[K, V]{key, value, true})
}

// remove takes a member out; ok is false if there is none of that key.
func (l *line[K, V]) remove(key K) (value V, ok bool) {
	i, ok := l.at[key]
	if !ok {
		return value, false
	}
	delete(l.at, key)
	i -= l.cut
	value, l.places[i] = l.places[i].value, standing[K, V]{}
	if len(l.at) == 0 {
		*l = line[K, V]{}
		return value, true
	}
	for !l.places[0].taken {
		l.places, l.cut = l.places[1:], l.cut+1
	}
	if len(l.places) > 2*len(l.at)+16 {
		l.closeUp()
	}
	return value, true
}

// closeUp removes the gaps.
func (l *line[K, V]) closeUp() {
	places := make([]standing[K, V], 0, 2*len(l.at))
	for _, p := range l.places {
		if p.taken {
			l.at[p.key] = len(places)
			places = append(places, p)
		}
	}
	l.places, l.cut = places, 0
}

// first is the member that has been in the line longest.
func (l *line[K, V]) first() (key K, value V, ok bool) {
	if len(l.places) == 0 {
		return key, value, false
	}
	return l.places[0].key, l.places[0].value, true
}

// all are the members, the first first. Meanwhile the line must not change.
func (l *line[K, V]) all() iter.Seq2[K, V] {
	return func(yield func(K, V) bool) {
		for i := range l.places {
			if p := &l.places[i]; p.taken && !yield(p.key, p.value) {
				return
			}
		}
	}
}
