// Command pgo merges processor profiles into the one that the compiler optimises skynet by, cmd/skynet/default.pgo:
//
//	go run ./cmd/skynet/measure/pgo OUT PROFILE...
//
// It leaves out the paths of files, which the compiler does not look at and which differ from machine to machine.
package main

import (
	"fmt"
	"os"

	"github.com/google/pprof/profile"
)

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: pgo OUT PROFILE...")
		os.Exit(2)
	}
	if err := merge(os.Args[1], os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, "pgo:", err)
		os.Exit(3)
	}
}

func merge(to string, from []string) error {
	var all []*profile.Profile
	for _, name := range from {
		p, err := read(name)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		all = append(all, p)
	}
	p, err := profile.Merge(all)
	if err != nil {
		return err
	}
	for _, m := range p.Mapping {
		m.File, m.BuildID = "skynet", ""
	}
	for _, f := range p.Function {
		f.Filename = ""
	}
	p.Comments, p.TimeNanos = nil, 0
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	if err := p.Write(out); err != nil {
		out.Close()
		return err
	}
	return out.Close()
}

func read(name string) (*profile.Profile, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return profile.Parse(f)
}
