/// Interactions as a structure of arrays: 21 bytes each, filled row by row from a bulk read.
package struct InteractionColumns: Sendable {
    /// Index of the user, dense from 0 in order of first appearance.
    package private(set) var users: [UInt32] = []
    /// Item number.
    package private(set) var items: [UInt32] = []
    /// `EventType.code`.
    package private(set) var types: [UInt8] = []
    /// Value of a rating.
    package private(set) var values: [Float] = []
    /// Seconds since 1970.
    package private(set) var seconds: [Int64] = []

    package init() {}

    package var count: Int { self.users.count }

    package mutating func reserveCapacity(_ capacity: Int) {
        self.users.reserveCapacity(capacity)
        self.items.reserveCapacity(capacity)
        self.types.reserveCapacity(capacity)
        self.values.reserveCapacity(capacity)
        self.seconds.reserveCapacity(capacity)
    }

    package mutating func append(user: UInt32, item: UInt32, type: UInt8, value: Float, seconds: Int64) {
        self.users.append(user)
        self.items.append(item)
        self.types.append(type)
        self.values.append(value)
        self.seconds.append(seconds)
    }
}
