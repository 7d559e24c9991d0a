package serve_test

import (
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, // kcp-go's global timers never end
		goleak.IgnoreTopFunction("github.com/xtaci/kcp-go/v5.(*TimedSched).sched"),
		goleak.IgnoreTopFunction("github.com/xtaci/kcp-go/v5.(*TimedSched).prepend"),
		goleak.Cleanup(func(exit int) {
			if binary, err := build(); err == nil {
				os.RemoveAll(filepath.Dir(binary))
			}
			os.Exit(exit)
		}))
}
