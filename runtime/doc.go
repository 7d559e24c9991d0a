// Package runtime is a node: services written in Starlark or Go, their mailboxes, sessions, timers and names, and the
// cluster that nodes form. It is the same code in production and in simulation: it sees the world only through a
// [skynet/sched.Scheduler] and a [skynet/vnet.Network], and never asks which one it has.
//
// # The way of a message
//
// skynet.call in a script is coroutine.beginCall (call.go): it resolves the destination, copies the arguments, notes in the
// wait table (wait.go) that this coroutine awaits a reply until a deadline, puts a message into the callee's mailbox
// (message.go) and suspends. The scheduler gives the callee a turn, Service.Run (service.go), which takes the message and
// runs the command on a pooled coroutine (coroutine.go); when the function returns, coroutine.finish copies the result
// and puts the reply into the caller's mailbox, where Service.handle completes the wait and resumes the caller. A call of
// another node is handed to the cluster's own service instead (cluster.go), which writes it to a link (clusterlink.go);
// there it becomes a message like any other.
//
// # Guarantees
//
//   - A service handles one message at a time; handlers of one service interleave only where they block.
//   - Messages from one service to another arrive in the order they were sent, each at most once. Between different
//     senders there is no order. An upgrade lets in first what the handlers it waits for have set off. Over the cluster
//     order holds for the requests of one node to another, as long as their link lives; a reply and a request of the
//     opposite direction are not ordered.
//   - A call ends: with the reply, or with an error of one of the kinds of [Kind], at the latest at its deadline. Whatever
//     happens to the callee (it fails, exits, is killed, never answers), the caller hears about it.
//   - A deadline travels: what a handler calls has no later deadline than the request it handles.
//   - A request is answered once, however: by the return of its handler, by ret, by a response given later, by the service
//     it was redirected to, or by the runtime if none of them does in time. A second answer is an error, and an answer
//     nobody waits for any more is dropped.
//   - Every wait of a handler ends: a call, a select, a launch and an upgrade at their deadline, which is never later than
//     that of the request being handled; a stop at its deadline and after what the exit hook may take; a queue, a query and
//     a wait for an address at their timeout or that deadline. Only skynet.wait and shared.wait without a timeout, reading
//     without one, a queue in a handler that nobody waits for, and what code in Go awaits with Suspend or Offload, may last as long
//     as the service.
//   - Calls of a node that wait for one another in a circle are found, and logged once, within seconds; a circle of queues
//     is an error at once.
//   - A monitor hears of the end of its service once, with the reason, also if that has ended already, and over nodes.
//   - Linked services end together if one ends abnormally, even one in an endless loop; undoing a link that has not been
//     broken yet undoes it for both. The children of a supervisor do not outlive it, however it ends.
//   - The exit hook runs once in every orderly end, after all handlers and before the death; never after a kill or a
//     failure. It is given up after the limit call, but for that of a supervisor: each of its children has a limit.
//   - A node that stops ends its services one by one, the youngest first.
//   - An upgrade takes place as a whole or not at all. No request is lost or sees a state in between, and none that a
//     request under way has set off is kept waiting for it.
//   - Whoever hears that a service has ended finds its names free.
//   - The receiver of a message shares no mutable state with its sender.
//   - A mailbox is bounded. A request that finds it full is refused, takes the place of the oldest one, or waits, as the
//     limit overflow says; replies, timers and events are never refused. What waits is bounded too: by the senders of this
//     node, who wait with it, and for other nodes and redirected requests by what the mailbox holds.
//   - A handler that exceeds its step budget, or holds a value that is too large, is stopped with an error that says where;
//     its service and all others go on. A service ends if its state is estimated to exceed the limit memory, and pauses
//     while its processor time is used up.
//   - A service may do no more than its launcher, whatever it is granted; see [Grant].
//   - Requests that arrive before init has returned wait for it.
//   - What a service holds (names, sockets, listeners, suspended handlers, waiting callers) is released when it ends; so
//     are its subscriptions, and its waits for what services share.
//   - What services of a node share (shared, multicast, datacenter) is frozen: a reader sees one version of a table, and
//     all subscribers of a channel see what is published in one order, each publication once at most.
//   - The number of an address is never used again by its node; the upper half of its id is the node's incarnation.
package runtime
