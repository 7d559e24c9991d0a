package main

import (
	"fmt"
	"strings"
)

const exitStatuses = `Exit status:
  0  all well
  1  a property or a test failed, or a node was ended before it had drained
  2  wrong usage, or a script or file that does not load
  3  an internal error
`

// help prints the overview, or the help of the command that is named.
func help(s *State, args []string) error {
	if len(args) == 0 {
		_, err := fmt.Fprint(s.Stdout, overview())
		return err
	}
	for _, c := range commands() {
		if c.name == args[0] {
			_, err := fmt.Fprint(s.Stdout, c.help())
			return err
		}
	}
	return unknownCommand(args[0])
}

func overview() string {
	var b strings.Builder
	b.WriteString(`skynet runs actor services written in Starlark, and simulates whole clusters of the
very same scripts under seeded faults, deterministically.

Usage:
  skynet COMMAND [OPERAND …] [--flag …]

Commands:
`)
	for _, c := range commands() {
		fmt.Fprintf(&b, "  %-8s %s\n", c.name, c.brief)
	}
	fmt.Fprintf(&b, "  %-8s %s\n\n", "help", "show this, or the help of a command")
	b.WriteString(exitStatuses)
	return b.String()
}

func (c command) help() string {
	var b strings.Builder
	fmt.Fprintf(&b, "skynet %s: %s\n\nUsage:\n  %s\n\n%s\n", c.name, c.brief, strings.TrimSpace("skynet "+c.name+" "+c.operands), c.about)
	if flags, _ := c.flags(); flags.HasFlags() {
		fmt.Fprintf(&b, "\nFlags:\n%s", flags.FlagUsagesWrapped(100))
	}
	b.WriteString("\nExamples:\n")
	for _, e := range c.examples {
		fmt.Fprintf(&b, "  %s\n", e)
	}
	b.WriteString("\n" + exitStatuses)
	return b.String()
}
