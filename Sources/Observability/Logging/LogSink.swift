import Glibc
import Synchronization

/// Takes one complete line, line feed included.
package typealias LogSink = @Sendable ([UInt8]) -> Void

/// Writes lines to a file descriptor that it does not own.
///
/// A line is one write(2). The kernel may split one that is longer than a pipe takes at once, so lines take turns. What
/// cannot be written is lost: there is nowhere left to report it.
package final class DescriptorSink: Sendable {
    package static let standardError = DescriptorSink(descriptor: STDERR_FILENO)

    /// How long a reader of a non-blocking pipe may keep a line waiting.
    private static let patienceMilliseconds: Int32 = 100

    private let descriptor: Int32
    private let turn = Mutex(())

    package init(descriptor: Int32) {
        self.descriptor = descriptor
    }

    package func write(_ line: [UInt8]) {
        turn.withLock { _ in
            line.withUnsafeBytes { bytes in
                var rest = bytes[...]
                while !rest.isEmpty {
                    let written = Glibc.write(
                        descriptor,
                        UnsafeRawBufferPointer(rebasing: rest).baseAddress,
                        rest.count
                    )
                    if written >= 0 {
                        rest = rest.dropFirst(written)
                    } else if errno == EAGAIN {
                        var wait = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                        guard poll(&wait, 1, Self.patienceMilliseconds) > 0 else { return }
                    } else if errno != EINTR {
                        return
                    }
                }
            }
        }
    }
}
