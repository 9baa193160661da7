/// What was sent and what came back, whatever it held.
package struct Traffic: Sendable {
    package internal(set) var readRequests = 0
    package internal(set) var writeRequests = 0
    /// By status, or by the word for why there was none; without those of status 200.
    package internal(set) var readErrors: [String: Int] = [:]
    package internal(set) var writeErrors: [String: Int] = [:]
    /// Lists by the tier that they say they came from.
    package internal(set) var tiers: [String: Int] = [:]

    package var errors: Int { (Array(self.readErrors.values) + self.writeErrors.values).reduce(0, +) }

    mutating func count(_ exchange: Exchange, isWrite: Bool) {
        if isWrite { self.writeRequests += 1 } else { self.readRequests += 1 }
        if exchange.body != nil { return }
        if isWrite {
            self.writeErrors[exchange.word, default: 0] += 1
        } else {
            self.readErrors[exchange.word, default: 0] += 1
        }
    }
}
