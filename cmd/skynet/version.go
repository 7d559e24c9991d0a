package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/pflag"
)

func versionCommand() command {
	return command{
		name:     "version",
		brief:    "print the version",
		about:    "Prints the version of the module, the revision it was built from if that is known, and the Go version.",
		examples: []string{"skynet version"},
		define: func(*pflag.FlagSet) func(*State, []string) error {
			return func(s *State, operands []string) error {
				if len(operands) > 0 {
					return &usageError{msg: fmt.Sprintf("got operand %q, want none", operands[0])}
				}
				_, err := fmt.Fprintln(s.Stdout, version())
				return err
			}
		},
	}
}

func version() string {
	text := "skynet (devel)"
	if info, ok := debug.ReadBuildInfo(); ok {
		text = "skynet " + info.Main.Version
		for _, setting := range info.Settings {
			if setting.Key == "vcs.revision" {
				text += " " + setting.Value
			}
		}
	}
	return fmt.Sprintf("%s %s %s/%s", text, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}
