package serve

import (
	"fmt"
	"io"
	"io/fs"
	"os"
)

// MaxFile is how many bytes a script or another file that is read as a whole may have.
const MaxFile = 64 << 20

// ReadFile is os.ReadFile for files that need not be what their names say: a device has no end, and would take all memory. One with
// more than MaxFile bytes is an error.
func ReadFile(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, MaxFile+1))
	if err == nil && len(text) > MaxFile {
		err = &fs.PathError{Op: "read", Path: name, Err: fmt.Errorf("got more than %d MiB, want at most that", MaxFile>>20)}
	}
	if err != nil {
		return nil, err
	}
	return text, nil
}
