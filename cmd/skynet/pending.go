package main

import "errors"

// The packages that these commands call are not in the tree yet; until then a command that was understood says so.

func simulate(*State, simOptions) error {
	return errors.New("sim: the simulator is not part of this build")
}
