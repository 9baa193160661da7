import Glibc
import Observability
import Testing

@Suite struct DescriptorSinkTests {
    /// Reads until the writer's end is closed.
    private static func contents(of descriptor: Int32) -> [UInt8] {
        var all: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = read(descriptor, &buffer, buffer.count)
            if count > 0 {
                all += buffer[..<count]
            } else if count == 0 || errno != EINTR {
                return all
            }
        }
    }

    @Test("lines longer than a pipe takes at once do not mix", arguments: [false, true])
    func interleaving(nonBlocking: Bool) async throws {
        var ends: [Int32] = [0, 0]
        try #require(pipe(&ends) == 0)
        let (reading, writing) = (ends[0], ends[1])
        if nonBlocking { try #require(fcntl(writing, F_SETFL, O_NONBLOCK) == 0) }

        let reader = ReaderThread { Self.contents(of: reading) }
        let sink = DescriptorSink(descriptor: writing)
        await withTaskGroup { group in
            for writer in UInt8(0)..<8 {
                group.addTask {
                    let letter = UInt8(ascii: "a") + writer
                    for length in [10, 5_000, 100_000] {
                        sink.write([UInt8](repeating: letter, count: length) + [UInt8(ascii: "\n")])
                    }
                }
            }
        }
        close(writing)
        let lines = await reader.value().split(separator: UInt8(ascii: "\n"))
        close(reading)
        #expect(lines.count == 24)
        #expect(lines.allSatisfy { Set($0).count == 1 })
        #expect(lines.map(\.count).sorted() == [10, 5_000, 100_000].flatMap { Array(repeating: $0, count: 8) })
    }

    @Test("a reader who never reads loses lines, and does not hold the process up")
    func stuckReader() throws {
        var ends: [Int32] = [0, 0]
        try #require(pipe(&ends) == 0)
        defer { for end in ends { close(end) } }
        try #require(fcntl(ends[1], F_SETFL, O_NONBLOCK) == 0)
        let sink = DescriptorSink(descriptor: ends[1])
        let elapsed = ContinuousClock().measure { sink.write([UInt8](repeating: 0x61, count: 1_000_000)) }
        #expect(elapsed >= .milliseconds(90))
        var waiting: Int32 = 0
        try #require(ioctl(ends[0], UInt(FIONREAD), &waiting) == 0)
        #expect(waiting > 0 && waiting < 1_000_000)
    }
}

/// A blocking read, away from the cooperative pool.
private final class ReaderThread: Sendable {
    private let results: AsyncStream<[UInt8]>

    init(_ body: @escaping @Sendable () -> [UInt8]) {
        let (stream, continuation) = AsyncStream.makeStream(of: [UInt8].self)
        results = stream
        let work = Unmanaged.passRetained(Work { continuation.yield(body()) })
        var thread = pthread_t()
        pthread_create(
            &thread,
            nil,
            {
                Unmanaged<Work>.fromOpaque($0!).takeRetainedValue().body(); return nil
            },
            work.toOpaque()
        )
        pthread_detach(thread)
    }

    func value() async -> [UInt8] {
        for await result in results { return result }
        return []
    }

    private final class Work: Sendable {
        let body: @Sendable () -> Void
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }
}
