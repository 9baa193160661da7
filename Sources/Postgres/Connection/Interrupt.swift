internal import CLibpq
import Glibc
import Synchronization

/// Wakes the driver thread that is blocked in `poll` on behalf of one call.
///
/// An eventfd lives as long as the pool's slot. The id says which call is meant, so one that arrives after its call has
/// ended finds the next call with another id and is swallowed.
final class Interrupt: Sendable {
    /// Polled beside the socket; -1 if the process has run out of descriptors, which `poll` ignores.
    let descriptor: CInt
    private let target = Atomic<UInt64>(0)

    init() {
        descriptor = vireo_eventfd()
    }

    deinit {
        if descriptor >= 0 { close(descriptor) }
    }

    /// Asks the call to stop, from any thread.
    func raise(for call: UInt64) {
        target.store(call, ordering: .sequentiallyConsistent)
        poke()
    }

    /// Wakes the driver thread to look around, from any thread.
    func poke() {
        var one: UInt64 = 1
        // A full counter is the only failure, and then the descriptor is readable already.
        _ = unsafe write(descriptor, &one, 8)
    }

    /// Makes the descriptor unreadable again, on the driver thread.
    func acknowledge() {
        var count: UInt64 = 0
        _ = unsafe read(descriptor, &count, 8)
    }

    func isRaised(for call: UInt64) -> Bool {
        target.load(ordering: .sequentiallyConsistent) == call
    }
}
