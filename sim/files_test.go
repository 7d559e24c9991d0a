package sim_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"skynet/sim"
	"skynet/sim/scenario"
)

// elsewhere reads the files of testdata as if they were in another folder.
func elsewhere(folder string) func(string) ([]byte, error) {
	return func(name string) ([]byte, error) {
		rest, ok := strings.CutPrefix(name, folder)
		if !ok {
			return nil, os.ErrNotExist
		}
		return os.ReadFile("testdata/" + rest)
	}
}

// TestFolderDoesNotMatter runs a scenario whose trace names one of its scripts, in an error, from several folders.
func TestFolderDoesNotMatter(t *testing.T) {
	want := run(t, load(t, "testdata/mistake.star"), sim.Options{Seed: 1})
	for _, folder := range []string{"/a/b/", "c/", ""} {
		s, err := sim.Load(elsewhere(folder), folder+"mistake.star")
		if err != nil {
			t.Fatal(err)
		}
		if got := run(t, s, sim.Options{Seed: 1}); got.Hash != want.Hash || got.Failed.Message != want.Failed.Message {
			t.Errorf("in %q: got %x %q, want %x %q", folder, got.Hash, got.Failed.Message, want.Hash, want.Failed.Message)
		}
	}
}

func TestErrorsNameFilesAsTheUserDoes(t *testing.T) {
	_, err := sim.Load(func(name string) ([]byte, error) {
		if name != "dir/bad.star" {
			t.Errorf("read %q, want dir/bad.star", name)
		}
		return []byte("def world(w):\n  pas\n"), nil
	}, "dir/bad.star")
	var mistake *scenario.Error
	if !errors.As(err, &mistake) || mistake.Pos.Filename() != "dir/bad.star" || mistake.Pos.Line != 2 {
		t.Errorf("Load: got %v, want an error at dir/bad.star:2", err)
	}
}
