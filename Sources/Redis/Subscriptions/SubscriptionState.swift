import NIOCore

/// A subscription's session and the events its consumer has not taken yet: pure state, no I/O.
///
/// All events go through one queue in the order of the wire. A loss takes two steps, so that the owner can end what
/// depends on the session before anyone can see `ended` in the queue: `lossBegan`, then `lossCompleted`.
struct SubscriptionState<Consumer: Sendable> {
    struct Delivery: Sendable {
        let consumer: Consumer
        let event: RedisSubscriptionEvent?
    }

    enum ReplyAction: Hashable {
        case carryOn
        /// Every channel is confirmed.
        case began
        case close(RedisConnectionLoss)
    }

    enum ConsumerAnswer: Hashable {
        case event(RedisSubscriptionEvent)
        case end
        case wait
    }

    private enum Link {
        case down
        /// Handshake replies, then confirmations, are expected.
        case confirming(session: UInt64, steps: [HandshakeStep], channels: Set<[UInt8]>)
        case live(session: UInt64)
        /// Lost, with `ended` not in the queue yet.
        case ending(session: UInt64, reason: RedisConnectionLoss)
    }

    private let limit: RedisSubscriptionBufferLimit
    private let words: SubscriptionWords
    private var link = Link.down
    private var events = CircularBuffer<RedisSubscriptionEvent>()
    private var bufferedMessages = 0
    private var bufferedBytes = 0
    private var consumer: Consumer?
    private var isFinished = false

    init(limit: RedisSubscriptionBufferLimit, words: SubscriptionWords = .plain) {
        self.limit = limit
        self.words = words
    }

    /// The session that is confirmed and not lost.
    var currentSession: UInt64? {
        if case .live(let session) = link { session } else { nil }
    }

    /// The consumer has taken everything of the sessions that are over, and there is no new one.
    var isDrained: Bool {
        if case .down = link { events.isEmpty } else { false }
    }

    /// SUBSCRIBE is sent, after the steps of the handshake, on a new connection.
    mutating func subscribeSent(session: UInt64, steps: [HandshakeStep], channels: Set<[UInt8]>) {
        link = .confirming(session: session, steps: steps, channels: channels)
    }

    mutating func replyReceived(
        _ reply: RedisReply,
        session: UInt64,
        delivery: inout Delivery?
    ) -> ReplyAction {
        switch link {
        case .confirming(session, var steps, var channels):
            if !steps.isEmpty {
                if let refusal = steps.removeFirst().refusal(in: reply) { return .close(refusal) }
                link = .confirming(session: session, steps: steps, channels: channels)
                return .carryOn
            }
            switch PushedReply(reply, words) {
            case .subscribed(let channel) where channels.remove(channel) != nil:
                guard channels.isEmpty else {
                    link = .confirming(session: session, steps: steps, channels: channels)
                    return .carryOn
                }
                link = .live(session: session)
                enqueue(.began(session: session), delivery: &delivery)
                return .began
            case .refused(let code): return .close(.refused(step: words.command, code: code))
            default: return .close(.protocolViolation("not the confirmation of a channel"))
            }
        case .live(session):
            switch PushedReply(reply, words) {
            case .message(let channel, let payload):
                return messageReceived(channel: channel, payload: payload, session: session, delivery: &delivery)
            case .refused(let code): return .close(.refused(step: words.command, code: code))
            default: return .close(.protocolViolation("not a message"))
            }
        default:
            // Left over from a connection that was given up.
            return .carryOn
        }
    }

    /// The connection is over.
    ///
    /// Returns the session if it was live: the owner ends it and calls `lossCompleted`.
    mutating func lossBegan(session: UInt64, reason: RedisConnectionLoss) -> UInt64? {
        switch link {
        case .confirming(session, _, _):
            link = .down
            return nil
        case .live(session):
            link = .ending(session: session, reason: reason)
            return session
        default: return nil
        }
    }

    mutating func lossCompleted(delivery: inout Delivery?) {
        guard case .ending(let session, let reason) = link else { return }
        link = .down
        enqueue(.ended(session: session, reason: reason), delivery: &delivery)
    }

    /// The consumer asks for the next event; when it has to wait it is kept.
    mutating func consumerCame(_ newConsumer: Consumer) -> ConsumerAnswer {
        if let event = events.popFirst() {
            if case .message(let channel, let payload, _) = event {
                bufferedMessages -= 1
                bufferedBytes -= channel.count + payload.count
            }
            return .event(event)
        }
        if isFinished { return .end }
        precondition(consumer == nil, "the events of a subscription have one consumer")
        consumer = newConsumer
        return .wait
    }

    mutating func consumerGaveUp() -> Consumer? { consumer.take() }

    /// There will be no more events.
    mutating func finished() -> Consumer? {
        isFinished = true
        return consumer.take()
    }

    private mutating func messageReceived(
        channel: [UInt8],
        payload: [UInt8],
        session: UInt64,
        delivery: inout Delivery?
    ) -> ReplyAction {
        let event = RedisSubscriptionEvent.message(channel: channel, payload: payload, session: session)
        if consumer == nil {
            let bytes = bufferedBytes + channel.count + payload.count
            guard bufferedMessages < limit.messages, bytes <= limit.bytes else { return .close(.bufferOverflow) }
            bufferedMessages += 1
            bufferedBytes = bytes
        }
        enqueue(event, delivery: &delivery)
        return .carryOn
    }

    private mutating func enqueue(_ event: RedisSubscriptionEvent, delivery: inout Delivery?) {
        // Whoever waits does so because the queue is empty.
        if let consumer = consumer.take() {
            delivery = Delivery(consumer: consumer, event: event)
        } else {
            events.append(event)
        }
    }
}

/// What a server may send on a connection that has subscribed.
private enum PushedReply {
    case subscribed(channel: [UInt8])
    case message(channel: [UInt8], payload: [UInt8])
    case refused(code: String)
    case other

    init(_ reply: RedisReply, _ words: SubscriptionWords) {
        switch reply {
        case .error(let error):
            self = .refused(code: error.code)
        case .array(let parts) where parts.count == 3:
            switch (parts[0], parts[1], parts[2]) {
            case (.bulk(words.message), .bulk(let channel), .bulk(let payload)):
                self = .message(channel: channel, payload: payload)
            case (.bulk(words.confirmation), .bulk(let channel), .integer):
                self = .subscribed(channel: channel)
            default: self = .other
            }
        default:
            self = .other
        }
    }
}

/// What is said on a connection that subscribes.
struct SubscriptionWords: Sendable {
    let command: String
    let confirmation: [UInt8]
    let message: [UInt8]

    /// A message goes to all nodes of a cluster.
    static let plain = SubscriptionWords("SUBSCRIBE", "subscribe", "message")
    /// A message stays with the primary of the channel's slot, and whoever publishes to another is refused.
    static let sharded = SubscriptionWords("SSUBSCRIBE", "ssubscribe", "smessage")

    private init(_ command: String, _ confirmation: String, _ message: String) {
        self.command = command
        self.confirmation = Array(confirmation.utf8)
        self.message = Array(message.utf8)
    }
}
