package main

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"
)

// whole is the value of a flag that takes a whole number from least on.
type whole struct {
	value *uint64
	least uint64
}

func (w whole) String() string {
	if w.value == nil { // pflag asks the zero value for the default
		return "0"
	}
	return strconv.FormatUint(*w.value, 10)
}

func (w whole) Type() string { return "N" }

func (w whole) Set(text string) error {
	n, err := strconv.ParseUint(text, 10, 63)
	if err != nil || n < w.least {
		return fmt.Errorf("got %q, want a whole number from %d", text, w.least)
	}
	*w.value = n
	return nil
}

// oneOf is the value of a flag that takes one of a few words.
type oneOf struct {
	value *string
	words []string
}

func (o oneOf) String() string {
	if o.value == nil {
		return ""
	}
	return *o.value
}

func (o oneOf) Type() string { return strings.Join(o.words, "|") }

func (o oneOf) Set(text string) error {
	if !slices.Contains(o.words, text) {
		return fmt.Errorf("got %q, want one of %s", text, strings.Join(o.words, ", "))
	}
	*o.value = text
	return nil
}

// pattern is the value of a flag that takes a regular expression; the zero value matches everything.
type pattern struct{ re *regexp.Regexp }

func (p *pattern) String() string {
	if p.re == nil {
		return ""
	}
	return p.re.String()
}

func (p *pattern) Type() string { return "REGEXP" }

func (p *pattern) Set(text string) error {
	re, err := regexp.Compile(text)
	if err != nil {
		return fmt.Errorf("got %q, want a regular expression: %w", text, err)
	}
	p.re = re
	return nil
}

func (p *pattern) matches(name string) bool { return p.re == nil || p.re.MatchString(name) }

// span is the value of a flag that takes a duration of more than 0.
type span struct{ value *time.Duration }

func (d span) String() string {
	if d.value == nil { // pflag asks the zero value for the default
		return "0s"
	}
	return d.value.String()
}

func (d span) Type() string { return "DURATION" }

func (d span) Set(text string) error {
	v, err := time.ParseDuration(text)
	if err != nil || v <= 0 {
		return fmt.Errorf("got %q, want a duration such as 90s, more than 0", text)
	}
	*d.value = v
	return nil
}

// formatFlag defines --format.
func formatFlag(flags *pflag.FlagSet, value *string) {
	*value = "text"
	flags.Var(oneOf{value, []string{"text", "json"}}, "format", "how to print the result; json is stable and documented")
}

// operand returns the only operand.
func operand(operands []string, what string) (string, error) {
	if len(operands) != 1 || operands[0] == "" {
		return "", &usageError{msg: fmt.Sprintf("got %d operands, want one: %s", len(operands), what)}
	}
	return operands[0], nil
}

// readable checks that files can be read before anything long begins.
func readable(s *State, names ...string) error {
	for _, name := range names {
		if name == "" {
			continue
		}
		if _, err := s.Files.ReadFile(name); err != nil {
			return inputError{err}
		}
	}
	return nil
}
