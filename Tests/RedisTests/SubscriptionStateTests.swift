import Testing

@testable import Redis

@Suite("The state of a subscription")
struct SubscriptionStateTests {
    @Test("a session begins when every channel is confirmed, and not before")
    func confirmation() {
        var machine = Machine(channels: ["a", "b"], steps: ["AUTH"])
        #expect(machine.receive(.simpleString("OK")) == .carryOn)
        #expect(machine.receive(.confirmation("b")) == .carryOn)
        #expect(machine.state.currentSession == nil && machine.taken().isEmpty)
        #expect(machine.receive(.confirmation("a")) == .began)
        #expect(machine.state.currentSession == 1)
        #expect(machine.taken() == [.began(session: 1)])
    }

    @Test("a refused step, a refused channel, a wrong channel and a double confirmation close the connection")
    func refusals() {
        let error = RedisReply.error(RedisServerError(code: "NOPERM", message: "secret"))
        var step = Machine(channels: ["a"], steps: ["AUTH"])
        #expect(step.receive(error) == .close(.refused(step: "AUTH", code: "NOPERM")))
        var replica = Machine(channels: ["a"], steps: ["ROLE"])
        #expect(replica.receive(.array([.bulk(Array("slave".utf8)), .integer(1)])) == .close(.notPrimary))
        var channel = Machine(channels: ["a"])
        #expect(channel.receive(error) == .close(.refused(step: "SUBSCRIBE", code: "NOPERM")))
        var wrong = Machine(channels: ["a"])
        #expect(wrong.receive(.confirmation("x")) == .close(.protocolViolation("not the confirmation of a channel")))
        var double = Machine(channels: ["a", "b"])
        #expect(double.receive(.confirmation("a")) == .carryOn)
        #expect(double.receive(.confirmation("a")) == .close(.protocolViolation("not the confirmation of a channel")))
        var early = Machine(channels: ["a"])
        #expect(early.receive(.message("a", "m")) == .close(.protocolViolation("not the confirmation of a channel")))
    }

    @Test(
        "what is not a message ends a live session",
        arguments: [
            RedisReply.integer(1), .confirmation("a"),
            .array([.bulk(Array("unsubscribe".utf8)), .bulk([97]), .integer(0)]),
        ]
    )
    func violations(reply: RedisReply) {
        var machine = Machine.live()
        #expect(machine.receive(reply) == .close(.protocolViolation("not a message")))
    }

    @Test("messages are queued in order, and ended comes last, after the owner has ended the session")
    func order() {
        var machine = Machine.live()
        machine.receive(.message("a", "1"))
        machine.receive(.message("a", "2"))
        #expect(machine.state.lossBegan(session: 1, reason: .closedByServer) == 1)
        #expect(machine.state.currentSession == nil, "visible before anything is taken")
        machine.receive(.message("a", "3"))
        #expect(machine.taken() == [.began(session: 1), .message("a", "1"), .message("a", "2")])
        #expect(!machine.state.isDrained, "ended is still to come")
        machine.completeLoss()
        #expect(machine.state.lossBegan(session: 1, reason: .shutdown) == nil, "lost once")
        #expect(!machine.state.isDrained)
        #expect(machine.taken() == [.ended(session: 1, reason: .closedByServer)])
        #expect(machine.state.isDrained)
    }

    @Test("a connection that was never confirmed leaves no event")
    func unconfirmedLoss() {
        var machine = Machine(channels: ["a"])
        #expect(machine.state.lossBegan(session: 1, reason: .closedByServer) == nil)
        machine.completeLoss()
        #expect(machine.taken().isEmpty && machine.state.isDrained)
    }

    @Test("replies of a connection that was given up are ignored")
    func oldConnection() {
        var machine = Machine.live()
        _ = machine.state.lossBegan(session: 1, reason: .reset("x"))
        machine.completeLoss()
        machine.state.subscribeSent(session: 2, steps: [], channels: [Array("a".utf8)])
        #expect(machine.receive(.confirmation("a"), session: 1) == .carryOn)
        #expect(machine.state.currentSession == nil)
        #expect(machine.receive(.confirmation("a"), session: 2) == .began)
        #expect(machine.receive(.message("a", "old"), session: 1) == .carryOn)
        #expect(machine.taken().last == .began(session: 2))
    }

    @Test("too many messages or too many bytes close the connection, and taking makes room")
    func overflow() {
        var count = Machine.live(limit: RedisSubscriptionBufferLimit(messages: 2, bytes: 1000))
        #expect(count.receive(.message("a", "1")) == .carryOn)
        #expect(count.receive(.message("a", "2")) == .carryOn)
        #expect(count.receive(.message("a", "3")) == .close(.bufferOverflow))
        #expect(count.taken().count == 3)
        #expect(count.receive(.message("a", "4")) == .carryOn)

        var bytes = Machine.live(limit: RedisSubscriptionBufferLimit(messages: 100, bytes: 10))
        #expect(bytes.receive(.message("a", "123456789")) == .carryOn)
        #expect(bytes.receive(.message("", "1")) == .close(.bufferOverflow))
    }

    @Test("a consumer that waits gets the next event at once, and nil at the end")
    func waitingConsumer() throws {
        var machine = Machine.live()
        #expect(machine.taken() == [.began(session: 1)])
        #expect(machine.state.consumerCame("c") == .wait)
        machine.receive(.message("a", "1"))
        let delivery = try #require(machine.delivery)
        #expect(delivery.consumer == "c" && delivery.event == .message("a", "1"))
        #expect(machine.state.consumerCame("d") == .wait)
        #expect(machine.state.consumerGaveUp() == "d")
        #expect(machine.state.consumerGaveUp() == nil)
        #expect(machine.state.consumerCame("e") == .wait)
        #expect(machine.state.finished() == "e")
        #expect(machine.state.consumerCame("f") == .end)
    }
}

private struct Machine {
    var state: SubscriptionState<String>
    var delivery: SubscriptionState<String>.Delivery?

    init(channels: [String], steps: [String] = [], limit: RedisSubscriptionBufferLimit = .init()) {
        state = SubscriptionState(limit: limit)
        let steps = steps.map { HandshakeStep(name: $0, command: RedisCommand($0)) }
        state.subscribeSent(session: 1, steps: steps, channels: Set(channels.map { Array($0.utf8) }))
    }

    static func live(limit: RedisSubscriptionBufferLimit = .init()) -> Machine {
        var machine = Machine(channels: ["a"], limit: limit)
        machine.receive(.confirmation("a"))
        return machine
    }

    @discardableResult
    mutating func receive(_ reply: RedisReply, session: UInt64 = 1) -> SubscriptionState<String>.ReplyAction {
        state.replyReceived(reply, session: session, delivery: &delivery)
    }

    mutating func completeLoss() { state.lossCompleted(delivery: &delivery) }

    mutating func taken() -> [RedisSubscriptionEvent] {
        var events: [RedisSubscriptionEvent] = []
        while true {
            switch state.consumerCame("taker") {
            case .event(let event): events.append(event)
            case .end: return events
            case .wait:
                _ = state.consumerGaveUp()
                return events
            }
        }
    }
}

extension RedisReply {
    fileprivate static func confirmation(_ channel: String) -> RedisReply {
        .array([.bulk(Array("subscribe".utf8)), .bulk(Array(channel.utf8)), .integer(1)])
    }

    fileprivate static func message(_ channel: String, _ payload: String) -> RedisReply {
        .array([.bulk(Array("message".utf8)), .bulk(Array(channel.utf8)), .bulk(Array(payload.utf8))])
    }
}

extension RedisSubscriptionEvent {
    fileprivate static func message(_ channel: String, _ payload: String) -> RedisSubscriptionEvent {
        .message(channel: Array(channel.utf8), payload: Array(payload.utf8), session: 1)
    }
}
