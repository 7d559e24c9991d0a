package config_test

import (
	"fmt"

	"skynet/runtime/config"
)

func ExampleParse() {
	c, err := config.Parse("cluster.star", []byte(`
cluster = {"nodes": {"game1": "10.0.0.1:7000", "game2": "10.0.0.2:7000"}}
store = "data/" + node + ".db"
`), "game2")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(c.Cluster.Listen, c.Store, c.Limits.Call)
	// Output: 10.0.0.2:7000 data/game2.db 5s
}
