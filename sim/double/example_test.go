package double_test

import (
	"fmt"
	"testing/fstest"
	"time"

	"go.starlark.net/starlark"

	"skynet/runtime"
	"skynet/sched"
	"skynet/sched/stepper"
	"skynet/sim/double"
)

// A shop is tested without a bank: the double takes the bank's name and answers as the test wants.
func Example() {
	bank := &double.Double{
		Name: ".bank",
		Answer: func(_ *runtime.Context, command string, _ starlark.Tuple, _ []starlark.Tuple) (starlark.Value, bool, error) {
			return starlark.MakeInt(70), command == "withdraw", nil
		},
		Commands: func() []string { return []string{"withdraw"} },
	}
	files := fstest.MapFS{"shop.star": {Data: []byte(`
def buy(price):
    return "%d left" % skynet.call(".bank", "withdraw", price)

def cheat():
    return skynet.call(".bank", "withdrow", 0)
`)}}
	step := stepper.New(stepper.Options{})
	node, err := runtime.NewNode(runtime.Config{
		Scheduler: step.NewNode(0, "n", stepper.NodeOptions{}),
		Programs:  runtime.NewPrograms(files.ReadFile),
		Handlers:  map[string]func() runtime.Handler{"bank": func() runtime.Handler { return bank }},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	launched := func(_ *runtime.Address, err error) {
		if err != nil {
			fmt.Println(err)
		}
	}
	node.Launch("bank", ".bank", nil, nil, launched)
	node.Launch("shop.star", ".shop", nil, nil, launched)
	step.Run(sched.Time(time.Second), nil)

	heard := func(v starlark.Value, err error) { fmt.Println(v, err) }
	node.Request(starlark.String(".shop"), "buy", starlark.Tuple{starlark.MakeInt(30)}, nil, 0, heard)
	step.Run(sched.Time(2*time.Second), nil)
	node.Request(starlark.String(".shop"), "cheat", nil, nil, 0, heard)
	step.Run(sched.Time(3*time.Second), nil)
	for _, c := range bank.Calls {
		fmt.Println(c.Command, c.Args)
	}
	// Output:
	// "70 left" <nil>
	// <nil> remote: shop.star:6:23: remote: the double of .bank has no command "withdrow"; did you mean "withdraw"?
	// init ()
	// withdraw (30,)
	// withdrow (0,)
}
