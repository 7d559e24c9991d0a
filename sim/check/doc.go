// Package check decides whether a history of client operations is linearizable: whether every operation can be given
// one moment between its invocation and its completion, such that the operations in that order do what a sequential
// model says. The search is porcupine's (github.com/anishathalye/porcupine).
//
// # Models
//
//	model     operation          also spelt              result
//	register  read()             get                     the value; null before the first write
//	          write(v)           put set                 not looked at
//	          cas(old, new)      compare_and_set         true: it was old and is new now; false: it was not old
//	                             compare_and_swap
//	kv        get(k)             read                    the value; null without one
//	          put(k, v)          write set               not looked at
//	          delete(k)          del remove              not looked at
//	          cas(k, old, new)   compare_and_set         as above; null stands for no value
//	                             compare_and_swap
//	          append(k, v)                               not looked at; a list gets v as its last element, a string is
//	                                                     concatenated with v, nothing becomes v if that is a string,
//	                                                     else [v]
//	queue     enqueue(v)         put push send offer     not looked at
//	          dequeue()          get pop take receive    the oldest value; null: the queue was empty
//	                             poll
//	set       add(v)             insert put              not looked at
//	          remove(v)          delete del              not looked at
//	          contains(v)        has member              true or false
//	          read()             get members list        a list of all elements, in any order
//	lock      acquire(owner)     lock                    true: the lock was free; a number: a fencing token, higher than
//	                                                     all before it, and the lock passes on whoever held it; false
//	                                                     or null: nothing happened
//	          release(owner)     unlock                  false: nothing happened; else the owner held the lock, or the
//	                                                     lock gives tokens
//	          use(token)         write                   a fenced write: true: no higher token was used before; false:
//	                                                     one was
//
// The owner of a lock may be left out: it is the client then. The result of a write is an acknowledgement and not looked
// at. A kv is checked key by key; [Model.PerKey] makes any other model so, and [Named] knows it as "register/key".
// [NewScripted] makes a model of a Starlark function.
//
// # Guarantees
//
//   - Operations that failed are not in the search. Unknown ones may take effect at any time after their invocation,
//     or never, and whatever they would have returned is accepted.
//   - The verdict, the number of states and the evidence depend on model, history and budget only: not on time, not on
//     the machine, not on goroutines. Partitions are searched one by one in the order of their keys; porcupine runs
//     each search on a goroutine, and the check waits for it.
//   - A budget that runs out gives the verdict unknown, never ok. A violation is only ever reported if it was proven.
//   - An operation that a model cannot understand, or a model that fails, is an error and no verdict.
package check
