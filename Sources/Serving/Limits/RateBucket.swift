import RecommendationCore

/// What one node holds of one key's limit.
///
/// Calls are let through by tokens that were drawn from the fleet's bucket, a chunk at a time and ahead of need, so that a call
/// hardly ever waits for a draw. What nodes hold and have not spent has left the fleet's bucket already: within any time of t
/// seconds the fleet lets through at most
///
///     rate × t + burst + what the nodes held when it began, no more than max(nodes, rate / 10)
///
/// as a chunk is a tenth of a second's worth divided by the nodes, and at least one; more is drawn only for calls that wait for
/// it. What is not spent within a second is given up. Where the fleet's bucket cannot be asked, the node goes by a meter of its
/// own with its share of the limit, which is never set back: of the nodes' meters together that is rate × t + max(burst, nodes) more at most, in the time that they are asked.
struct RateBucket {
    typealias Instant = ContinuousClock.Instant

    enum Decision: Equatable {
        case admitted
        /// Who comes back after that time gets in, unless others were there first.
        case refused(after: Duration, RateSource)
        /// For the draw that is under way.
        case wait
    }

    /// What is said to a call.
    struct Taken: Equatable {
        let decision: Decision
        /// How many tokens are to be drawn now; nil: none. ``RateBucket/drew(_:at:)`` or ``RateBucket/failed(at:)`` ends it.
        let draw: Int?

        init(_ decision: Decision, draw: Int? = nil) {
            self.decision = decision
            self.draw = draw
        }
    }

    /// How long a drawn token may be spent.
    private static let tokenLifetime = Duration.seconds(1)
    /// How long the fleet's bucket is left alone after it could not be asked.
    private static let retreat = Duration.seconds(1)

    private(set) var limit: RateLimit
    private var held = 0
    /// How many tokens the node may hold.
    private var chunk = 1
    private var heldUntil: Instant
    /// How many tokens are being drawn; 0: no draw is under way.
    private(set) var drawing = 0
    private var drawnAt: Instant
    private var refusedUntil: Instant
    /// Not nil while the fleet's bucket does not answer: until when it is not asked again.
    private var aloneUntil: Instant?
    private var meter = RateMeter()
    private let epoch: Instant

    init(_ limit: RateLimit, at now: Instant) {
        self.limit = limit
        self.epoch = now
        self.heldUntil = now
        self.drawnAt = now
        self.refusedUntil = now
    }

    /// Goes on by another limit. What was said by the one before does not hold.
    mutating func adopt(_ limit: RateLimit, at now: Instant) {
        self.limit = limit
        self.held = 0
        self.refusedUntil = now
    }

    /// Lets a call through or not.
    ///
    /// - Parameters:
    ///   - nodes: How many there are.
    ///   - waiting: How many calls wait for a draw, this one among them: one draw is for all of them.
    mutating func take(at now: Instant, nodes: Int, waiting: Int = 1) -> Taken {
        self.chunk = max(1, min(self.limit.rate / (10 * max(1, nodes)), self.limit.burst / (2 * max(1, nodes))))
        if let aloneUntil {
            let draw = now >= aloneUntil ? self.beginDraw(self.chunk, at: now) : nil
            return Taken(self.takeAlone(at: now, nodes: nodes), draw: draw)
        }
        if self.held > 0, now < self.heldUntil {
            self.held -= 1
            // One at a time is not drawn ahead: of a small limit too much would be given up unspent.
            let isLow = self.chunk > 1 && self.held <= self.chunk / 2 && now >= self.refusedUntil
            return Taken(.admitted, draw: isLow ? self.beginDraw(self.chunk - self.held, at: now) : nil)
        }
        self.held = 0
        guard now >= self.refusedUntil else {
            return Taken(.refused(after: self.refusedUntil - now, .redis))
        }
        return Taken(.wait, draw: self.beginDraw(max(self.chunk, min(waiting, self.limit.burst)), at: now))
    }

    /// Lets a call through that has waited for as long as it may, by what there is, or refuses it.
    mutating func end(at now: Instant, nodes: Int, waiting: Int) -> Decision {
        if self.aloneUntil != nil { return self.takeAlone(at: now, nodes: nodes) }
        if self.held > 0, now < self.heldUntil {
            self.held -= 1
            return .admitted
        }
        let pause = Duration.seconds(1) * (Double(max(1, waiting)) / Double(self.limit.rate))
        return .refused(after: max(self.refusedUntil - now, pause), .redis)
    }

    /// Lets a call through or not by this node's share of the limit.
    mutating func takeAlone(at now: Instant, nodes: Int) -> Decision {
        let granted = self.meter.take(upTo: 1, of: self.limit, shares: nodes, at: self.microseconds(now))
        guard granted == 0 else { return .admitted }
        return .refused(after: .microseconds(self.meter.wait(of: self.limit)), .local)
    }

    /// Takes back what was let through and has not been done.
    mutating func giveBack(at now: Instant) {
        if self.aloneUntil == nil, now < self.heldUntil { self.held = min(self.held + 1, self.chunk) }
    }

    mutating func drew(_ draw: RateDraw, at now: Instant) {
        let wanted = self.drawing
        self.drawing = 0
        self.aloneUntil = nil
        if now >= self.heldUntil { self.held = 0 }
        self.held += draw.granted
        self.heldUntil = self.drawnAt + Self.tokenLifetime
        // Where there was less, it is not asked again for every single token: there will be half of what the node holds.
        let missing = draw.granted < wanted ? min(wanted, self.chunk) / 2 : 0
        let pause = max(draw.wait, Duration.seconds(1) * (Double(missing) / Double(self.limit.rate)))
        if pause > .zero { self.refusedUntil = now + pause }
    }

    mutating func failed(at now: Instant) {
        self.drawing = 0
        self.held = 0
        self.aloneUntil = now + Self.retreat
    }

    private mutating func beginDraw(_ wanted: Int, at now: Instant) -> Int? {
        guard self.drawing == 0 else { return nil }
        self.drawing = wanted
        self.drawnAt = now
        return wanted
    }

    private func microseconds(_ now: Instant) -> Int64 {
        let passed = (now - self.epoch).components
        return passed.seconds * 1_000_000 + passed.attoseconds / 1_000_000_000_000
    }
}

/// By what a call was refused.
package enum RateSource: String, CaseIterable, Sendable {
    /// The fleet's bucket.
    case redis
    /// The node's own share.
    case local
}
