import Dispatch
import Synchronization

/// Memory that threads write at the same time, each at places of its own.
struct Places<Element>: @unchecked Sendable {
    private let memory: UnsafeMutableBufferPointer<Element>

    init(_ memory: UnsafeMutableBufferPointer<Element>) { self.memory = memory }

    subscript(place: Int) -> Element {
        @inline(__always) get { self.memory[place] }
        @inline(__always) nonmutating set { self.memory[place] = newValue }
    }
}

extension Array {
    /// Hands the elements out to be written by several threads.
    mutating func withPlaces(_ body: (Places<Element>) -> Void) {
        self.withUnsafeMutableBufferPointer { body(Places($0)) }
    }
}

/// Deals pieces of work out to threads, a few at a time, to whichever is free.
enum Dealer {
    /// Runs `body` once for every number below `count`, in no order that can be relied on; blocks its thread until all is done.
    ///
    /// - Parameter makeState: Makes what one thread works with; called once a thread.
    /// - Returns: What the threads worked with, as they left it, in no order.
    @discardableResult
    static func deal<State: SendableMetatype>(
        _ count: Int,
        atOnce: Int = 1,
        threads: Int,
        state makeState: @Sendable () -> State,
        body: @Sendable (inout State, Int) -> Void
    ) -> [State] {
        let next = Atomic<Int>(0)
        let step = max(atOnce, 1)
        let workers = min(max(threads, 1), 256, (count + step - 1) / step)
        guard workers > 0 else { return [] }
        var states = [State?](repeating: nil, count: workers)
        states.withPlaces { states in
            DispatchQueue.concurrentPerform(iterations: workers) { worker in
                var start = next.wrappingAdd(step, ordering: .relaxed).oldValue
                guard start < count else { return }
                var state = makeState()
                while start < count {
                    for index in start..<min(start + step, count) { body(&state, index) }
                    start = next.wrappingAdd(step, ordering: .relaxed).oldValue
                }
                states[worker] = state
            }
        }
        return states.compactMap(\.self)
    }

    /// The same without anything to work with.
    static func deal(_ count: Int, atOnce: Int = 1, threads: Int, body: @Sendable (Int) -> Void) {
        Self.deal(count, atOnce: atOnce, threads: threads, state: NoState.init) { body($1) }
    }

    private struct NoState {}

    /// Rows in order of cost, the dearest first, of equal ones the lower first; those that cost nothing are left out.
    static func descending(_ costs: [Int]) -> [UInt32] {
        var keys: [UInt64] = []
        keys.reserveCapacity(costs.count)
        for (row, cost) in costs.enumerated() where cost > 0 {
            keys.append(UInt64(min(cost, Int(UInt32.max))) << 32 | UInt64(~UInt32(row)))
        }
        keys.sort { $0 > $1 }
        return keys.map { ~UInt32(truncatingIfNeeded: $0) }
    }
}
