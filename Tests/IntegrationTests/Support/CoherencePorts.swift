import Caching

extension SharedCache {
    /// Over whatever connection there is.
    func raiseFloors(_ invalidations: [Invalidation]) async throws {
        try await self.raiseFloors(invalidations, on: nil)
    }
}

extension InvalidationBus {
    /// Over whatever connection there is.
    func publish(_ messages: [BusMessage]) async throws { try await self.publish(messages, on: nil) }
}

extension RelayProgress {
    /// The position alone.
    func position() async throws -> JournalPosition? { try await self.relayed().position }

    /// Writes a position over whatever connection there is.
    func set(_ position: JournalPosition, controlHead: Int64 = 0) async throws {
        try await self.setRelayed(position, controlHead: controlHead, on: self.relayed().connection)
    }
}

/// A position with transactions that were in progress.
func position(_ xmin: UInt64, _ xmax: UInt64, _ inProgress: [UInt64] = []) -> JournalPosition {
    JournalPosition("\(xmin):\(xmax):\(inProgress.map(String.init).joined(separator: ","))")!
}
