import NIOCore

/// One connection of a subscription: it tags what comes in with its session.
final class SubscriptionConnection: ReplyReceiver {
    let session: UInt64
    /// Where there are sentinels.
    let hold: PrimaryHold?
    private let channel: any Channel
    private let onReplies: @Sendable (SubscriptionConnection, [RedisReply]) -> Void
    private let onLoss: @Sendable (SubscriptionConnection, RedisConnectionLoss) -> Void

    init(
        session: UInt64,
        hold: PrimaryHold?,
        channel: any Channel,
        onReplies: @escaping @Sendable (SubscriptionConnection, [RedisReply]) -> Void,
        onLoss: @escaping @Sendable (SubscriptionConnection, RedisConnectionLoss) -> Void
    ) {
        self.session = session
        self.hold = hold
        self.channel = channel
        self.onReplies = onReplies
        self.onLoss = onLoss
    }

    func repliesReceived(_ replies: [RedisReply]) { onReplies(self, replies) }

    func connectionLost(_ reason: RedisConnectionLoss) { onLoss(self, reason) }

    func send(_ commands: [RedisCommand]) {
        var bytes = ByteBuffer()
        for command in commands { command.write(to: &bytes) }
        // A failed write closes the channel, and that is heard of.
        channel.writeAndFlush(bytes, promise: nil)
    }

    /// Reports the loss at once, on the calling thread, and closes the channel.
    func close(_ reason: RedisConnectionLoss) {
        connectionLost(reason)
        channel.close(promise: nil)
    }

    /// Closes the channel after the time, unless it is closed earlier or the result is cancelled.
    func close(_ reason: RedisConnectionLoss, after bound: Duration) -> Scheduled<Void> {
        channel.eventLoop.scheduleTask(in: TimeAmount(bound)) { [self] in close(reason) }
    }

    func untilClosed() async {
        // The close future never fails.
        try? await channel.closeFuture.get()
    }
}
