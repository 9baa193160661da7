import LoadClient
import NIOCore
import NIOHTTP1
import NIOPosix

/// Connections to one node, as many as there are requests at once, each used again. Used on its event loop alone.
final class NodeConnections: ConnectionObserver {
    private struct Pending {
        let begin: Duration
        let promise: EventLoopPromise<Exchange>
        let expiry: Scheduled<Void>
    }

    private let address: Address
    private let headers: [(name: String, value: String)]
    private let timeout: TimeAmount
    private let clock: RunClock
    private let eventLoop: any EventLoop
    private var channels: [Int: any Channel] = [:]
    private var handlers: [Int: ResponseHandler] = [:]
    private var idle: [Int] = []
    private var pending: [Int: Pending] = [:]
    private var next = 0

    init(
        _ address: Address,
        headers: [(name: String, value: String)],
        timeout: Duration,
        clock: RunClock,
        on eventLoop: any EventLoop
    ) {
        self.address = address
        self.headers = headers
        self.timeout = TimeAmount(timeout)
        self.clock = clock
        self.eventLoop = eventLoop
    }

    /// Never fails: what goes wrong is an outcome.
    func send(_ request: OutgoingRequest, headers: [(name: String, value: String)]) -> EventLoopFuture<Exchange> {
        let promise = self.eventLoop.makePromise(of: Exchange.self)
        while let connection = self.idle.popLast() {
            guard let channel = self.channels[connection] else { continue }
            self.start(request, headers, on: connection, channel, promise)
            return promise.futureResult
        }
        let begin = self.clock.now
        let connection = self.next
        self.next += 1
        self.connect(connection).assumeIsolated().whenComplete { result in
            switch result {
            case .success(let channel):
                self.channels[connection] = channel
                self.start(request, headers, on: connection, channel, promise)
            case .failure:
                self.handlers[connection] = nil
                promise.succeed(Exchange(begin: begin, end: self.clock.now, outcome: .none(.connect)))
            }
        }
        return promise.futureResult
    }

    func close() {
        for handler in self.handlers.values { handler.detach() }
        for channel in self.channels.values { channel.close(promise: nil) }
        let pending = self.pending
        self.pending = [:]
        for exchange in pending.values {
            exchange.expiry.cancel()
            exchange.promise.succeed(Exchange(begin: exchange.begin, end: self.clock.now, outcome: .none(.unsent)))
        }
        self.channels = [:]
        self.handlers = [:]
        self.idle = []
    }

    func answered(_ connection: Int, _ answer: Answer) {
        if answer.keepsOpen { self.idle.append(connection) } else { self.forget(connection) }
        self.end(connection, .answer(status: answer.status, body: answer.body))
    }

    func broke(_ connection: Int, _ failure: Failure) {
        self.forget(connection)
        self.end(connection, .none(failure))
    }

    private func start(
        _ request: OutgoingRequest,
        _ headers: [(name: String, value: String)],
        on connection: Int,
        _ channel: any Channel,
        _ promise: EventLoopPromise<Exchange>
    ) {
        let expiry = self.eventLoop.assumeIsolated().scheduleTask(in: self.timeout) { self.abandon(connection) }
        self.pending[connection] = Pending(begin: self.clock.now, promise: promise, expiry: expiry)
        request.write(to: channel, self.address, headers: self.headers + headers)
    }

    private func abandon(_ connection: Int) {
        self.handlers[connection]?.detach()
        self.channels[connection]?.close(promise: nil)
        self.forget(connection)
        self.end(connection, .none(.timeout))
    }

    private func end(_ connection: Int, _ outcome: Exchange.Outcome) {
        guard let exchange = self.pending.removeValue(forKey: connection) else { return }
        exchange.expiry.cancel()
        exchange.promise.succeed(Exchange(begin: exchange.begin, end: self.clock.now, outcome: outcome))
    }

    private func forget(_ connection: Int) {
        self.channels[connection] = nil
        self.handlers[connection] = nil
        self.idle.removeAll { $0 == connection }
    }

    private func connect(_ connection: Int) -> EventLoopFuture<any Channel> {
        let own = NIOLoopBound(self, eventLoop: self.eventLoop)
        return ClientBootstrap(group: self.eventLoop)
            .connectTimeout(min(.seconds(2), self.timeout))
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let handler = ResponseHandler(connection: connection, keepsBodies: true, observer: own.value)
                    own.value.handlers[connection] = handler
                    try channel.pipeline.syncOperations.addHTTPClientHandlers()
                    try channel.pipeline.syncOperations.addHandler(handler)
                }
            }
            .connect(host: self.address.host, port: self.address.port)
    }
}
