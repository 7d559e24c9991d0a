package serve

import (
	"io/fs"
	"math"
	"testing"
)

// TestDefaultHeap: the least of what is known, three quarters of it.
func TestDefaultHeap(t *testing.T) {
	t.Parallel()
	const kb = 1 << 10
	for _, test := range []struct {
		name  string
		files map[string]string
		limit int64 // GOMEMLIMIT
		want  int64
	}{
		{"nothing is known", nil, math.MaxInt64, 0},
		{"the machine", map[string]string{"/proc/meminfo": "MemTotal:        4000 kB\nMemFree: 1 kB\n"}, math.MaxInt64, 3000 * kb},
		{"GOMEMLIMIT", map[string]string{"/proc/meminfo": "MemTotal: 4000 kB\n"}, 1000 * kb, 750 * kb},
		{"a cgroup", map[string]string{
			"/proc/meminfo": "MemTotal: 4000 kB\n", "/proc/self/cgroup": "0::/a/b\n", "/sys/fs/cgroup/a/b/memory.max": "max\n", "/sys/fs/cgroup/a/memory.max": "2048000\n",
		}, math.MaxInt64, 1500 * kb},
		{"a cgroup of version 1", map[string]string{
			"/proc/meminfo": "MemTotal: 4000 kB\n", "/proc/self/cgroup": "5:cpu:/x\n4:memory:/a\n", "/sys/fs/cgroup/memory/a/memory.limit_in_bytes": "1024000\n",
		}, math.MaxInt64, 750 * kb},
		{"a cgroup without limit", map[string]string{
			"/proc/meminfo": "MemTotal: 4000 kB\n", "/proc/self/cgroup": "4:memory:/a\n", "/sys/fs/cgroup/memory/a/memory.limit_in_bytes": "9223372036854771712\n",
		}, math.MaxInt64, 3000 * kb},
		{"nonsense", map[string]string{"/proc/meminfo": "MemTotal: much\n", "/proc/self/cgroup": "x"}, math.MaxInt64, 0},
	} {
		read := func(name string) ([]byte, error) {
			if text, ok := test.files[name]; ok {
				return []byte(text), nil
			}
			return nil, fs.ErrNotExist
		}
		if got := defaultHeap(read, test.limit); got != test.want {
			t.Errorf("%s: got %d, want %d", test.name, got, test.want)
		}
	}
}
