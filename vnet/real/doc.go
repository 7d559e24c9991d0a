// Package real is the network of the machine: TCP, KCP and UDP behind the interfaces of [vnet].
//
// # Guarantees beyond those of vnet
//
//   - TCP sockets are read by pollers, as many as there are processors, on Linux with epoll instances of their own and elsewhere by
//     a goroutine for each socket. An idle TCP stream costs one parked goroutine and no buffer. No more than 16
//     sockets are read before what they brought is handled, and 32 KiB of each.
//   - The goroutine that has read may run, for as long as [Options.Lend] makes it, what the handlers have made ready. No lock
//     is held meanwhile, and [Network.Close] waits for it. Bytes that come for the same sockets are read after it, or by
//     another goroutine after 5 to 10 ms. (That is on Linux; elsewhere a stream waits for the handling of what it brought.)
//   - A TCP stream is closed by the goroutine of its own, and by nobody else: so its descriptor is open wherever it is used.
//   - Write tries the socket from the caller first. Only what the socket does not take is copied, for a writer
//     goroutine that lives as long as there is a backlog.
//   - Names are resolved beside the caller; the failure is the reason of Closed.
//   - Listeners set SO_REUSEADDR, so a restarted node gets its port back. A listener survives running out of file
//     descriptors: it waits and goes on, and what it has accepted by then is kept.
//   - Close on a TCP stream shuts down the sending side and then discards what the peer still sends, for at most
//     [Options.CloseTimeout], because closing a socket with unread bytes would make the kernel reset the stream and
//     destroy what was just sent.
//   - A paused stream is not read, so that its peer's end or failure is noticed at Resume (or at the next Write).
//
// # KCP
//
// KCP (github.com/xtaci/kcp-go) has neither a handshake nor a FIN nor a reset, so its streams differ from TCP's:
//
//   - Opened says that the socket exists, not that anybody listens. A listener hears of a stream when its first bytes
//     arrive. Nobody listening looks like silence: Closed(ErrTimeout).
//   - Close waits until the peer has acknowledged everything, at most CloseTimeout, and then forgets the stream. The
//     peer is not told: there is no EOF, and it hears Closed(ErrTimeout) after [Options.IdleTimeout] of silence, as it
//     does after Abort and after a crash. Protocols above KCP therefore need heartbeats and a farewell of their own.
//   - Nothing can be written for IdleTimeout (the window stays full): Closed(ErrTimeout).
package real
