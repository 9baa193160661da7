import NIOCore
import NIOPosix

/// A TCP proxy on the link from one node to one store, which does to connections what networks do.
///
/// A connection goes on to the server once its client has said something: by that it is known for a subscription of Redis or
/// for one of the others. Nothing is ever lost from the middle of a connection that lives on, as TCP loses nothing either.
final class LinkProxy: Sendable {
    enum Kind: Sendable {
        /// Of Redis, by `SUBSCRIBE` in the first bytes.
        case subscription
        case other
    }

    enum Fault: Sendable {
        case none
        /// What the server says comes so much later, in its order.
        case delay(Duration)
        /// Half open: nobody hears the other any more, and nobody is told. What was so for a moment is so until its client
        /// closes it.
        case silent
        /// Connections are closed; new ones, too, as soon as they say something.
        case cut
    }

    let port: Int
    private let eventLoop: any EventLoop
    private let board: NIOLoopBound<Board>
    private let listener: any Channel

    private init(port: Int, eventLoop: any EventLoop, board: NIOLoopBound<Board>, listener: any Channel) {
        self.port = port
        self.eventLoop = eventLoop
        self.board = board
        self.listener = listener
    }

    /// Listens on a port of its own, for a server on another.
    static func start(to target: Int) async throws -> LinkProxy {
        let eventLoop = MultiThreadedEventLoopGroup.singleton.next()
        let board = try await eventLoop.submit {
            NIOLoopBound(Board(target: target, on: eventLoop), eventLoop: eventLoop)
        }.get()
        let listener = try await ServerBootstrap(group: eventLoop)
            .serverChannelOption(.backlog, value: 256)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let link = Link(client: channel, board: board.value)
                    board.value.links[ObjectIdentifier(link)] = link
                    try channel.pipeline.syncOperations.addHandler(LinkEnd(link, isClient: true))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        return LinkProxy(
            port: listener.localAddress?.port ?? 0,
            eventLoop: eventLoop,
            board: board,
            listener: listener
        )
    }

    /// From now on, until told otherwise.
    func set(_ fault: Fault, on kinds: [Kind] = [.subscription, .other]) async throws {
        try await self.change { $0.set(fault, on: kinds) }
    }

    /// Closes connections once; new ones are taken.
    func drop(_ kinds: [Kind] = [.subscription, .other]) async throws {
        try await self.change { $0.drop(kinds) }
    }

    /// Connections of a kind go to another server: those that there are are closed, the others stay where they are and come back
    /// there.
    func lead(_ kind: Kind, to target: Int) async throws {
        try await self.change {
            $0.lead(kind, to: target)
            $0.drop([kind])
        }
    }

    func close() async throws {
        try await self.change { $0.drop([.subscription, .other]) }
        try await self.listener.close()
    }

    private func change(_ body: @escaping @Sendable (Board) -> Void) async throws {
        let board = self.board
        try await self.eventLoop.submit { body(board.value) }.get()
    }
}

/// What holds for all connections of a proxy. Used on its event loop alone, as all below.
private final class Board {
    let eventLoop: any EventLoop
    private let target: Int
    private var misled: [LinkProxy.Kind: Int] = [:]
    var links: [ObjectIdentifier: Link] = [:]
    private var faults: [LinkProxy.Kind: LinkProxy.Fault] = [:]

    init(target: Int, on eventLoop: any EventLoop) {
        self.target = target
        self.eventLoop = eventLoop
    }

    func lead(_ kind: LinkProxy.Kind, to target: Int) { self.misled[kind] = target }

    func target(of kind: LinkProxy.Kind) -> Int { self.misled[kind] ?? self.target }

    func fault(_ kind: LinkProxy.Kind) -> LinkProxy.Fault { self.faults[kind] ?? .none }

    func set(_ fault: LinkProxy.Fault, on kinds: [LinkProxy.Kind]) {
        for kind in kinds { self.faults[kind] = fault }
        switch fault {
        case .none, .delay: break
        case .silent: for link in self.known(kinds) { link.isSilent = true }
        case .cut: self.drop(kinds)
        }
    }

    func drop(_ kinds: [LinkProxy.Kind]) {
        for link in self.known(kinds) { link.close() }
    }

    private func known(_ kinds: [LinkProxy.Kind]) -> [Link] {
        self.links.values.filter { link in link.kind.map(kinds.contains) ?? false }
    }
}

/// A connection from a client, and the one to the server that goes with it.
private final class Link {
    private let client: any Channel
    private let board: Board
    private var server: (any Channel)?
    private(set) var kind: LinkProxy.Kind?
    /// What the client has said before there was a server.
    private var early: [ByteBuffer] = []
    /// What the server has said and the client has not heard.
    private var late: [(bytes: ByteBuffer, due: NIODeadline)] = []
    private var hasServerEnded = false
    var isSilent = false

    init(client: any Channel, board: Board) {
        self.client = client
        self.board = board
    }

    func received(_ bytes: ByteBuffer, fromClient: Bool) {
        if self.kind == nil {
            let isSubscription = bytes.readableBytesView.firstRange(of: Array("SUBSCRIBE".utf8)) != nil
            let kind: LinkProxy.Kind = isSubscription ? .subscription : .other
            self.kind = kind
            self.connect(to: self.board.target(of: kind))
        }
        var delay = Duration.zero
        switch self.board.fault(self.kind ?? .other) {
        case .none: break
        case .delay(let duration): delay = duration
        case .silent: self.isSilent = true
        case .cut: return self.close()
        }
        if self.isSilent { return }
        guard fromClient else {
            let due = max(.now() + TimeAmount(delay), self.late.last?.due ?? .now())
            self.late.append((bytes, due))
            return self.tell()
        }
        if let server { server.writeAndFlush(bytes, promise: nil) } else { self.early.append(bytes) }
    }

    /// One side has closed its connection.
    func ended(isClient: Bool) {
        if isClient { return self.close() }
        self.hasServerEnded = true
        self.tell()
    }

    func close() {
        self.board.links[ObjectIdentifier(self)] = nil
        self.isSilent = true
        self.late = []
        self.early = []
        self.client.close(promise: nil)
        self.server?.close(promise: nil)
    }

    /// Tells the client what is due.
    private func tell() {
        if self.isSilent { return }
        while let next = self.late.first, next.due <= .now() {
            self.late.removeFirst()
            self.client.writeAndFlush(next.bytes, promise: nil)
        }
        if let next = self.late.first {
            self.board.eventLoop.assumeIsolated().scheduleTask(deadline: next.due) { self.tell() }
        } else if self.hasServerEnded {
            self.close()
        }
    }

    private func connect(to port: Int) {
        let own = NIOLoopBound(self, eventLoop: self.board.eventLoop)
        ClientBootstrap(group: self.board.eventLoop)
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(LinkEnd(own.value, isClient: false))
                }
            }
            .connect(host: "127.0.0.1", port: port)
            .assumeIsolated()
            .whenComplete { result in
                guard case .success(let server) = result, self.client.isActive else {
                    if case .success(let server) = result { server.close(promise: nil) }
                    return self.isSilent ? () : self.close()
                }
                self.server = server
                for bytes in self.early { server.writeAndFlush(bytes, promise: nil) }
                self.early = []
            }
    }
}

private final class LinkEnd: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let link: Link
    private let isClient: Bool

    init(_ link: Link, isClient: Bool) {
        self.link = link
        self.isClient = isClient
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        self.link.received(self.unwrapInboundIn(data), fromClient: self.isClient)
    }

    func channelInactive(context: ChannelHandlerContext) { self.link.ended(isClient: self.isClient) }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}
